"""How it goes with each project: put off, tried again, narrowed, and who is to blame."""

from __future__ import annotations

import pytest

from hogbox._delivery.batch import Waiting
from hogbox._delivery.bisection import Part
from hogbox._delivery.course import LONGEST_SEARCH, MOST_FAILURES, PROVEN_SECONDS, Courses, FailedRequest, Ruling

ROWS = tuple(Waiting(number, number % 64, "a", "analytics", "{}", str(number)) for number in range(640))
ME, OTHER = object(), object()


def fail(courses: Courses, now: float, size: int = 640, patience: int = 3) -> Ruling:
    """One request that fails at this moment; where that puts the project off, for a second."""
    failure = FailedRequest(now, now, size)
    ruling = courses.judge("a", failure)
    if ruling.pause:
        courses.pause("a", now + 1, failure, patience)
    return ruling


def proven(now: float = 0.0) -> Courses:
    """A project of which one event passed after larger requests had failed."""
    courses = Courses()
    for attempt in range(4):
        fail(courses, now + attempt - 10)
    courses.accept("a", now)
    return courses


def test_a_project_that_never_failed_is_free() -> None:
    courses = Courses()
    assert courses.held(0) == frozenset()
    assert (courses.attempts("a"), courses.passes("a")) == (0, 0)
    assert all(courses.may_try("a", 0, 15, who) for who in (ME, OTHER, ME))
    assert courses.parts(ROWS) == (Part(ROWS),)
    assert courses.next_due(0) == float("inf")
    assert not courses.accept("a", 0)


def test_a_project_that_failed_is_left_alone_until_its_time_and_others_are_not() -> None:
    courses = Courses()
    assert fail(courses, 10) == Ruling(accused=False, pause=True)
    assert courses.held(10.9) == {"a"}
    assert courses.next_due(10.9) == 11
    assert not courses.may_try("a", 10.9, 15, ME)
    assert courses.may_try("b", 10.9, 15, ME)
    assert courses.held(11) == frozenset()


def test_one_sender_tries_and_goes_on_and_the_others_wait_for_it() -> None:
    courses = Courses()
    fail(courses, 10)
    assert courses.may_try("a", 11, 15, ME)
    assert not courses.may_try("a", 11, 15, OTHER)
    assert courses.may_try("a", 12, 15, ME)
    assert courses.held(26.9) == {"a"}
    assert courses.may_try("a", 27, 15, OTHER)


def test_failures_in_a_row_are_counted_until_a_request_passes() -> None:
    courses = Courses()
    fail(courses, 10)
    fail(courses, 20)
    assert courses.attempts("a") == 2
    assert courses.accept("a", 30)
    assert (courses.attempts("a"), courses.passes("a")) == (0, 1)
    assert courses.may_try("a", 30, 15, OTHER)
    assert not courses.accept("a", 31)


def test_an_event_that_posthog_accuses_lets_its_project_go_but_is_no_pass() -> None:
    courses = Courses()
    fail(courses, 10)
    assert courses.accept("a", 11, passed=False)
    assert (courses.attempts("a"), courses.passes("a")) == (0, 0)


def test_requests_that_were_under_way_together_are_one_attempt() -> None:
    courses = Courses()
    fail(courses, 10)
    assert not courses.pause("a", 99, FailedRequest(9.5, 10.5, 100), 3)
    assert courses.attempts("a") == 1
    assert courses.held(11) == frozenset()


def test_requests_get_narrower_after_a_few_attempts_each_time_of_another_shard() -> None:
    courses = Courses()
    fail(courses, 0)
    fail(courses, 1)
    assert courses.parts(ROWS) == (Part(ROWS),)
    fail(courses, 2)
    first = courses.parts(ROWS)[0].rows
    assert len(first) == 10
    assert len({row.shard for row in first}) == 1
    heads = []
    for attempt in range(3, 40):
        fail(courses, attempt, size=10)
        (head,) = courses.parts(tuple(courses.arrange(ROWS)))[0].rows
        heads.append(head)
    assert len({row.shard for row in heads}) == len(heads)
    assert all(row.id == row.shard for row in heads), "the oldest of its shard"


