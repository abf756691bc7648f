"""One flag with rules, and the decision that they give for a person (rules v2, 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hogbox.flags._bucket import digest
from hogbox.flags._filter import FlagFilter
from hogbox.flags._operators.table import Matching
from hogbox.flags._person import EvaluatedPerson, Value
from hogbox.flags._reason import MalformedError, Outcome, Reason
from hogbox.flags._result import FlagResult
from hogbox.flags._rules.document import RulesDocument, document_of
from hogbox.flags._rules.literal import read_decoded, read_text
from hogbox.flags._rules.rule import Hash, Rule, Variant
from hogbox.flags._rules.value import result_of_value

_NO_RULES: Final = RulesDocument("boolean", None, ())


class RuleDecision(NamedTuple):
    """What decided a flag, or why nothing could."""

    reason: Reason
    rule_index: int | None = None
    """The rule, from 0."""
    variant: int | None = None
    """The variant of an experiment, from 0."""


DISABLED: Final = RuleDecision(Reason.FLAG_DISABLED)
UNSUPPORTED: Final = RuleDecision(Reason.UNSUPPORTED_DEFINITION)
NO_MATCH: Final = RuleDecision(Reason.NO_RULE_MATCH)

_UNDECIDED: Final = frozenset({Reason.UNSUPPORTED_DEFINITION, Reason.EVALUATION_LIMIT, Reason.MISSING_CONTEXT})


class RulesFlag:
    """A flag, ready to be decided; what cannot be understood is in `problem`, and then the flag is inconclusive."""

    __slots__ = ("_results", "active", "document", "key", "problem")

    dependencies: tuple[FlagFilter, ...] = ()
    """Rules look at no other flag."""

    targets: tuple[str, ...] = ()

    def __init__(self, raw: Mapping[str, Any], matching: Matching, text: str | None, *, repeated: bool = False) -> None:
        """`text` is that of the filters, where it is known; `repeated` is whether several flags have the key."""
        self.key: str = raw["key"]
        self.active = bool(raw.get("active")) and raw.get("deleted") is not True
        self.problem: str | None = None
        self.document = _NO_RULES
        self._results: dict[RuleDecision, FlagResult] = {}
        if not self.active:
            return
        try:
            self.document = _read(raw, matching, text, repeated)
        except MalformedError as malformed:
            self.problem = str(malformed)

    @property
    def settled(self) -> RuleDecision | None:
        """The decision for everybody: none if inactive, inconclusive if malformed; else None."""
        if not self.active:
            return DISABLED
        return UNSUPPORTED if self.problem else None

    @property
    def settled_result(self) -> FlagResult | None:
        """The result for everybody; None where it depends on the person."""
        settled = self.settled
        return None if settled is None else self.result(settled)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in order."""
        return self.document.rules

    def decide(self, person: EvaluatedPerson, hashed: Hash = digest) -> RuleDecision:
        """The first rule that has an answer, in the order of section 4."""
        settled = self.settled
        if settled is not None:
            return settled
        subject = subject_of(person)
        for index, rule in enumerate(self.rules):
            targeted = rule.targets(person)
            if targeted is False:
                continue
            if targeted is not True:
                return RuleDecision(targeted)
            answer = rule.answer(subject, hashed)
            if answer is not None:
                return self.decision(index, answer.reason, answer.variant)
        return NO_MATCH

    def decision(self, index: int, reason: Reason, variant: Variant | None = None) -> RuleDecision:
        """The decision by a rule, or why it has none."""
        if reason in _UNDECIDED:
            return RuleDecision(reason)
        experiment = self.rules[index].experiment
        place = None if variant is None or experiment is None else experiment.variants.index(variant)
        return RuleDecision(reason, index, place)

    def evaluate(self, person: EvaluatedPerson) -> FlagResult:
        """What the flag is for a person."""
        return self.result(self.decide(person))

    def possible_values(self, person: EvaluatedPerson) -> frozenset[Value] | None:  # noqa: ARG002 - as other flags
        """What a flag that depends on this one has to compare with: no source says how (rules v2, 6)."""
        return None

    def result(self, decision: RuleDecision) -> FlagResult:
        """The result for a decision; there are few different ones, so each is made once."""
        result = self._results.get(decision)
        if result is None:
            result = self._results[decision] = self._result(decision)
        return result

    def _result(self, decision: RuleDecision) -> FlagResult:
        rule = None if decision.rule_index is None else self.rules[decision.rule_index]
        value = self.value(decision)
        return result_of_value(value)(
            self.key,
            value,
            decision.reason,
            decision.rule_index,
            conclusive=decision.reason not in _UNDECIDED,
            config_version=2,
            rule_type=None if rule is None else rule.type,
            rule_id=None if rule is None else rule.id,
        )

    def value(self, decision: RuleDecision) -> Any:
        """The value that a decision gives; None where it gives none."""
        reason, index, variant = decision
        if reason in _UNDECIDED or reason is Reason.FLAG_DISABLED:
            return None
        if index is None or reason is not Reason.TARGETING_MATCH:
            return self.document.default
        rule = self.rules[index]
        if rule.experiment is None or variant is None:
            return rule.value
        return rule.experiment.variants[variant].value


def _read(raw: Mapping[str, Any], matching: Matching, text: str | None, repeated: bool) -> RulesDocument:
    if repeated:
        raise MalformedError("several flags have its key")
    return document_of(read_decoded(raw["filters"]) if text is None else read_text(text), matching)


def subject_of(person: EvaluatedPerson) -> Outcome | bytes:
    """What is hashed of a person; False for the empty distinct id, and why it can't be where UTF-8 has not its text."""
    if person.distinct is not None:
        return person.distinct
    return Reason.MISSING_CONTEXT if person.distinct_id else False
