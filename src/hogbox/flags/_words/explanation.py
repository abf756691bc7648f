"""Explanations of flag values: every part of the decision, with its input.

There is no second evaluation here: the decision is `Flag.decide` over the findings of the flag's conditions, and each
line comes from the part that it describes.
"""

from __future__ import annotations

from dataclasses import dataclass

from hogbox.flags._bucket import HOLDOUT_PREFIX, Identity, digest, fraction
from hogbox.flags._condition import ConditionFinding, FlagCondition
from hogbox.flags._evaluator import unknown_flag
from hogbox.flags._flag import Flag
from hogbox.flags._person import EvaluatedPerson, Value
from hogbox.flags._reason import Reason, all_of
from hogbox.flags._result import FlagResult, FlagValue
from hogbox.flags._words.filter_explanation import Examiner, FilterExplanation, outcome_word


@dataclass(frozen=True, slots=True)
class RolloutExplanation:
    """The hash of an identifier, and the extent of the rollout (or of the holdout)."""

    percentage: float | None
    """From 0 to 100; None if the condition has no percentage, which includes everybody."""

    hash: float | None
    """From 0 to 1; None without an identifier to hash."""

    bound: float
    """From 0 to 1: a hash up to this value is included."""

    outcome: str
    """ "match" (in), "no match" (out) or "unknown"."""


@dataclass(frozen=True, slots=True)
class ConditionExplanation:
    """One condition, or one rule."""

    index: int
    """From 0, as in `FlagResult.condition_index`."""

    audience: str
    """ "person", or the type of the group that the condition is for."""

    outcome: str
    """ "match", "no match", "unknown", "out of rollout", or "skipped" (its group was not passed).

    A rule may also be "held out" or "paused".
    """

    decisive: bool
    """Whether this condition gave the flag its value."""

    reached: bool
    """Whether the condition was evaluated; False after the decisive one."""

    filters: tuple[FilterExplanation, ...]
    rollout: RolloutExplanation
    values: tuple[FlagValue, ...]
    """The values that the condition can give; empty if it certainly gives none."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a flag has its value for a person. `str()` returns the complete text."""

    result: FlagResult
    possible: tuple[FlagValue, ...] | None
    """Every value that PostHog could return; None if it could be any value."""

    conditions: tuple[ConditionExplanation, ...]
    holdout: RolloutExplanation | None
    missing: tuple[str, ...]
    """The required data that was not passed, such as `person property 'plan'`."""

    sentence: str
    """A summary in one sentence."""

    def __str__(self) -> str:
        lines = [self.sentence]
        for condition in self.conditions:
            lines.append(f"  {condition.sentence}")
            lines.extend(f"    {line}" for item in condition.filters for line in item.lines())
        if self.missing:
            lines.append(f"  missing: {', '.join(self.missing)}")
        return "\n".join(lines)


def explain_unknown(key: str) -> Explanation:
    """The explanation for an unknown key."""
    return Explanation(unknown_flag(key), None, (), None, (), f"There is no flag {key!r} in the definitions.")


def explain_flag(flag: Flag, person: EvaluatedPerson) -> Explanation:
    """The explanation of a flag with conditions; the person has the values of its prerequisites already."""
    findings = tuple(flag.examine(person))
    decision = flag.decide(person, findings)
    result = flag.result(decision)
    examiner = _ConditionExaminer(flag, person, result.condition_index, _last_reached(flag, person, findings))
    conditions = tuple([examiner.explain(index, finding) for index, finding in enumerate(findings)])
    possible = None if decision.values is None else tuple(sorted(decision.values, key=str))
    missing = () if result.conclusive else tuple(dict.fromkeys(examiner.missing))
    return Explanation(result, possible, conditions, _holdout(flag, person), missing, _sentence(flag, result, possible))


def _last_reached(flag: Flag, person: EvaluatedPerson, findings: tuple[ConditionFinding, ...]) -> int:
    """The condition that ends the loop of section 3; -1 if the loop is not entered."""
    if flag.settled is not None or flag.held_out(person) is True:
        return -1
    for index, finding in enumerate(findings):
        ends = finding.rolled is True or (flag.early_exit and finding.rolled is False)
        if finding.matched is True and ends:
            return index
    return len(findings) - 1


