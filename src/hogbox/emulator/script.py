"""What was scripted for requests or events: in which order it is considered, how often and for which share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from random import Random
from typing import Annotated, Generic, Protocol, TypeAlias, TypeVar

import msgspec

Rate: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


class ScriptStep(Protocol):
    """Anything that is scripted: for how many occasions, for which share of them, and how often it has fired."""

    times: Count | None
    rate: Rate | None
    id: int
    fired: int


Step = TypeVar("Step", bound=ScriptStep)


class Script(Generic[Step]):
    """The steps in order of their addition: the first one that matches and is due is the one to use."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._steps: dict[int, Step] = {}
        self._added = 0

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps.values())

    def add(self, step: Step) -> Step:
        self._added += 1
        added = copy(step)
        added.id, added.fired = self._added, 0
        self._steps[added.id] = added
        return added

    def remove(self, step_id: int) -> bool:
        return self._steps.pop(step_id, None) is not None

    def clear(self) -> None:
        self._steps.clear()

    def use(self, matches: Callable[[Step], bool]) -> Step | None:
        """The first step that matches and is due, which counts as fired."""
        for step in self._steps.values():
            if matches(step) and self._due(step):
                step.fired += 1
                return step
        return None

    def _due(self, step: Step) -> bool:
        if step.times is not None and step.fired >= step.times:
            return False
        return step.rate is None or self._random.random() < step.rate
