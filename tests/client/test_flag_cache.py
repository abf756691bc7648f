"""Who is served which flags, and when: the cache with a clock of the test's, on handles that disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hogbox._store.database import Database
from hogbox._store.handle import Portable, Writer
from hogbox.flag_cache import FlagCache, Sight
from hogbox.local_flags import LocalFlags

MAX_AGE = 10.0


class Handle:
    """Sees the definitions of one revision; 0 for none."""

    def __init__(self, revision: int) -> None:
        self.revision = revision


class Stage(Writer):
    """Handles, a clock, and how many queries there were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.looks = 0
        self.texts = 0

    def read(self, handle: Any, _: Portable, __: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
        if not handle.revision:
            return []
        stamp = (handle.revision, 7, None)
        if self.asked_for_text:
            self.texts += 1
            return [(*stamp, f'{{"flags": [{{"key": "r{handle.revision}"}}]}}')]
        self.looks += 1
        return [stamp]

    asked_for_text = False


class Staged(FlagCache):
    """Tells the stage which of the two queries it is."""

    def _rows(self, handle: Any, statement: Portable) -> Sequence[Sequence[Any]]:
        stage: Any = self._writer
        stage.asked_for_text = statement is self._read_text
        return super()._rows(handle, statement)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def cache(stage: Stage) -> FlagCache:
    database = Database("sqlite:///never-opened.db", "posthog_")
    return Staged(database, stage, "phc_x", "UTC", MAX_AGE, clock=lambda: stage.now)


def seen(sight: Sight) -> int:
    return sight.stamp.revision if sight.stamp else 0


def share(cache: FlagCache, revision: int) -> None:
    """Let everybody know a revision."""
    for _ in range(2):
        cache.view(Handle(revision))


def test_a_first_sight_is_everybodys_when_a_second_handle_has_it(cache: FlagCache, stage: Stage) -> None:
    one, two, three = Handle(1), Handle(1), Handle(1)
    assert seen(cache.view(one)) == 1
    assert cache.fresh() is None
    assert seen(cache.view(two)) == 1
    assert cache.fresh() is not None
    for _ in range(5):
        assert seen(cache.view(three)) == 1
    assert (stage.looks, stage.texts) == (2, 1)


def test_one_handle_alone_looks_once_a_max_age(cache: FlagCache, stage: Stage) -> None:
    handle = Handle(1)
    for _ in range(30):
        cache.view(handle)
        stage.now += 1
    assert stage.looks == 3
    cache.view(handle)
    assert cache.fresh() is not None


def test_within_the_max_age_nothing_is_asked(cache: FlagCache, stage: Stage) -> None:
    share(cache, 1)
    stage.now += MAX_AGE + 1
    cache.view(Handle(1))
    looks = stage.looks
    stage.now += MAX_AGE - 1
    assert cache.fresh() is not None
    assert seen(cache.view(Handle(2))) == 1
    assert stage.looks == looks


def test_what_one_handle_sees_is_its_own_until_another_sees_it(cache: FlagCache, stage: Stage) -> None:
    share(cache, 1)
    stage.now += MAX_AGE + 1
    own = Handle(2)
    assert seen(cache.view(own)) == 2
    assert seen(cache.view(Handle(1))) == 1
    assert seen(cache.view(own)) == 2
    stage.now += MAX_AGE + 1
    own.revision = 1  # rolled back
    assert seen(cache.view(own)) == 1
    assert seen(cache.view(Handle(1))) == 1


def test_an_older_sight_is_never_everybodys_while_the_newer_is_seen(cache: FlagCache, stage: Stage) -> None:
    share(cache, 5)
    old = [Handle(4), Handle(4), Handle(4)]
    for _ in range(10):
        stage.now += MAX_AGE + 1
        assert seen(cache.view(Handle(5))) == 5
        stage.now += MAX_AGE + 1
        assert [seen(cache.view(handle)) for handle in old] == [4, 4, 4]
        assert seen(cache.view(Handle(5))) == 5


def test_an_older_sight_is_everybodys_once_the_newer_is_out_of_sight(cache: FlagCache, stage: Stage) -> None:
    share(cache, 5)
    stage.now += 100
    assert seen(cache.view(Handle(1))) == 1
    assert seen(cache.view(Handle(9))) == 1


def test_definitions_that_go_away_are_gone(cache: FlagCache, stage: Stage) -> None:
    share(cache, 5)
    stage.now += MAX_AGE + 1
    gone = Handle(0)
    assert cache.view(gone) == Sight(None, None)
    stage.now += 100
    assert cache.view(gone) == Sight(None, None)


def test_a_few_revisions_stay_compiled(cache: FlagCache, stage: Stage) -> None:
    handles = [Handle(number) for number in range(1, 5)]
    for _ in range(3):
        for handle in handles:
            cache.view(handle)
        stage.now += MAX_AGE + 1
    assert stage.texts == 4
    for number in range(5, 30):
        cache.view(Handle(number))
    assert len(cache._recent) == 4


def test_the_flags_of_a_text_are_shared_by_its_revisions(cache: FlagCache) -> None:
    first = cache._remember(cache._read(Handle(1)).stamp or pytest.fail("none"), '{"flags": []}')
    second = cache._remember(cache._read(Handle(2)).stamp or pytest.fail("none"), '{"flags": []}')
    assert isinstance(first.flags, LocalFlags)
    assert first.flags is second.flags
