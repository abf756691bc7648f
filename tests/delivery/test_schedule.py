"""What a worker does next, by tables: what happened before, and what is due then."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._delivery.schedule import (
    GATHER,
    HINT_SECONDS,
    LONGEST_REST,
    OFTEN,
    REST,
    SELDOM,
    TOGETHER,
    Finished,
    Schedule,
    TurnOutcome,
)

NEVER = float("inf")
POLL = 0.5


class Shard(NamedTuple):
    shard: int
    wait: float = 0.0


SHARDS = [Shard(number) for number in range(8)]


def schedule(senders: int = 4) -> Schedule:
    return Schedule(senders, POLL)


def dealt(turns: Sequence[Sequence[Shard]]) -> list[list[int]]:
    return [[one.shard for one in turn] for turn in turns]


def finished(outcome: TurnOutcome, *, took: float = 0.0, ended: float = 100.0) -> Finished:
    return Finished(outcome, ended - took, ended)


# How many requests at once


@pytest.mark.parametrize(
    ("outcomes", "parallel"),
    [
        ([], 1),
        ([TurnOutcome.MORE], 2),
        ([TurnOutcome.MORE] * 2, 4),
        ([TurnOutcome.MORE] * 9, 4),
        ([TurnOutcome.MORE, TurnOutcome.SENT], 1),
        ([TurnOutcome.MORE, TurnOutcome.MORE, TurnOutcome.NOTHING], 2),
        ([TurnOutcome.MORE, TurnOutcome.LATE], 1),
    ],
)
def test_a_backlog_is_delivered_by_more_requests_at_once(outcomes: list[TurnOutcome], parallel: int) -> None:
    now = schedule()
    for outcome in outcomes:
        now.finish([], finished(outcome), 100.0, NEVER)
    assert now.parallel == parallel


@pytest.mark.parametrize(
    ("backlog", "busy", "turns"),
    [(0, 0, 1), (1, 0, 2), (2, 0, 4), (2, 3, 1), (2, 4, 1)],
)
def test_shards_are_dealt_to_the_idle_senders(backlog: int, busy: int, turns: int) -> None:
    now = schedule()
    for _ in range(backlog):
        now.finish([], finished(TurnOutcome.MORE), 100.0, NEVER)
    found = dealt(now.deal(SHARDS, set(), busy, NEVER, 100.0))
    assert len(found) == turns
    assert sorted(itertools.chain(*found)) == list(range(8))


def test_shards_under_way_and_recalled_ones_are_not_dealt() -> None:
    assert dealt(schedule().deal(SHARDS[:3], {0, 2}, 1, NEVER, 100.0)) == [[1]]


# When to look


@pytest.mark.parametrize(
    ("busy", "changed", "look"),
    [(0, False, True), (3, False, True), (4, True, False)],
)
def test_it_looks_while_a_sender_is_idle(busy: int, changed: bool, look: bool) -> None:
    assert schedule().should_look(100.0, busy, lambda: changed) is look


@pytest.mark.parametrize(
    ("outcome", "after", "changed", "look"),
    [
        (TurnOutcome.SENT, 0.0, True, False),
        (TurnOutcome.SENT, GATHER, False, True),
        (TurnOutcome.MORE, 0.0, False, True),
        (TurnOutcome.NOTHING, 0.0, True, True),
    ],
)
def test_events_gather_after_a_turn_that_took_all_there_was(
    outcome: TurnOutcome, after: float, changed: bool, look: bool
) -> None:
    now = schedule()
    now.deal([], set(), 0, NEVER, 99.0)
    now.finish([], finished(outcome), 100.0, NEVER)
    assert now.should_look(100.0 + after, 0, lambda: changed) is look


def test_after_a_look_in_vain_the_next_is_at_a_change_or_a_heartbeat() -> None:
    now = schedule()
    now.deal([], set(), 0, 105.0, 100.0)
    assert not now.should_look(104.9, 0, lambda: False)
    assert now.should_look(104.9, 0, lambda: True)
    assert now.should_look(105.0, 0, lambda: False)


def test_claimed_shards_are_looked_at_at_once() -> None:
    now = schedule()
    now.deal([], set(), 0, NEVER, 100.0)
    now.look_now()
    assert now.should_look(100.0, 0, lambda: False)


# Which shards rest


@pytest.mark.parametrize(
    ("turn", "next_due", "rests"),
    [
        (finished(TurnOutcome.NOTHING, took=0.001), NEVER, POLL),
        (finished(TurnOutcome.NOTHING, took=0.1), NEVER, 2.0),
        (finished(TurnOutcome.NOTHING, took=60.0), NEVER, LONGEST_REST),
        (finished(TurnOutcome.NOTHING, took=0.1), 100.3, 0.3 + TOGETHER),
        (finished(TurnOutcome.LATE, took=0.1), NEVER, POLL),
        (finished(TurnOutcome.NOTHING, took=0.1, ended=90.0), NEVER, -8.0),
        (finished(TurnOutcome.SENT), NEVER, -1.0),
    ],
    ids=["a short search", "a search", "a hung search", "a project is due", "late", "collected late", "sent"],
)
def test_shards_of_which_nothing_could_be_sent_rest(turn: Finished, next_due: float, rests: float) -> None:
    now = schedule()
    now.finish([0], turn, 100.0, next_due)
    if rests > 0:
        assert now.deal(SHARDS[:1], set(), 0, NEVER, 100.0 + rests - 0.001) == []
    assert dealt(now.deal(SHARDS[:1], set(), 0, NEVER, 100.0 + max(0.0, rests) + 0.001)) == [[0]]


def test_shards_rest_after_an_error() -> None:
    now = schedule()
    now.fail([0], 100.0)
    assert dealt(now.deal(SHARDS[:2], set(), 0, NEVER, 100.0 + REST - 0.01)) == [[1]]
    assert dealt(now.deal(SHARDS[:2], set(), 0, NEVER, 100.0 + REST)) == [[0, 1]]


def test_it_looks_again_when_a_shard_that_was_put_off_is_due() -> None:
    now = schedule()
    assert now.deal([Shard(0, wait=3.0)], set(), 0, NEVER, 100.0) == []
    assert not now.should_look(103.0, 0, lambda: False)
    assert now.should_look(103.0 + TOGETHER, 0, lambda: False)


# How long to sleep


@pytest.mark.parametrize(
    ("busy", "hinted", "precise", "next_beat", "pause"),
    [
        (0, False, False, NEVER, POLL),
        (0, False, True, NEVER, SELDOM),
        (0, True, False, NEVER, OFTEN),
        (0, False, False, 100.2, 0.2),
        (4, False, False, 100.2, 0.2),
        (0, False, False, 99.0, 0.0),
    ],
    ids=["a poll", "a free look", "after a hint", "a heartbeat", "a heartbeat of a busy worker", "overdue"],
)
def test_it_sleeps_until_something_is_due(
    busy: int, hinted: bool, precise: bool, next_beat: float, pause: float
) -> None:
    now = schedule()
    now.deal([], set(), busy, NEVER, 100.0)
    if hinted:
        now.hint(100.0)
    assert now.pause(100.0, busy, next_beat, precise=precise) == pytest.approx(pause)


def test_a_busy_worker_does_not_wake_for_a_look_that_it_can_not_make() -> None:
    now = schedule()
    now.look_now()
    assert now.pause(100.0, 4, NEVER, precise=False) == POLL
    assert now.pause(100.0, 3, NEVER, precise=False) == 0.0


def test_it_rests_while_the_database_fails() -> None:
    now = schedule()
    now.failing = True
    assert now.pause(100.0, 0, 99.0, precise=True) == REST


def test_a_hint_wakes_a_worker_that_may_sleep_for_long() -> None:
    now = schedule()
    assert now.hint(100.0)
    assert not now.hint(101.0)
    assert not now.hint(100.0 + HINT_SECONDS)
    assert now.hint(101.0 + 2 * HINT_SECONDS)


@given(
    st.lists(st.tuples(st.sampled_from(TurnOutcome), st.floats(0, 60)), max_size=20),
    st.lists(st.floats(-5, 5), max_size=8),
)
def test_every_shard_is_dealt_within_the_longest_rest(
    ended: list[tuple[TurnOutcome, float]], waits: list[float]
) -> None:
    now = schedule()
    for outcome, took in ended:
        now.finish(range(8), finished(outcome, took=took), 100.0, NEVER)
    found = [Shard(number, wait) for number, wait in enumerate(waits)]
    later = [Shard(one.shard, one.wait - LONGEST_REST) for one in found]
    turns = dealt(now.deal(later, set(), 0, NEVER, 100.0 + LONGEST_REST))
    assert sorted(itertools.chain(*turns)) == list(range(len(waits)))
