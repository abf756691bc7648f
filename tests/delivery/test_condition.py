"""A state is logged when it begins and when it is over, however often it is met in between."""

from __future__ import annotations

from hogbox._delivery.condition import MOST_KEYS, Condition, OnceEach


def test_only_the_first_time_is_news() -> None:
    condition = Condition()
    assert [condition.begin(now) for now in (1.0, 2.0, 3.0)] == [True, False, False]
    assert condition.since == 1.0


def test_another_kind_of_the_same_is_news() -> None:
    condition = Condition()
    assert [condition.begin(what=what) for what in ("a", "a", "b", "a")] == [True, False, True, True]


def test_it_is_over_once() -> None:
    condition = Condition()
    assert not condition.end()
    condition.begin()
    assert [condition.end(), condition.end()] == [True, False]
    assert condition.begin()


def test_what_comes_and_goes_is_over_when_it_was_not_met_for_long_enough() -> None:
    condition = Condition(over_after=10.0)
    condition.begin(0.0)
    assert not condition.end(9.0)
    assert not condition.begin(9.5)
    assert not condition.end(19.0)
    assert condition.since == 0.0
    assert condition.end(19.5)
    assert condition.since is None


def test_each_key_is_news_once_and_too_many_are_none() -> None:
    met = OnceEach()
    assert [met.begin("a"), met.begin("b"), met.begin("a")] == [True, True, False]
    news = [met.begin(str(number)) for number in range(MOST_KEYS)]
    assert (sum(news), news[-1]) == (MOST_KEYS - 2, False)
