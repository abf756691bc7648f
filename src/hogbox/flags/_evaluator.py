"""Deciding flags for a person, by asking their parts; and what any evaluator offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, overload

from hogbox.flags._definition import DefinitionsDocument
from hogbox.flags._flag import Flag
from hogbox.flags._graph import GraphTooLargeError, order
from hogbox.flags._person import EvaluatedPerson
from hogbox.flags._reason import Reason
from hogbox.flags._result import FlagResult
from hogbox.flags._rules.flag import RulesFlag
from hogbox.flags._rules.source import has_rules

_MOST_FLAGS = 200
"""A flag that leads to more is left to the service."""


AnyFlag: TypeAlias = Flag | RulesFlag


class FastPath(Protocol):
    """Takes the person's properties, the identifier's bytes, whether the properties are complete, and the
    person.

    Without a person the answer may be None: ask again with one.
    """

    @overload
    def __call__(
        self, properties: Mapping[str, Any], identifier: bytes, complete: bool, person: EvaluatedPerson, /
    ) -> FlagResult: ...

    @overload
    def __call__(
        self, properties: Mapping[str, Any], identifier: bytes, complete: bool, person: None, /
    ) -> FlagResult | None: ...


class Evaluator(Protocol):
    """Decides the flags of one definitions document."""

    @property
    def fast_paths(self) -> Mapping[str, FastPath | None]:
        """Looked up by any key; None for one that has no chance without a person."""

    def evaluate(self, key: str, person: EvaluatedPerson) -> FlagResult:
        """What a flag is for a person."""

    def evaluate_all(self, person: EvaluatedPerson) -> dict[str, FlagResult]:
        """What every flag is, in the order of the document."""


class _NoFastPaths(dict[str, None]):
    """Finds nothing. A dict, because what is in one is found without a call of a Python function."""

    def __missing__(self, key: str) -> None:
        return None


class PlainEvaluator:
    """Decides any flag, each read from its definition when it is first asked for.

    Threads may share it: what two of them read at the same time is the same.
    """

    def __init__(self, definitions: DefinitionsDocument) -> None:
        self.definitions = definitions
        self.fast_paths: Mapping[str, FastPath | None] = _NoFastPaths()
        self._flags: dict[str, AnyFlag] = {}

    def evaluate(self, key: str, person: EvaluatedPerson) -> FlagResult:
        """What a flag is for a person; inconclusive where there is no such flag."""
        flag = self.prepare(key, person)
        if flag is None:
            return unknown_flag(key)
        return flag.evaluate(person)

    def evaluate_all(self, person: EvaluatedPerson) -> dict[str, FlagResult]:
        """What every flag is, in the order of the document."""
        return {key: self.evaluate(key, person) for key in self.definitions.flags}

    def prepare(self, key: str, person: EvaluatedPerson) -> AnyFlag | None:
        """The flag, and the person ready for it; None where there is no such flag."""
        if key not in self.definitions.flags:
            return None
        flag = self.flag(key)
        self._settle(flag, person)
        person.begin_flag()
        return flag

    def flag(self, key: str) -> AnyFlag:
        """A flag of the document."""
        flag = self._flags.get(key)
        if flag is None:
            flag = self._flags[key] = flag_of(self.definitions.flags[key], self.definitions)
        return flag

    def _settle(self, flag: AnyFlag, person: EvaluatedPerson) -> None:
        """Decides what the flag depends on, and tells the person."""
        if isinstance(flag, RulesFlag) or not flag.dependencies:
            return
        if flag.prerequisites is None:
            flag.prerequisites = prerequisites(flag, self.flag)
        for key in flag.prerequisites:
            if key not in person.targets:
                target = self.flag(key)
                person.begin_flag()
                person.targets[key] = target.possible_values(person)


def flag_of(raw: Mapping[str, Any], definitions: DefinitionsDocument) -> AnyFlag:
    """A flag, read by its format."""
    if not has_rules(raw):
        return Flag(raw, definitions)
    key = raw["key"]
    return RulesFlag(raw, definitions.matching, definitions.texts.get(key), repeated=key in definitions.repeated)


def unknown_flag(key: str) -> FlagResult:
    """The result for a key that no flag has."""
    return FlagResult(key, None, Reason.UNKNOWN_FLAG)


def prerequisites(flag: AnyFlag, flag_of: Callable[[str], AnyFlag]) -> tuple[str, ...]:
    """The keys of the flags to decide before a flag, in order, found without recursion (section 11).

    Marks the dependencies that are part of a loop as unsettled, those of the flags on the way too. Whoever
    marks them marks the same ones, so it does not matter who comes first.
    """
    try:
        reachable = order(flag.key, lambda key: flag_of(key).targets, _MOST_FLAGS)
    except GraphTooLargeError:
        for item in flag.dependencies:
            item.unsettled = True
        return ()
    for key in reachable.nodes:
        for item in flag_of(key).dependencies:
            if item.target is not None and reachable.same_loop(key, item.target):
                item.unsettled = True
    return reachable.nodes[:-1]
