"""One flag, read from its definition: all its parts, and the decision that they give for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hogbox.flags._bucket import Holdout, Variants
from hogbox.flags._condition import Audience, Bucketing, ConditionFinding, FlagCondition
from hogbox.flags._decision import Decision, Tally
from hogbox.flags._definition import (
    DefinitionsDocument,
    audience_of,
    condition_of,
    filters_of,
    holdout_of,
    objects_of,
    variants_of,
)
from hogbox.flags._filter import FlagFilter, PropertyFilter
from hogbox.flags._person import EvaluatedPerson, Value
from hogbox.flags._reason import MalformedError, Outcome, Reason, all_of
from hogbox.flags._result import FlagResult
from hogbox.flags._value import MISSING, UNUSABLE, json_value

PERSONS = Audience(None, None)

# Section 8: a group that was not given is hashed as the empty text, which gives 0.9268829483920294.
_EMPTY_GROUP_HELD_OUT_ABOVE = 92

DISABLED = Decision(frozenset({False}), Reason.FLAG_DISABLED)
UNSUPPORTED = Decision(None, Reason.UNSUPPORTED_DEFINITION)


class Flag:
    """A flag, ready to be decided; what cannot be understood is in `problem`, and then the flag is inconclusive."""

    __slots__ = (
        "_results",
        "active",
        "audience",
        "bucketing",
        "conditions",
        "dependencies",
        "early_exit",
        "enrollment",
        "holdout",
        "key",
        "payloads",
        "prerequisites",
        "problem",
        "super_condition",
    )

    def __init__(self, raw: Mapping[str, Any], definitions: DefinitionsDocument) -> None:
        self.key: str = raw["key"]
        self.active = bool(raw.get("active")) and raw.get("deleted") is not True
        self.problem: str | None = None
        self.payloads: Mapping[str, Any] = {}
        self.audience = PERSONS
        self.bucketing = Bucketing(b"", "distinct_id", Variants())
        self.conditions: tuple[FlagCondition, ...] = ()
        self.super_condition: FlagCondition | None = None
        self.holdout: Holdout | None = None
        self.early_exit = self.enrollment = False
        self.dependencies: tuple[FlagFilter, ...] = ()
        self.prerequisites: tuple[str, ...] | None = None
        """The flags to decide before, in order; None until somebody worked it out."""
        self._results: dict[Decision, FlagResult] = {}
        if not self.active:
            return
        try:
            self._read(raw, definitions)
        except MalformedError as malformed:
            self.problem = str(malformed)

    def _read(self, raw: Mapping[str, Any], definitions: DefinitionsDocument) -> None:
        if self.key in definitions.repeated:
            raise MalformedError("several flags have its key")
        filters = filters_of(raw)
        self.early_exit = filters.get("early_exit") is True
        self.enrollment = filters.get("feature_enrollment") is True
        self.audience = audience_of(filters, definitions)
        self.bucketing = _bucketing(raw, variants_of(filters))
        self.holdout = holdout_of(filters)
        self.conditions = tuple(
            [condition_of(item, self.audience, self.bucketing, definitions) for item in objects_of(filters, "groups")]
        )
        self.super_condition = self._read_super(filters, definitions)
        payloads = filters.get("payloads")
        if isinstance(payloads, Mapping) and raw.get("has_encrypted_payloads") is not True:
            self.payloads = payloads
        conditions = (*self.conditions, self.super_condition) if self.super_condition else self.conditions
        self.dependencies = tuple(
            [item for condition in conditions for item in condition.filters if isinstance(item, FlagFilter)]
        )

    def _read_super(self, filters: Mapping[str, Any], definitions: DefinitionsDocument) -> FlagCondition | None:
        """The first of the legacy `super_groups`, if it has filters; only a person's (section 3, step 5)."""
        groups = [] if filters.get("super_groups") is None else objects_of(filters, "super_groups")
        if self.enrollment or not groups or not groups[0].get("properties"):
            return None
        raw = {name: groups[0].get(name) for name in ("properties", "rollout_percentage")}
        return condition_of(raw, PERSONS, self.bucketing, definitions)

    @property
    def settled(self) -> Decision | None:
        """The decision for everybody: off if inactive, inconclusive if malformed; else None."""
        if not self.active:
            return DISABLED
        return None if self.problem is None else UNSUPPORTED

    @property
    def settled_result(self) -> FlagResult | None:
        """The result for everybody; None where it depends on the person."""
        settled = self.settled
        return None if settled is None else self.result(settled)

    @property
    def targets(self) -> list[str]:
        """The flags that this one depends on directly."""
        return [item.target for item in self.dependencies if item.target is not None]

    def examine(self, person: EvaluatedPerson) -> Iterable[ConditionFinding]:
        """What each condition says, one after the other as they are asked for."""
        return (condition.examine(person) for condition in self.conditions)

    def decide(self, person: EvaluatedPerson, findings: Iterable[ConditionFinding]) -> Decision:
        """Everything that the service could answer, in the order of section 3."""
        settled = self.settled
        if settled is not None:
            return settled
        if self.enrollment:
            enrolled = self._enrolled(person)
            if enrolled is not None:
                return enrolled
        tally = Tally(self.early_exit)
        self._add_super(person, tally)
        # The service fails a flag closed whose dependencies it cannot order, wherever they stand (rule F2).
        for item in self.dependencies:
            if item.broken or item.unsettled:
                tally.add(False, Reason.UNSUPPORTED_DEFINITION if item.broken else Reason.UNRESOLVED_DEPENDENCY)
        held_out = self.held_out(person)
        if held_out is not False and self.holdout is not None:
            tally.add(self.holdout.value, None if held_out is True else held_out)
        if held_out is True:
            return tally.decision()._replace(reason=tally.doubt or Reason.HOLDOUT_CONDITION_VALUE)
        tally.run(findings)
        return tally.decision()

    def _enrolled(self, person: EvaluatedPerson) -> Decision | None:
        """What early-access enrolment decides; None where the property is known to be unset (section 19)."""
        enrolled = person.properties.get(f"$feature_enrollment/{self.key}", MISSING)
        if enrolled is MISSING:
            return None if person.complete else Decision(None, Reason.MISSING_CONTEXT)
        plain = json_value(enrolled)
        if plain is UNUSABLE:
            return Decision(None, Reason.MISSING_CONTEXT)
        value = plain is True or plain == "true"
        return Decision(frozenset({value}), Reason.SUPER_CONDITION_VALUE, 0)

    def _add_super(self, person: EvaluatedPerson, tally: Tally) -> None:
        """The service decides by it or no longer reads it: both are possible (rule H3)."""
        condition = self.super_condition
        if condition is None:
            return
        passed = any(isinstance(item, PropertyFilter) and item.key in person.properties for item in condition.filters)
        if not passed:
            if not person.complete:
                tally.values.update((True, False))
                tally.doubt = Reason.MISSING_CONTEXT
            return
        finding = condition.examine(person)
        outcome = all_of((finding.matched, finding.rolled))
        if isinstance(outcome, bool):
            tally.add(outcome, None)
        else:
            tally.values.update((True, False))
            tally.doubt = outcome

    def evaluate(self, person: EvaluatedPerson) -> FlagResult:
        """What the flag is for a person."""
        return self.result(self.decide(person, self.examine(person)))

    def possible_values(self, person: EvaluatedPerson) -> frozenset[Value] | None:
        """Everything that the flag could be for a person; None where it could be anything."""
        return self.decide(person, self.examine(person)).values

    def held_out(self, person: EvaluatedPerson) -> Outcome:
        """Whether the holdout keeps the person, or the group, out."""
        if self.holdout is None:
            return False
        identity = self.bucketing.identity(person, self.audience)
        if identity is not None:
            return self.holdout.outcome(identity)
        return Reason.MISSING_CONTEXT if self.holdout.percentage > _EMPTY_GROUP_HELD_OUT_ABOVE else False

    def result(self, decision: Decision) -> FlagResult:
        """The result for a decision; there are few different ones, so each is made once."""
        result = self._results.get(decision)
        if result is None:
            result = FlagResult(
                self.key, decision.value, decision.reason, decision.condition_index, self._payload(decision)
            )
            self._results[decision] = result
        return result

    def _payload(self, decision: Decision) -> Any:
        value = decision.value
        return None if value is None or value is False else self.payloads.get("true" if value is True else value)


def _bucketing(raw: Mapping[str, Any], variants: Variants) -> Bucketing:
    key = f"{raw['key']}.".encode("utf-8", "surrogatepass")
    if raw.get("bucketing_identifier") == "device_id":
        return Bucketing(key, "device_id", variants)
    continuity = raw.get("ensure_experience_continuity")
    if not isinstance(continuity, bool | None):
        raise MalformedError("`ensure_experience_continuity` is neither true nor false")
    return Bucketing(key, "stored_id" if continuity else "distinct_id", variants)
