"""The demo's comparison finds what is wrong: unchanged data pass, and each kind of tampering is seen."""

from __future__ import annotations

import pytest

from examples.shop.verify import Arrival, Fact, compare

ADA = [Fact("ada", "signed_up", ""), Fact("ada", "order_placed", "A-1"), Fact("ada", "order_placed", "A-3")]
BOB = [Fact("bob", "signed_up", ""), Fact("bob", "order_placed", "A-2")]
COMMITTED = [ADA[0], BOB[0], ADA[1], BOB[1], ADA[2]]


def arrivals(*facts: Fact) -> list[Arrival]:
    """Each fact under an identity of its own; the same one each time."""
    return [Arrival(fact, f"uuid of {fact}") for fact in facts]


def test_all_arrived_in_order() -> None:
    verdict = compare(COMMITTED, arrivals(*COMMITTED))
    assert verdict.good
    assert (verdict.committed, verdict.delivered, verdict.repeated) == (5, 5, 0)


def test_order_counts_for_each_person_only() -> None:
    assert compare(COMMITTED, arrivals(*BOB, *ADA)).good


def test_repeats_are_counted_and_allowed() -> None:
    verdict = compare(COMMITTED, arrivals(*ADA, *ADA, *BOB, BOB[0]))
    assert verdict.good
    assert verdict.repeated == 4


@pytest.mark.parametrize("missing", COMMITTED)
def test_a_missing_event_is_lost(missing: Fact) -> None:
    verdict = compare(COMMITTED, arrivals(*(fact for fact in COMMITTED if fact != missing)))
    assert not verdict.good
    assert verdict.lost == (missing,)
    assert verdict.delivered == 4


def test_an_unknown_event_was_rolled_back() -> None:
    undone = Fact("ada", "order_placed", "A-9")
    verdict = compare(COMMITTED, arrivals(*COMMITTED, undone))
    assert not verdict.good
    assert verdict.undone == (undone,)
    assert verdict.delivered == 5


def test_exchanged_events_are_out_of_order() -> None:
    verdict = compare(COMMITTED, arrivals(ADA[0], ADA[2], ADA[1], *BOB))
    assert not verdict.good
    assert verdict.out_of_order == (ADA[1],)


def test_every_event_behind_the_latest_is_out_of_order() -> None:
    assert compare(COMMITTED, arrivals(*BOB, ADA[2], ADA[0], ADA[1])).out_of_order == (ADA[0], ADA[1])


def test_one_fact_under_two_identities_is_doubled() -> None:
    verdict = compare(COMMITTED, [*arrivals(*COMMITTED), Arrival(ADA[1], "another uuid")])
    assert not verdict.good
    assert verdict.doubled == (ADA[1],)
    assert verdict.repeated == 0
