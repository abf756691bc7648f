"""Who is served which flags, and when: the cache with a clock of the test's, on handles that disagree."""

from __future__ import annotations

from typing import Any

import pytest

from hogbox._client.effect import Compute, Effect, Flow, Read
from hogbox._client.flag_cache import DefinitionsStamp, FlagCache, Sight
from hogbox._client.local_flags import LocalFlags
from hogbox._store.handles.portable import SQLITE
from hogbox._store.schema.table import Tables

MAX_AGE = 10.0


class Handle:
    """Sees the definitions of one revision; 0 for none."""

    def __init__(self, revision: int) -> None:
        self.revision = revision


class Stage:
    """A cache with a clock, whose plans are carried out by hand, and how many queries there were."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks = 0
        self.texts = 0
        self.cache = FlagCache(Tables("posthog_"), "phc_x", "UTC", MAX_AGE, clock=lambda: self.now)

    def view(self, handle: Handle) -> Sight[LocalFlags]:
        """What the cache serves this handle."""
        return self.perform(self.cache.view(handle))

    def perform(self, plan: Flow[Sight[LocalFlags]]) -> Sight[LocalFlags]:
        """The plan's result."""
        try:
            step = next(plan)
            while True:
                step = plan.send(self.outcome(step))
        except StopIteration as end:
            sight: Sight[LocalFlags] = end.value
            return sight

    def outcome(self, step: Effect) -> Any:
        """What a step comes to on this stage."""
        if isinstance(step, Compute):
            return step.function()
        assert isinstance(step, Read)
        if not step.ctx.revision:
            return []
        stamp = (step.ctx.revision, 7, None)
        if "data" in step.statement.text(SQLITE).sql:
            self.texts += 1
            return [(*stamp, f'{{"flags": [{{"key": "r{step.ctx.revision}"}}]}}')]
        self.looks += 1
        return [stamp]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def cache(stage: Stage) -> FlagCache:
    return stage.cache


def seen(sight: Sight[LocalFlags]) -> int:
    return sight.stamp.revision if sight.stamp else 0


def share(stage: Stage, revision: int) -> None:
    """Let everybody know a revision."""
    for _ in range(2):
        stage.view(Handle(revision))


def test_a_first_sight_is_everybodys_when_a_second_handle_has_it(stage: Stage) -> None:
    one, two, three = Handle(1), Handle(1), Handle(1)
    assert seen(stage.view(one)) == 1
    assert stage.cache.fresh() is None
    assert seen(stage.view(two)) == 1
    assert stage.cache.fresh() is not None
    for _ in range(5):
        assert seen(stage.view(three)) == 1
    assert (stage.looks, stage.texts) == (2, 1)


def test_one_handle_alone_looks_once_a_max_age(stage: Stage) -> None:
    handle = Handle(1)
    for _ in range(30):
        stage.view(handle)
        stage.now += 1
    assert stage.looks == 3
    stage.view(handle)
    assert stage.cache.fresh() is not None


def test_within_the_max_age_nothing_is_asked(stage: Stage) -> None:
    share(stage, 1)
    stage.now += MAX_AGE + 1
    stage.view(Handle(1))
    looks = stage.looks
    stage.now += MAX_AGE - 1
    assert stage.cache.fresh() is not None
    assert seen(stage.view(Handle(2))) == 1
    assert stage.looks == looks


def test_what_one_handle_sees_is_its_own_until_another_sees_it(stage: Stage) -> None:
    share(stage, 1)
    stage.now += MAX_AGE + 1
    own = Handle(2)
    assert seen(stage.view(own)) == 2
    assert seen(stage.view(Handle(1))) == 1
    assert seen(stage.view(own)) == 2
    stage.now += MAX_AGE + 1
    own.revision = 1  # rolled back
    assert seen(stage.view(own)) == 1
    assert seen(stage.view(Handle(1))) == 1


def test_an_older_sight_is_never_everybodys_while_the_newer_is_seen(stage: Stage) -> None:
    share(stage, 5)
    old = [Handle(4), Handle(4), Handle(4)]
    for _ in range(10):
        stage.now += MAX_AGE + 1
        assert seen(stage.view(Handle(5))) == 5
        stage.now += MAX_AGE + 1
        assert [seen(stage.view(handle)) for handle in old] == [4, 4, 4]
        assert seen(stage.view(Handle(5))) == 5


def test_an_older_sight_is_everybodys_once_the_newer_is_out_of_sight(stage: Stage) -> None:
    share(stage, 5)
    stage.now += 100
    assert seen(stage.view(Handle(1))) == 1
    assert seen(stage.view(Handle(9))) == 1


def test_definitions_that_go_away_are_gone(stage: Stage) -> None:
    share(stage, 5)
    stage.now += MAX_AGE + 1
    gone = Handle(0)
    assert stage.view(gone) == Sight(None, None)
    stage.now += 100
    assert stage.view(gone) == Sight(None, None)


def test_a_few_revisions_stay_compiled(stage: Stage) -> None:
    handles = [Handle(number) for number in range(1, 5)]
    for _ in range(3):
        for handle in handles:
            stage.view(handle)
        stage.now += MAX_AGE + 1
    assert stage.texts == 4
    for number in range(5, 30):
        stage.view(Handle(number))
    assert len(stage.cache._recent) == 4


def test_the_flags_of_a_text_are_shared_by_its_revisions(cache: FlagCache) -> None:
    first = cache._remember(DefinitionsStamp(1, 7, None), '{"flags": []}')
    second = cache._remember(DefinitionsStamp(2, 7, None), '{"flags": []}')
    assert isinstance(first.flags, LocalFlags)
    assert first.flags is second.flags
