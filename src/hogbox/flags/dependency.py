"""Filters on the value of another flag (section 11)."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from hogbox.flags.outcome import Outcome
from hogbox.flags.person import Person, Value
from hogbox.flags.reason import Reason


class FlagFilter:
    """What another flag must be. The person holds what that flag can be, found out before."""

    __slots__ = ("broken", "key", "never", "operator", "problem", "type", "unsettled", "value")

    def __init__(self, raw: Mapping[str, Any], flags: Container[str]) -> None:
        self.key = raw.get("key")
        self.type = "flag"
        self.operator = raw.get("operator")
        self.value = raw.get("value")
        self.never = _malformation(self)
        self.broken = None if self.never else _break(self.key, raw.get("dependency_chain"), flags)
        self.problem = self.never or self.broken
        self.unsettled = False
        """Set where this is part of a loop that the chain does not admit to, or leads too far."""

    @property
    def target(self) -> str | None:
        """The flag to evaluate first; None where it does not matter."""
        return None if self.problem else self.key

    def outcome(self, person: Person) -> Outcome:
        """Compares every value that the other flag can have; unknown unless all answers agree."""
        if self.never:
            return False
        if self.broken:
            return Reason.UNSUPPORTED_DEFINITION
        values = None if self.unsettled or self.key is None else person.targets.get(self.key)
        if values is None:
            return Reason.UNRESOLVED_DEPENDENCY
        answers = {self._holds(value) for value in values}
        return answers.pop() if len(answers) == 1 else Reason.UNRESOLVED_DEPENDENCY

    def _holds(self, value: Value) -> bool:
        if isinstance(self.value, bool):
            return (value is not False) is self.value
        return isinstance(value, str) and value == self.value


def _malformation(dependency: FlagFilter) -> str | None:
    """Why the filter can never match, whatever the other flag is (rule F1)."""
    if dependency.operator != "flag_evaluates_to":
        return f"the operator of a filter on a flag is flag_evaluates_to, not {dependency.operator}"
    if not isinstance(dependency.key, str) or not dependency.key:
        return "the filter names no flag"
    return None if isinstance(dependency.value, bool | str) else "the filter's value is neither a boolean nor a text"


def _break(key: str | None, chain: Any, flags: Container[str]) -> str | None:
    """Why the service fails the whole flag (rule F2)."""
    if not isinstance(chain, list):
        return "the filter has no dependency_chain"
    if not chain:
        return "the flag depends on itself"
    for member in [key, *chain]:
        if not isinstance(member, str) or member not in flags:
            return f"the flag {member!r} is not among the definitions"
    return None
