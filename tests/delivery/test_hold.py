"""Projects held back because PostHog refuses their token."""

from __future__ import annotations

from hogbox._delivery.hold import Holds


def test_a_project_that_was_never_refused_is_free() -> None:
    holds = Holds()
    assert holds.held(0) == frozenset()
    assert holds.attempts("a") == 0
    assert all(holds.may_try("a", 0, 15) for _ in range(3))


def test_a_refused_project_is_left_alone_until_its_time() -> None:
    holds = Holds()
    holds.refuse("a", until=10)
    assert holds.held(9.9) == {"a"}
    assert not holds.may_try("a", 9.9, 15)
    assert holds.held(10) == frozenset()


def test_one_sender_tries_and_the_others_wait_for_it() -> None:
    holds = Holds()
    holds.refuse("a", until=10)
    assert holds.may_try("a", 10, 15)
    assert not holds.may_try("a", 10, 15)
    assert holds.held(24.9) == {"a"}
    assert holds.may_try("a", 25, 15)


def test_refusals_in_a_row_are_counted_until_one_is_accepted() -> None:
    holds = Holds()
    holds.refuse("a", until=10)
    holds.refuse("a", until=30)
    assert holds.attempts("a") == 2
    assert holds.held(29) == {"a"}
    assert holds.accept("a")
    assert holds.attempts("a") == 0
    assert holds.may_try("a", 0, 15)
    assert not holds.accept("a")


def test_projects_are_held_apart() -> None:
    holds = Holds()
    holds.refuse("a", until=10)
    holds.refuse("b", until=20)
    assert holds.held(15) == {"b"}
    assert holds.may_try("c", 0, 15)
