"""Cohorts: trees of filters on a person, which may refer to one another (section 10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from hogbox.flags._filter import PropertyFilter
from hogbox.flags._graph import GraphTooLargeError, order
from hogbox.flags._operators.table import Matching
from hogbox.flags._person import EvaluatedPerson
from hogbox.flags._reason import Outcome, Reason, opposite, stronger

_DEEPEST: Final = 50
_MOST_GROUPS: Final = 5_000
_MOST_FILTERS: Final = 100_000
_MOST_COHORTS: Final = 200
_MEMBERSHIP = MappingProxyType({None: False, "": False, "in": False, "not_in": True})


class _UnreadableError(Exception):
    """Why a cohort as a whole is unknown."""


class CohortFilter:
    """Membership of a cohort, or the opposite; always by the person's own properties (rule K4)."""

    __slots__ = ("_cohorts", "inverted", "key", "operator", "problem", "type", "value")

    def __init__(self, raw: Mapping[str, Any], cohorts: Cohorts) -> None:
        self.key = raw.get("key")
        self.type = "cohort"
        self.operator = raw.get("operator") or "in"
        self._cohorts = cohorts
        identifier, operator = cohort_id(raw), raw.get("operator")
        self.value = raw.get("value") if identifier is None else identifier
        self.problem: str | None = None
        self.inverted = False
        if identifier is None:
            self.problem = "the cohort's id is not a number"
        elif not isinstance(operator, str | None) or operator not in _MEMBERSHIP:
            self.problem = f"the operator {operator} does not say who is in a cohort"
        else:
            self.inverted = _MEMBERSHIP[operator]

    @property
    def cohort(self) -> Cohort | None:
        """The cohort itself, compiled on first use; None where the filter names none."""
        return None if self.problem is not None else self._cohorts.get(str(self.value))

    def outcome(self, person: EvaluatedPerson) -> Outcome:
        """Whether the person is in the cohort (or is not, for not_in)."""
        cohort = self.cohort
        if cohort is None:
            return Reason.UNSUPPORTED_DEFINITION
        outcome = cohort.outcome(person)
        return opposite(outcome) if self.inverted else outcome


class NegatedEntry:
    """An entry of a cohort with `negation: true`."""

    __slots__ = ("entry",)

    def __init__(self, entry: PropertyFilter | CohortFilter) -> None:
        self.entry = entry

    def outcome(self, person: EvaluatedPerson) -> Outcome:
        """The entry's opposite."""
        return opposite(self.entry.outcome(person))


class Combination:
    """Entries of which all (AND) or any (OR) must hold; AND of none holds, OR of none does not."""

    __slots__ = ("conjunction", "entries")

    def __init__(self, conjunction: bool, entries: tuple[Entry, ...]) -> None:
        self.conjunction = conjunction
        self.entries = entries

    def outcome(self, person: EvaluatedPerson) -> Outcome:
        """Kleene's AND or OR, stopping at the first entry that decides."""
        conjunction, unknown = self.conjunction, None
        for entry in self.entries:
            outcome = entry.outcome(person)
            if outcome is True or outcome is False:
                if outcome is not conjunction:
                    return outcome
            else:
                unknown = stronger(unknown, outcome)
        return conjunction if unknown is None else unknown


Entry: TypeAlias = PropertyFilter | CohortFilter | NegatedEntry | Combination


class Cohort:
    """A compiled cohort; a person's membership is found out once per call."""

    __slots__ = ("identifier", "problem", "root")

    def __init__(self, identifier: str, root: Combination | None, problem: str | None = None) -> None:
        self.identifier = identifier
        self.root = root
        self.problem = problem

    def outcome(self, person: EvaluatedPerson) -> Outcome:
        """Whether the person is in it."""
        if self.root is None:
            return Reason.UNSUPPORTED_DEFINITION
        known = person.cohorts.get(self.identifier)
        if known is None:
            known = self.root.outcome(person)
            # The next flag has a budget of its own, and may find out.
            if known is not Reason.EVALUATION_LIMIT:
                person.cohorts[self.identifier] = known
        return known


