"""Filters of a condition on properties and on other flags: what each answers (sections 4, 9 and 11)."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from hogbox.flags._operators.check import PropertyCheck
from hogbox.flags._operators.table import Matching, check_of, unset
from hogbox.flags._person import EvaluatedPerson, Value
from hogbox.flags._reason import Outcome, Reason
from hogbox.flags._value import MISSING, UNUSABLE, json_value, text_of

# Measured: what compiling and asking the worst of each kind takes, in steps of some 10 ns.
_STEPS_A_FILTER = 100
_STEPS_A_PATTERN = 25_000
_STEPS_A_CHARACTER = 400
_STEPS_A_SIGN = 5_000
_SIGNS = "|([{*+?\\"
_STEPS_A_MEMBER = 40
# A list of many ids is compiled once and used often: it takes a part of the budget only.
_MOST_STEPS_A_LIST = 250_000
_CHARACTERS_A_STEP = 2
_STEPS_A_SEEN_MEMBER = 120
_MOST_MEMBERS = 10_000


class PropertyFilter:
    """One property, one operator, one value; on the person's properties."""

    __slots__ = ("_check", "_matching", "key", "operator", "price", "type", "value")

    def __init__(self, key: str, kind: str | None, operator: str | None, value: object, matching: Matching) -> None:
        self.key = key
        self.type = kind or "person"
        self.operator = operator or "exact"
        self.value = value
        self._matching = matching
        self._check: PropertyCheck | None = None
        self.price = _price(self.operator, value)
        """The steps that it costs whatever it sees."""

    @property
    def check(self) -> PropertyCheck:
        """The operator with its value, compiled on first use: of 20,000 filters few may ever be asked."""
        if self._check is None:
            self._check = check_of(self.operator, self.value, self._matching)
        return self._check

    @property
    def unset(self) -> Outcome:
        """The answer when the property is known to be unset."""
        return unset(self.operator, self.value, self.check)

    def seen(self, person: EvaluatedPerson) -> object:
        """The property's value as it was passed; MISSING where it was not."""
        return person.properties.get(self.key, MISSING)

    def outcome(self, person: EvaluatedPerson) -> Outcome:
        """Whether the person's property satisfies the filter."""
        # The price of the compilation counts each time, so that an answer does not depend on earlier calls.
        if not person.spend(self.price):
            return Reason.EVALUATION_LIMIT
        seen = self.seen(person)
        check = self.check
        if seen is not MISSING and not person.spend(_cost(check, seen)):
            return Reason.EVALUATION_LIMIT
        if check.judge_at is None:
            return check.judge(seen) if type(seen) is str else self.judge(seen, person.complete)
        if seen is MISSING:
            return self.judge(seen, person.complete)
        value = json_value(seen)
        return Reason.MISSING_CONTEXT if value is UNUSABLE else check.judge_at(value, person.now)

    def judge(self, seen: object, complete: bool) -> Outcome:
        """What the filter answers for a value or for MISSING, where the time does not matter."""
        if seen is MISSING:
            return self.unset if complete else self.check.absent
        value = json_value(seen)
        return Reason.MISSING_CONTEXT if value is UNUSABLE else self.check.judge(value)


class GroupFilter(PropertyFilter):
    """The same on the properties of a group."""

    __slots__ = ("group_type",)

    def __init__(
        self,
        key: str,
        kind: str | None,
        operator: str | None,
        value: object,
        matching: Matching,
        group_type: str | None,
    ) -> None:
        super().__init__(key, kind or "group", operator, value, matching)
        self.group_type = group_type
        """None where the group's index is not in the definitions."""

    def seen(self, person: EvaluatedPerson) -> object:
        """The property of the group; MISSING where the group was not given either."""
        group = None if self.group_type is None else person.group(self.group_type)
        return MISSING if group is None else group.properties.get(self.key, MISSING)

    def outcome(self, person: EvaluatedPerson) -> Outcome:
        """Unknown, whatever is vouched for, where the group was not given or cannot be named."""
        if self.group_type is None:
            return Reason.UNSUPPORTED_DEFINITION
        if person.group(self.group_type) is None:
            return Reason.MISSING_CONTEXT
        return super().outcome(person)


def _price(operator: str, value: object) -> int:
    """A pattern is compiled, which costs most."""
    if operator in ("regex", "not_regex"):
        pattern = value if isinstance(value, str) else "?" * 100
        signs = sum(map(pattern.count, _SIGNS))
        return _STEPS_A_PATTERN + _STEPS_A_CHARACTER * len(pattern) + _STEPS_A_SIGN * signs
    if isinstance(value, list):
        return _STEPS_A_FILTER + min(_STEPS_A_MEMBER * len(value), _MOST_STEPS_A_LIST)
    return _STEPS_A_FILTER


def _cost(check: PropertyCheck, seen: object) -> int:
    """The most steps that asking a check about a value takes."""
    if check.cost is not None:
        return check.cost(_length(seen))
    if isinstance(seen, str):
        return len(seen) // _CHARACTERS_A_STEP
    if isinstance(seen, list | tuple | dict):
        members = seen.values() if isinstance(seen, dict) else seen
        nested = len(seen) > _MOST_MEMBERS or any(isinstance(member, list | tuple | dict) for member in members)
        return _STEPS_A_SEEN_MEMBER * (_MOST_MEMBERS if nested else len(seen))
    return 0


def _length(seen: object) -> int:
    """The length of a value's text."""
    if type(seen) is str:
        return len(seen)
    value = json_value(seen)
    return 0 if value is UNUSABLE else len(text_of(value))


class OpaqueFilter:
    """A filter of a type that only the service can evaluate."""

    __slots__ = ("key", "operator", "problem", "type", "value")

    def __init__(self, raw: Mapping[str, Any], problem: str) -> None:
        self.key = raw.get("key")
        self.type = raw.get("type")
        self.operator = raw.get("operator")
        self.value = raw.get("value")
        self.problem = problem

    def outcome(self, person: EvaluatedPerson) -> Outcome:  # noqa: ARG002 - one face for all filters
        """Always unknown."""
        return Reason.UNSUPPORTED_DEFINITION


class FlagFilter:
    """What another flag must be. The person holds what that flag can be, found out before (section 11)."""

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

    def outcome(self, person: EvaluatedPerson) -> Outcome:
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
