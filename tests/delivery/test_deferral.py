"""Persons that wait because PostHog asks for one of their events again."""

from __future__ import annotations

from hogbox._delivery.batch import Waiting
from hogbox._delivery.deferral import MOST_DEFERRED, Deferrals

FENCES = {0: 7, 1: 7}


def row(number: int, person: str = "a", shard: int = 0, project: str = "p") -> Waiting:
    return Waiting(number, shard, project, "analytics", f'{{"distinct_id":"{person}"}}', str(number))


def deferred(*rows: Waiting, until: float = 10.0) -> Deferrals:
    deferrals = Deferrals()
    deferrals.defer(rows, FENCES, lambda _: until)
    return deferrals


def ids(rows: tuple[Waiting, ...]) -> list[int]:
    return [one.id for one in rows]


def test_p4_later_events_of_the_person_wait_and_nobody_elses() -> None:
    deferrals = deferred(row(1))
    later = [row(2), row(3, "b"), row(4, project="q"), row(5)]
    assert ids(deferrals.free(later)) == [3, 4]
    assert sorted(deferrals.passed_over().ids) == [1, 2, 5]


def test_when_the_wait_is_over_all_are_read_again_in_their_order() -> None:
    deferrals = deferred(row(1))
    deferrals.free([row(2)])
    deferrals.release(FENCES, 9.9)
    assert sorted(deferrals.passed_over().ids) == [1, 2]
    deferrals.release(FENCES, 10.0)
    assert deferrals.passed_over().ids == []
    assert ids(deferrals.free([row(1), row(2)])) == [1, 2]


def test_only_the_one_who_works_on_a_shard_ends_its_waits() -> None:
    deferrals = deferred(row(1))
    deferrals.release({1: 7}, 11.0)
    assert ids(deferrals.free([row(2)])) == []


def test_attempts_are_counted_for_each_event_and_the_highest_decides_how_long_all_wait() -> None:
    deferrals = Deferrals()
    deferrals.defer([row(1)], FENCES, lambda attempt: 10.0 * attempt)
    assert deferrals.next_due(0.0) == 10.0
    deferrals.defer([row(1), row(2, "b")], FENCES, lambda attempt: 10.0 * attempt)
    assert (deferrals.attempts(1), deferrals.attempts(2), deferrals.attempts(3)) == (2, 1, 0)
    assert deferrals.next_due(0.0) == 20.0


def test_a_deferral_is_over_when_all_that_was_asked_for_is_settled() -> None:
    deferrals = deferred(row(1), row(2), row(3, "b", shard=1))
    assert deferrals.settle([1, 99]) == frozenset()
    assert deferrals.settle([2]) == {0}
    assert ids(deferrals.free([row(4), row(5, "b")])) == [4]
    assert deferrals.next_due(0.0) == 10.0
    assert deferrals.settle([3]) == {1}
    assert deferrals.next_due(0.0) == float("inf")


def test_deferrals_of_shards_that_were_lost_are_forgotten() -> None:
    deferrals = deferred(row(1))
    deferrals.release({0: 8}, 0.0)
    assert ids(deferrals.free([row(2)])) == [2]
    assert deferrals.attempts(1) == 0


def test_events_that_somebody_removed_are_forgotten_in_the_end() -> None:
    deferrals = deferred(row(1))
    deferrals.release(FENCES, 11.0)
    deferrals.release({}, 1000.0)
    assert deferrals.attempts(1) == 0


def test_events_without_a_readable_distinct_id_wait_together() -> None:
    broken = Waiting(1, 0, "p", "analytics", "{}", "1")
    assert ids(deferred(broken).free([broken._replace(id=2), row(3)])) == [3]


def test_the_number_of_persons_that_wait_by_themselves_is_bounded() -> None:
    many = [row(number, str(number)) for number in range(MOST_DEFERRED - 1)]
    deferrals = deferred(*many)
    assert deferrals.has_room([row(5000)])
    assert not deferrals.has_room([row(5000), row(5001)])


def test_where_too_many_wait_in_a_shard_the_shard_is_left_out() -> None:
    deferrals = deferred(row(1), row(2, "b", shard=1))
    deferrals.free([row(number) for number in range(10, 6000)])
    passed = deferrals.passed_over()
    assert (passed.ids, passed.shards) == ([2], {0})
