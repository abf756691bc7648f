"""Portions: how many events a read asks for."""

from __future__ import annotations

from hogbox._delivery.portion import Portion

MEGABYTE = 1_000_000


def test_small_events_are_asked_for_as_they_are_wanted() -> None:
    assert Portion(500.0, 5 * MEGABYTE).ask(1000) == 1000
    assert Portion(0.0, 5 * MEGABYTE).ask(1000) == 1000


def test_of_large_events_little_more_is_asked_for_than_fits() -> None:
    assert Portion(900_000.0, 9 * MEGABYTE).ask(1000) == 20
    assert Portion(900_000.0, MEGABYTE).ask(1000) == 8


def test_it_follows_events_that_grow() -> None:
    portion = Portion(500.0, 5 * MEGABYTE)
    portion.note(1000, 60, cut=True)
    assert portion.ask(1000) == 120


def test_it_follows_events_that_shrink() -> None:
    portion = Portion(900_000.0, 5 * MEGABYTE)
    portion.note(10, 10, cut=False)
    assert portion.ask(1000) == 40
    portion.note(40, 40, cut=False)
    portion.note(160, 160, cut=False)
    assert portion.ask(1000) == 640


def test_what_was_all_there_is_says_nothing_of_its_size() -> None:
    portion = Portion(500.0, 5 * MEGABYTE)
    portion.note(1000, 3, cut=False)
    assert portion.ask(1000) == 1000


def test_what_is_asked_for_never_exceeds_what_is_wanted() -> None:
    assert Portion(1.0, 5 * MEGABYTE).ask(7) == 7
