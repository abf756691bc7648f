"""Finding poison, against a server that refuses any request with a poisoned event, and any that is too large."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._delivery.batch import Waiting
from hogbox._delivery.bisection import Bisection, Part, after, narrowed, rotated, whole
from hogbox._wire.verdict import Verdict

ROWS = tuple(Waiting(number, 0, "a", "analytics", "{}", str(number)) for number in range(600))


@dataclass
class Server:
    """What reaches it, and what it says."""

    poison: Collection[int] = ()
    most: int = 10**6
    most_changes_to: int | None = None
    requests: int = 0
    delivered: list[int] = field(default_factory=list)

    def judge(self, rows: tuple[Waiting, ...]) -> Verdict:
        self.requests += 1
        most = self.most if self.requests == 1 or self.most_changes_to is None else self.most_changes_to
        if len(rows) > most:
            return Verdict.TOO_LARGE
        if any(row.id in self.poison for row in rows):
            return Verdict.REFUSED
        self.delivered.extend(row.id for row in rows)
        return Verdict.DELIVERED


def deliver(server: Server, events: int) -> tuple[list[int], list[int]]:
    """Send so many events as a worker does; what was settled as delivered, and as dead."""
    delivered: list[int] = []
    dead: list[int] = []
    pending = whole(ROWS[:events])
    while pending:
        step = after(server.judge(pending[0].rows), pending)
        delivered.extend(row.id for row in step.delivered)
        dead.extend(row.id for row in step.alone)
        pending = step.pending
    return delivered, dead


@given(st.integers(1, 100), st.sets(st.integers(0, 99)), st.integers(1, 100), st.none() | st.integers(1, 100))
def test_p4_all_poison_is_found_and_all_else_delivered_once_and_in_order(
    events: int, poison: set[int], most: int, later: int | None
) -> None:
    server = Server(poison, most, later)
    delivered, dead = deliver(server, events)
    assert dead == sorted(one for one in poison if one < events)
    assert delivered == server.delivered == [one for one in range(events) if one not in poison]


@given(st.integers(1, 60), st.sets(st.integers(0, 59)))
def test_p2_an_event_is_given_up_only_when_it_was_refused_alone(events: int, poison: set[int]) -> None:
    pending = whole(ROWS[:events])
    server = Server(poison)
    while pending:
        alone = len(pending[0].rows) == 1
        verdict = server.judge(pending[0].rows)
        step = after(verdict, pending)
        assert not step.alone or (alone and step.alone == pending[0].rows and verdict is not Verdict.DELIVERED)
        pending = step.pending


@pytest.mark.parametrize("events", [1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 33, 64, 100, 127, 128, 129, 500])
def test_one_poison_is_found_in_few_requests_wherever_it_is(events: int) -> None:
    bound = 2 * math.log2(events) + 2
    for position in range(events):
        server = Server({position})
        assert deliver(server, events) == ([one for one in range(events) if one != position], [position])
        assert server.requests <= bound


@given(st.integers(1, 600), st.integers(0, 599))
def test_one_poison_is_found_in_few_requests_in_any_batch(events: int, position: int) -> None:
    server = Server({position % events})
    deliver(server, events)
    assert server.requests <= 2 * math.log2(events) + 2


def test_a_batch_of_only_poison_costs_about_two_requests_an_event() -> None:
    server = Server(range(500))
    assert deliver(server, 500) == ([], list(range(500)))
    assert server.requests <= 2 * 500


def test_a_batch_that_is_too_large_is_sent_in_the_fewest_halves() -> None:
    server = Server(most=125)
    assert deliver(server, 500) == (list(range(500)), [])
    assert server.requests == 1 + 2 + 4


def test_an_event_too_large_alone_is_dead_and_the_rest_go_on() -> None:
    assert after(Verdict.TOO_LARGE, (Part(ROWS[:1]), Part(ROWS[1:3]))) == Bisection((), ROWS[:1], (Part(ROWS[1:3]),))


def test_a_good_batch_is_one_request() -> None:
    assert after(Verdict.DELIVERED, whole(ROWS)) == Bisection(ROWS, (), ())


def test_the_half_known_to_be_guilty_is_not_sent_whole() -> None:
    refused = after(Verdict.REFUSED, whole(ROWS[:4]))
    assert refused.pending == (Part(ROWS[:2]), Part(ROWS[2:4], guilty_if_left_passes=True))
    passed = after(Verdict.DELIVERED, refused.pending)
    assert passed.pending == (Part(ROWS[2:3]), Part(ROWS[3:4], guilty_if_left_passes=True))


def test_the_right_half_is_presumed_innocent_once_the_left_is_guilty() -> None:
    pending = after(Verdict.REFUSED, whole(ROWS[:4])).pending
    assert after(Verdict.REFUSED, pending).pending == (
        Part(ROWS[:1]),
        Part(ROWS[1:2], guilty_if_left_passes=True),
        Part(ROWS[2:4]),
    )


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=40),
    st.integers(1, 50),
    st.integers(0, 300),
)
def test_p4_a_narrowed_batch_has_all_events_and_each_persons_in_order(
    events: list[tuple[int, int]], width: int, choice: int
) -> None:
    rows = tuple(_by_person(number, *event) for number, event in enumerate(events))
    parts = narrowed(tuple(rotated(rows, choice)), width)
    assert 1 <= len(parts[0].rows) <= width
    sent = [row for part in parts for row in part.rows]
    assert sorted(row.id for row in sent) == [row.id for row in rows]
    for payload in {row.payload for row in rows}:
        numbers = [row.id for row in sent if row.payload == payload]
        assert numbers == sorted(numbers)


def test_p4_a_bad_event_does_not_hide_that_others_of_its_shard_pass() -> None:
    """A worker of a large fleet holds one shard: there is no other one to try."""
    rows = tuple(_by_person(number, 0, number % 4) for number in range(12))
    first = [rotated(rows, attempt)[0].id for attempt in range(3, 7)]
    assert sorted(first) == [0, 1, 2, 3]


def test_p4_a_bad_event_of_one_lane_does_not_hide_that_the_other_lane_passes() -> None:
    rows = [_by_person(number, 0, 1)._replace(lane="ab"[number % 2]) for number in range(4)]
    assert {rotated(rows, attempt)[0].lane for attempt in (3, 4)} == {"a", "b"}


def test_another_shard_is_tried_before_another_person_of_the_same() -> None:
    rows = [_by_person(number, number % 2, number) for number in range(6)]
    assert [rotated(rows, attempt)[0].shard for attempt in range(6)] == [0, 1, 0, 1, 0, 1]


def _by_person(number: int, shard: int, person: int) -> Waiting:
    return Waiting(number, shard, "a", "analytics", f'{{"distinct_id":"{shard}-{person}"}}', str(number))