class Cohorts:
    """The cohorts of a definitions document, each compiled when first asked for."""

    def __init__(self, raw: Mapping[str, Any], matching: Matching) -> None:
        self._raw = raw
        self._matching = matching
        self._compiled: dict[str, Cohort] = {}

    def get(self, identifier: str) -> Cohort:
        """The cohort with this id; one that is unknown to everybody where it cannot be read."""
        cohort = self._compiled.get(identifier)
        if cohort is None:
            cohort = self._compiled[identifier] = self._compile(identifier)
        return cohort

    def _compile(self, identifier: str) -> Cohort:
        if identifier not in self._raw:
            return Cohort(identifier, None, "it is not among the definitions (a static cohort, perhaps)")
        try:
            reachable = order(identifier, self._leads_to, _MOST_COHORTS)
            if reachable.loops(identifier):
                raise _UnreadableError("it leads back to itself")
            if self._height(reachable.nodes) > _DEEPEST:
                raise _UnreadableError(f"its groups and the cohorts in it are deeper than {_DEEPEST}")
            return Cohort(identifier, _CohortReader(self, self._matching).group(self._raw[identifier], 0))
        except GraphTooLargeError:
            return Cohort(identifier, None, f"it leads to more than {_MOST_COHORTS} cohorts")
        except _UnreadableError as unreadable:
            return Cohort(identifier, None, str(unreadable))

    def _height(self, bottom_up: tuple[str, ...]) -> int:
        """How deep the groups of the last cohort are, with those of the cohorts that it refers to."""
        heights: dict[str, int] = {}
        for identifier in bottom_up:
            places = _references(self._raw.get(identifier))
            heights[identifier] = max((depth + heights.get(other, 0) for depth, other in places), default=0)
        return heights[bottom_up[-1]]

    def _leads_to(self, identifier: str) -> list[str]:
        return [other for _, other in _references(self._raw.get(identifier)) if other in self._raw]


class _CohortReader:
    """Turns one raw cohort into a tree, counting what it reads so that shared references cannot explode."""

    def __init__(self, cohorts: Cohorts, matching: Matching) -> None:
        self._cohorts = cohorts
        self._matching = matching
        self._groups = _MOST_GROUPS
        self._filters = _MOST_FILTERS

    def group(self, raw: Any, depth: int) -> Combination:
        values = raw.get("values") if isinstance(raw, dict) else None
        if not isinstance(values, list):
            raise _UnreadableError("a group in it has no list of values")
        kind = raw.get("type")
        if kind not in (("AND", "OR") if depth == 0 else ("AND", "OR", "property")):
            raise _UnreadableError(f"a group in it is of the type {kind!r}")
        self._groups -= 1
        self._filters -= len(values)
        if depth > _DEEPEST or self._groups < 0 or self._filters < 0:
            raise _UnreadableError("it is too large")
        return Combination(kind != "OR", tuple([self._entry(value, depth + 1) for value in values]))

    def _entry(self, raw: Any, depth: int) -> Entry:
        if not isinstance(raw, dict):
            raise _UnreadableError("an entry of it is not an object")
        if "values" in raw:
            return self.group(raw, depth)
        negation = raw.get("negation")
        if not isinstance(negation, bool | None):
            raise _UnreadableError("a negation in it is neither true nor false")
        entry = self._filter(raw)
        return NegatedEntry(entry) if negation else entry

    def _filter(self, raw: dict[str, Any]) -> PropertyFilter | CohortFilter:
        kind, key, operator = raw.get("type"), raw.get("key"), raw.get("operator")
        if kind == "cohort":
            return CohortFilter(raw, self._cohorts)
        if kind not in (None, "person"):
            raise _UnreadableError(f"a filter in it is of the type {kind!r}")
        if not isinstance(key, str) or not isinstance(operator, str | None):
            raise _UnreadableError("a filter in it has no key, or an operator that is not text")
        return PropertyFilter(key, kind, operator, raw.get("value"), self._matching)


def cohort_id(raw: Mapping[str, Any]) -> str | None:
    """The id that a cohort filter names, as text; None where it is neither an integer nor digits."""
    value = raw.get("value")
    if isinstance(value, str):
        return value if value.isascii() and value.isdigit() else None
    # Longer ints would be costly to spell, and no id is.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        return str(value)
    return None


def _references(raw: Any) -> Iterator[tuple[int, str]]:
    """How deep a raw cohort is at each place, and the id of the cohort that it refers to there (else "")."""
    waiting, groups, filters = [(0, raw)], _MOST_GROUPS, _MOST_FILTERS
    while waiting and groups and filters:
        filters -= 1
        depth, entry = waiting.pop()
        if not isinstance(entry, dict):
            continue
        values = entry.get("values")
        if isinstance(values, list):
            groups -= 1
            waiting.extend((depth + 1, value) for value in values[:filters])
        is_reference = depth and entry.get("type") == "cohort"
        yield depth, (cohort_id(entry) or "") if is_reference else ""
