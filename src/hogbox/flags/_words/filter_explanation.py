"""The input and outcome of each filter, for `explain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

from hogbox.flags._cohort import CohortFilter, Combination, Entry, NegatedEntry
from hogbox.flags._condition import Filter
from hogbox.flags._filter import FlagFilter, GroupFilter, OpaqueFilter, PropertyFilter
from hogbox.flags._person import EvaluatedPerson
from hogbox.flags._reason import Outcome, Reason
from hogbox.flags._value import MISSING


@dataclass(frozen=True, slots=True)
class FilterExplanation:
    """One filter of a condition or an entry of a cohort."""

    type: str
    """ "person", "group", "cohort", "flag" or another; inside of cohorts also "AND", "OR" and "NOT"."""

    key: str | None
    """The key of the property or flag; None for cohorts and combinations of filters."""

    operator: str | None
    value: Any
    """The value that the filter compares with, or the id of a cohort."""

    seen: Any
    """The property's value, or the possible values of the flag; `MISSING` if it was not passed."""

    outcome: str
    """ "match", "no match" or "unknown"."""

    reason: Reason | None
    """Why the outcome is unknown."""

    note: str | None = None
    """The problem with the filter, if any."""

    parts: tuple[FilterExplanation, ...] = ()
    """The entries of a cohort or combination; empty for a cohort that was explained before."""

    def lines(self) -> Iterator[str]:
        """The filter and its parts as indented text."""
        words = " ".join(word for word in (self.type, self.key and short(self.key), self.operator) if word)
        about = "" if self.type in ("AND", "OR", "NOT") else f" {short(self.value)}"
        seen = "" if self.key is None else ", not passed" if self.seen is MISSING else f", seen {short(self.seen)}"
        why = f" ({self.note or self.reason})" if self.note or self.reason else ""
        yield f"{words}{about}{seen}: {self.outcome}{why}"
        for part in self.parts:
            for line in part.lines():
                yield f"  {line}"


class Examiner:
    """Explains the filters of one flag for one person, and collects the missing data."""

    def __init__(self, person: EvaluatedPerson) -> None:
        self._person = person
        self._cohorts: set[str] = set()
        self.missing: list[str] = []

    def explain(self, item: Filter | Entry) -> FilterExplanation:
        """The explanation of a filter, or of an entry of a cohort."""
        if isinstance(item, PropertyFilter):
            return self._explain_property(item)
        if isinstance(item, CohortFilter):
            return self._explain_cohort(item)
        if isinstance(item, FlagFilter):
            return self._explain_flag(item)
        if isinstance(item, OpaqueFilter):
            return self._explanation(item, None, item.problem)
        if isinstance(item, NegatedEntry):
            return self._explain_negated(item)
        return self._explain_combination(item)

    def _explain_property(self, item: PropertyFilter) -> FilterExplanation:
        seen, outcome = item.seen(self._person), item.outcome(self._person)
        if seen is MISSING and not isinstance(outcome, bool):
            self.missing.append(self._name(item))
        # Beyond the evaluation limit no check is compiled: reading its problem would compile it.
        return self._explanation(item, seen, None if outcome is Reason.EVALUATION_LIMIT else item.check.problem)

    def _name(self, item: PropertyFilter) -> str:
        if not isinstance(item, GroupFilter):
            return f"person property {short(item.key)}"
        if item.group_type is None or self._person.group(item.group_type) is None:
            return f"group {short(item.group_type or 'of an unknown type')}"
        return f"{item.group_type} property {short(item.key)}"

    def _explain_cohort(self, item: CohortFilter) -> FilterExplanation:
        cohort = item.cohort
        if cohort is None or cohort.root is None:
            return self._explanation(item, None, item.problem if cohort is None else cohort.problem, key=None)
        parts: tuple[FilterExplanation, ...] = ()
        if cohort.identifier not in self._cohorts:
            self._cohorts.add(cohort.identifier)
            parts = (self._explain_combination(cohort.root),)
        return self._explanation(item, None, None, parts, key=None)

    def _explain_flag(self, item: FlagFilter) -> FilterExplanation:
        values = None if item.target is None else self._person.targets.get(item.target)
        note = item.problem or ("its flag dependencies are circular or too deep" if item.unsettled else None)
        return self._explanation(item, MISSING if values is None else sorted(values, key=str), note)

    def _explain_negated(self, item: NegatedEntry) -> FilterExplanation:
        part = self.explain(item.entry)
        outcome = item.outcome(self._person)
        return FilterExplanation(
            "NOT", None, None, None, None, outcome_word(outcome), reason_of(outcome), None, (part,)
        )

    def _explain_combination(self, item: Combination) -> FilterExplanation:
        outcome = item.outcome(self._person)
        parts = tuple([self.explain(entry) for entry in item.entries])
        kind = "AND" if item.conjunction else "OR"
        return FilterExplanation(kind, None, None, None, None, outcome_word(outcome), reason_of(outcome), None, parts)

    def _explanation(
        self,
        item: Filter,
        seen: Any,
        note: str | None,
        parts: tuple[FilterExplanation, ...] = (),
        *,
        key: Any = MISSING,
    ) -> FilterExplanation:
        outcome = item.outcome(self._person)
        name = item.key if key is MISSING else key
        return FilterExplanation(
            str(item.type),
            name,
            item.operator,
            item.value,
            seen,
            outcome_word(outcome),
            reason_of(outcome),
            note,
            parts,
        )


def outcome_word(outcome: Outcome) -> str:
    """An outcome, for people."""
    if isinstance(outcome, bool):
        return "match" if outcome else "no match"
    return "unknown"


def reason_of(outcome: Outcome) -> Reason | None:
    """Why an outcome is unknown, if it is."""
    return None if isinstance(outcome, bool) else outcome


def short(value: object) -> str:
    """A short text for a value of any type and size."""
    abbreviation = Repr()
    abbreviation.maxstring = abbreviation.maxother = 60
    try:
        return abbreviation.repr(value)
    except Exception:  # a property's own __repr__, or an integer too long to convert: explaining must not fail
        return f"a value of the type {type(value).__name__}"