def test_an_outage_costs_one_request_for_each_pause() -> None:
    courses = Courses()
    assert all(fail(courses, moment, size=1).pause for moment in range(100))


def test_an_answer_that_is_about_no_event_narrows_nothing_and_accuses_none() -> None:
    courses = Courses()
    busy = FailedRequest(0, 0, 640, of_events=False)
    for _ in range(10):
        assert courses.judge("a", busy) == Ruling(accused=False, pause=True)
        courses.pause("a", 1, busy, 3)
    assert courses.parts(ROWS) == (Part(ROWS),)
    assert proven().judge("a", busy) == Ruling(accused=False, pause=True)


def test_once_a_narrow_request_passed_what_fails_is_searched_at_once() -> None:
    assert fail(proven(), 1) == Ruling(accused=True, pause=False)


def test_a_full_request_that_passes_proves_nothing_of_later_ones() -> None:
    courses = Courses()
    fail(courses, 0)
    courses.accept("a", 1)
    assert fail(courses, 2) == Ruling(accused=False, pause=True)


def test_a_proof_lasts_for_minutes_and_an_event_that_is_found_prolongs_it() -> None:
    courses = proven(0)
    assert fail(courses, PROVEN_SECONDS - 1, size=1).accused
    courses.accept("a", PROVEN_SECONDS)
    assert fail(courses, 2 * PROVEN_SECONDS - 2).accused
    courses.accept("a", 2 * PROVEN_SECONDS)
    assert not fail(courses, 3 * PROVEN_SECONDS).accused


def test_a_search_ends_when_nothing_passes_any_more() -> None:
    courses = proven()
    rulings = [fail(courses, 1) for _ in range(MOST_FAILURES + 1)]
    assert [ruling.pause for ruling in rulings] == [False] * MOST_FAILURES + [True]
    assert not fail(courses, 2).accused


def test_a_search_by_time_outs_goes_on_after_a_pause_where_it_was() -> None:
    courses = proven()
    slow = FailedRequest(1, 1 + LONGEST_SEARCH + 1, 100)
    assert courses.judge("a", slow) == Ruling(accused=True, pause=True)
    courses.pause("a", 20, slow, 3)
    assert len(courses.parts(ROWS)[1].rows) == 50


def test_a_pause_that_the_server_asks_for_is_made_in_a_search_too() -> None:
    assert proven().judge("a", FailedRequest(1, 1, 5, later=True)) == Ruling(accused=True, pause=True)


def test_a_refused_size_is_of_the_events_without_proof_but_not_for_ever() -> None:
    courses = Courses()
    sizes = [FailedRequest(0, 0, 1, of_size=True)] * (MOST_FAILURES + 1)
    rulings = [courses.judge("a", one) for one in sizes]
    assert all(ruling.accused for ruling in rulings)
    assert [ruling.pause for ruling in rulings] == [False] * MOST_FAILURES + [True]


def test_the_parts_are_all_events_each_once_and_in_order_within_each_shard() -> None:
    courses = Courses()
    for attempt in range(5):
        fail(courses, attempt, size=1)
        rows = [row for part in courses.parts(ROWS) for row in part.rows]
        assert sorted(rows) == sorted(ROWS)
        for shard in range(64):
            mine = [row.id for row in rows if row.shard == shard]
            assert mine == sorted(mine)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_requests_are_full_again_soon_after_a_narrow_one_passed(passes: int) -> None:
    courses = proven()
    for _ in range(9 + passes):
        courses.accept("a", 1)
    assert courses.parts(ROWS) == (Part(ROWS),)


def test_a_worker_goes_on_where_the_one_before_it_ended() -> None:
    courses = Courses()
    courses.adopt("a", 2, 100)
    assert courses.held(99) == {"a"}
    assert courses.may_try("a", 100, 15, ME)
    fail(courses, 101)
    assert len(courses.parts(ROWS)[0].rows) == 10
    courses.adopt("a", 9, 999)
    assert courses.attempts("a") == 3