class _ConditionExaminer:
    """Explains the conditions of one flag."""

    def __init__(self, flag: Flag, person: EvaluatedPerson, decisive: int | None, last_reached: int) -> None:
        self._flag = flag
        self._person = person
        self._decisive = decisive
        self._last_reached = last_reached
        self._examiner = Examiner(person)
        self.missing: list[str] = []

    def explain(self, index: int, finding: ConditionFinding) -> ConditionExplanation:
        condition = self._flag.conditions[index]
        filters = tuple([self._examiner.explain(item) for item in condition.filters])
        identity = condition.bucketing.identity(self._person, condition.audience)
        rollout = _rollout(condition, identity)
        outcome = _condition_outcome(finding)
        reached = index <= self._last_reached
        if reached and outcome == "unknown":
            self.missing.extend(self._examiner.missing)
            if identity is not None and identity.reason is Reason.MISSING_CONTEXT:
                self.missing.append("device id" if identity.device_missing else "an identifier to hash")
        self._examiner.missing.clear()
        decisive = index == self._decisive and reached
        return ConditionExplanation(
            index=index,
            audience=condition.audience.type_name
            or ("person" if condition.audience.index is None else "unknown group"),
            outcome=outcome,
            decisive=decisive,
            reached=reached,
            filters=filters,
            rollout=rollout,
            values=finding.values,
            sentence=_condition_sentence(index, outcome, rollout, reached),
        )


def _condition_outcome(finding: ConditionFinding) -> str:
    if finding.skipped:
        return "skipped"
    if finding.matched is True and finding.rolled is False:
        return "out of rollout"
    return outcome_word(all_of((finding.matched, finding.rolled)))


def _rollout(condition: FlagCondition, identity: Identity | None) -> RolloutExplanation:
    percentage = condition.rollout.percentage
    bound = 1.0 if percentage is None else min(max(percentage / 100, 0.0), 1.0)
    outcome = False if identity is None else condition.rollout.outcome(condition.bucketing.key, identity)
    identifier = None if identity is None else identity.identifier
    hashed = None if identifier is None else fraction(digest(condition.bucketing.key + identifier))
    return RolloutExplanation(percentage, hashed, bound, outcome_word(outcome))


def _holdout(flag: Flag, person: EvaluatedPerson) -> RolloutExplanation | None:
    holdout = flag.holdout
    if holdout is None:
        return None
    identity = flag.bucketing.identity(person, flag.audience)
    identifier = None if identity is None else identity.identifier
    hashed = None if identifier is None else fraction(digest(HOLDOUT_PREFIX + identifier))
    return RolloutExplanation(holdout.percentage, hashed, holdout.percentage / 100, outcome_word(flag.held_out(person)))


_OUTCOMES = {
    "match": "matches",
    "no match": "does not match",
    "skipped": "is for a group that was not passed",
    "unknown": "may or may not match",
}


def _condition_sentence(index: int, outcome: str, rollout: RolloutExplanation, reached: bool) -> str:
    what = _OUTCOMES.get(outcome, "has matching filters, but the identifier is outside its rollout")
    extent = "everybody" if rollout.percentage is None else f"{rollout.percentage:g} %"
    hashed = "" if rollout.hash is None else f", hash {rollout.hash:.6f}, included up to {rollout.bound:g}"
    after = "" if reached else "; not reached"
    return f"Condition {index + 1} {what} (rollout: {extent}{hashed}){after}."


def _sentence(flag: Flag, result: FlagResult, possible: tuple[Value, ...] | None) -> str:
    number = None if result.condition_index is None else result.condition_index + 1
    because = {
        Reason.FLAG_DISABLED: "it is not active",
        Reason.SUPER_CONDITION_VALUE: "the person's early-access enrolment decides",
        Reason.HOLDOUT_CONDITION_VALUE: "the person is in the holdout",
        Reason.CONDITION_MATCH: f"condition {number} matches",
        Reason.OUT_OF_ROLLOUT_BOUND: f"condition {number} matches, but the person is outside its rollout",
        Reason.NO_CONDITION_MATCH: "no condition matches",
        Reason.NO_GROUP_TYPE: "none of the groups in its conditions was passed",
        Reason.EXPERIENCE_CONTINUITY: "the bucket depends on an identifier that only PostHog has stored",
        Reason.UNSUPPORTED_DEFINITION: flag.problem or "part of its definition can only be evaluated by PostHog",
        Reason.EVALUATION_LIMIT: "its filters would take too long for these properties",
        Reason.UNRESOLVED_DEPENDENCY: "a flag that it depends on is inconclusive itself",
        Reason.MISSING_CONTEXT: "required data was not passed",
    }[Reason(str(result.reason))]
    if result.conclusive:
        return f"Flag {flag.key!r} is {result.value!r}: {because}."
    among = f" (possible: {', '.join(map(repr, possible))})" if possible else ""
    return f"Flag {flag.key!r} is inconclusive: {because}{among}."
