"""Watches: who has to end before ids are closed."""

from __future__ import annotations

from hogbox._delivery.mark import WriterWatch


def watch(*writers: str) -> WriterWatch:
    return WriterWatch(10, frozenset(writers))


def test_without_writers_the_ids_are_closed_at_once() -> None:
    assert watch().closed
    assert not watch("3/7").closed


def test_all_that_wrote_then_have_to_end() -> None:
    first = watch("3/7", "4/9")
    assert first.look({"4/9", "5/1"}) == watch("4/9")
    assert first.look({"4/9"}).look({"5/1", "6/1"}).closed


def test_those_who_came_later_are_not_waited_for() -> None:
    assert watch("3/7").look({"3/8", "4/1"}).closed


def test_a_transaction_that_is_prepared_goes_on_under_another_name() -> None:
    prepared = watch("3/7").look({"-1/901", "4/1"})
    assert prepared == watch("-1/901")
    assert prepared.look({"-1/901"}) == prepared
    assert prepared.look(set()).closed


def test_while_nobody_has_left_a_prepared_transaction_is_another() -> None:
    assert watch("3/7").look({"3/7", "-1/901"}) == watch("3/7")


def test_a_prepared_transaction_ends_for_good() -> None:
    assert watch("-1/901").look({"-1/902"}).closed
