"""Events that failed alone: they wait, and nobody but their persons with them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hogbox._delivery.batch import Waiting
from hogbox._delivery.suspect import MOST_PASSED_OVER, Passed, Sorted, Suspects


def event(number: int, person: str = "ada", shard: int = 1, project: str = "a", lane: str = "analytics") -> Waiting:
    return Waiting(number, shard, project, lane, f'{{"uuid":"u{number}","distinct_id":"{person}"}}', f"u{number}")


def with_suspect(row: Waiting, until: float = 10.0) -> Suspects:
    suspects = Suspects()
    suspects.fail(row, passes=0, before=0)
    suspects.put_off(row.id, until)
    return suspects


def test_without_suspects_everything_is_free() -> None:
    rows = [event(1), event(2)]
    assert Suspects().sort(rows, 0) == Sorted([], rows)
    assert Suspects().passed_over(0) == Passed([], set())
    assert Suspects().shards([1, 2]) == frozenset()


def test_p4_later_events_of_the_same_person_wait_and_nobody_elses() -> None:
    suspects = with_suspect(event(1))
    rows = [event(1), event(2), event(3, "bob"), event(4, project="b"), event(5, lane="historical")]
    assert suspects.sort(rows, 0) == Sorted([], [rows[2], rows[3]])
    assert sorted(suspects.passed_over(0).ids) == [1, 2, 5]


def test_a_suspect_is_tried_alone_when_its_time_has_come_and_those_behind_it_still_wait() -> None:
    suspects = with_suspect(event(1), until=10)
    assert suspects.sort([event(1), event(2), event(3, "bob")], 9).due == []
    assert suspects.sort([event(1), event(2)], 10) == Sorted([event(1)], [])
    assert suspects.passed_over(10).ids == [2]
    suspects.forget([1])
    assert suspects.passed_over(10) == Passed([], set())
    assert suspects.sort([event(2)], 10) == Sorted([], [event(2)])


def test_an_event_that_is_not_accused_is_counted_and_waits_for_nothing() -> None:
    suspects = Suspects()
    assert suspects.fail(event(1), passes=3, before=0).attempts == 1
    assert suspects.fail(event(1), passes=5, before=7).attempts == 2
    assert not suspects.is_accused(1)
    assert suspects.sort([event(1), event(2)], 0) == Sorted([], [event(1), event(2)])


def test_attempts_of_a_worker_before_count_for_one_event_of_a_shard() -> None:
    suspects = Suspects()
    assert suspects.fail(event(1), passes=0, before=4).attempts == 5
    suspects.put_off(1, 10)
    assert suspects.fail(event(2, "bob"), passes=0, before=5).attempts == 1


def test_a_refusal_of_the_project_counts_only_if_something_passed_since_the_attempt_before() -> None:
    suspects = Suspects()
    found = []
    for passes, refused in ((0, True), (0, True), (1, True), (1, True), (1, False), (2, True)):
        suspect = suspects.fail(event(1), passes, before=0, refused=refused)
        found.append((suspect.attempts, suspect.charged, suspect.is_charged))
    assert found == [(1, 0, False), (2, 0, False), (3, 1, True), (4, 1, False), (5, 2, True), (6, 3, True)]


def test_a_suspect_of_a_shard_that_was_lost_and_claimed_again_holds_nobody_back() -> None:
    suspects = Suspects()
    for number, shard in ((1, 1), (2, 2)):
        suspects.fail(event(number, f"p{shard}", shard), passes=0, before=0, fence=7)
        suspects.put_off(number, 300.0)
    suspects.forget_earlier({2: 7, 3: 9})
    assert suspects.is_accused(1)
    assert suspects.is_accused(2)
    suspects.forget_earlier({1: 8})
    assert not suspects.is_accused(1)
    assert suspects.sort([event(3, "p1")], 0) == Sorted([], [event(3, "p1")])
    assert suspects.is_accused(2)


def test_an_event_without_a_distinct_id_blocks_none() -> None:
    bare = event(1)._replace(payload="{not json")
    suspects = with_suspect(bare)
    assert suspects.sort([bare, event(2)], 0) == Sorted([], [event(2)])


def test_two_suspects_of_one_person_block_until_both_are_settled() -> None:
    suspects = with_suspect(event(5))
    suspects.fail(event(1), passes=0, before=0)
    suspects.put_off(1, 20)
    suspects.forget([5])
    assert suspects.sort([event(6)], 0) == Sorted([], [])
    suspects.forget([1])
    assert suspects.sort([event(6)], 0) == Sorted([], [event(6)])


def test_what_was_settled_elsewhere_is_forgotten_when_it_is_due() -> None:
    def left(rows: Sequence[Waiting], *, shards: Sequence[int] = (1,), held: str = "", more: bool, now: float) -> bool:
        suspects = with_suspect(event(3), until=10)
        suspects.forget_missing(rows, shards, [held], more=more, now=now)
        return suspects.is_accused(3)

    assert not left([], more=False, now=10)
    assert not left([event(4, "bob")], more=True, now=10)
    assert left([event(3)], more=False, now=10)
    assert left([event(2, "bob")], more=True, now=10)
    assert left([], more=False, now=9)
    assert left([], more=False, now=10, held="a")
    assert left([], more=False, now=10, shards=[2])


def test_p4_what_waited_behind_an_event_that_is_gone_goes_before_what_was_read_without_it() -> None:
    """The shard was another worker's in between, which settled the event and came no further."""
    suspects = with_suspect(event(1), until=10)
    assert suspects.free([event(2)]) == ()
    assert list(suspects.passed_over(10).ids) == [2]
    later = [event(3), event(4, "bob")]
    suspects.forget_missing(later, [1], [], more=False, now=10)
    assert suspects.sort(later, 10).free == [event(4, "bob")]

    assert not suspects.passed_over(10).ids
    both = [event(2), event(3)]
    suspects.forget_missing(both, [1], [], more=True, now=10)
    assert suspects.sort(both, 10) == Sorted([], both)


def test_where_too_many_wait_behind_one_its_shard_waits_and_others_are_passed_over_one_by_one() -> None:
    suspects = with_suspect(event(1))
    suspects.fail(event(2, "bob", shard=2), passes=0, before=0)
    suspects.put_off(2, 10)
    suspects.free([event(number) for number in range(10, 10 + MOST_PASSED_OVER)])
    suspects.free([event(9, "bob", shard=2)])
    passed = suspects.passed_over(0)
    assert (sorted(passed.ids), passed.shards) == ([2, 9], {1})
    assert suspects.passed_over(10).shards == set()


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("xy")), min_size=1, max_size=40),
    st.sets(st.integers(0, 39)),
)
def test_p4_whatever_fails_each_persons_free_events_come_before_all_that_wait(
    people: list[tuple[str, str]], failing: set[int]
) -> None:
    suspects, rows = Suspects(), [event(n, person, project=project) for n, (person, project) in enumerate(people)]
    for number in sorted(failing & set(range(len(rows)))):
        suspects.fail(rows[number], passes=0, before=0)
        suspects.put_off(number, 10)
    found = suspects.sort(rows, 0)
    first = {
        key: min(n for n in failing if n < len(rows) and people[n] == key)
        for key in set(people)
        if any(people[n] == key for n in failing if n < len(rows))
    }
    expected = [row for row, key in zip(rows, people, strict=True) if key not in first]
    assert found == Sorted([], expected)
    assert set(suspects.passed_over(0).ids) == {row.id for row in rows} - {row.id for row in expected}
