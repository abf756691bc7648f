"""Explanations of flags with rules. What a rule hashes begins with its seed, which no text shows."""

from __future__ import annotations

from hogbox.flags._bucket import EVERYBODY, digest, fraction
from hogbox.flags._person import EvaluatedPerson
from hogbox.flags._reason import Outcome, Reason
from hogbox.flags._result import FlagResult, FlagValue
from hogbox.flags._rules.flag import RuleDecision, RulesFlag, subject_of
from hogbox.flags._rules.rule import Answer, Rule, Share
from hogbox.flags._words.explanation import ConditionExplanation, Explanation, RolloutExplanation
from hogbox.flags._words.filter_explanation import Examiner, outcome_word


def explain_rules(flag: RulesFlag, person: EvaluatedPerson) -> Explanation:
    """The explanation of a flag with rules."""
    decision = flag.decide(person)
    result = flag.result(decision)
    explainer = _RuleExplainer(flag, person, decision)
    rules = tuple([explainer.explain(index, rule) for index, rule in enumerate(flag.rules)])
    missing = () if result.conclusive else tuple(dict.fromkeys(explainer.missing))
    possible = (result.value,) if result.conclusive else None
    return Explanation(result, possible, rules, None, missing, _sentence(flag, result))


class _RuleExplainer:
    """Explains the rules of one flag, in order: where the first error or answer is, the evaluation ends."""

    def __init__(self, flag: RulesFlag, person: EvaluatedPerson, decision: RuleDecision) -> None:
        self._flag = flag
        self._person = person
        self._decision = decision
        self._subject = subject_of(person)
        self._ended = flag.settled is not None
        self._examiner = Examiner(person)
        self.missing: list[str] = []

    def explain(self, index: int, rule: Rule) -> ConditionExplanation:
        targeted = rule.targets(self._person)
        filters = tuple([self._examiner.explain(predicate) for predicate in rule.predicates])
        answer = rule.answer(self._subject) if targeted is True else None
        outcome = _outcome(targeted, answer)
        reached = not self._ended
        if reached and outcome == "unknown":
            self.missing.extend(self._examiner.missing)
        self._examiner.missing.clear()
        self._ended = self._ended or outcome == "unknown" or answer is not None
        rollout = _rollout(rule.rollout, self._subject)
        return ConditionExplanation(
            index=index,
            audience="person",
            outcome=outcome,
            decisive=reached and index == self._decision.rule_index,
            reached=reached,
            filters=filters,
            rollout=rollout,
            values=self._values(index, answer),
            sentence=_rule_sentence(index, rule, outcome, rollout, answer, reached),
        )

    def _values(self, index: int, answer: Answer | None) -> tuple[FlagValue, ...]:
        if answer is None:
            return ()
        decision = self._flag.decision(index, answer.reason, answer.variant)
        return (self._flag.value(decision),) if decision.rule_index is not None else ()


def _outcome(targeted: Outcome, answer: Answer | None) -> str:
    if targeted is not True:
        return outcome_word(targeted)
    if answer is None:
        return "out of rollout"
    return _OUTCOMES.get(answer.reason, "unknown")


_OUTCOMES = {
    Reason.TARGETING_MATCH: "match",
    Reason.ROLLOUT_MISS: "out of rollout",
    Reason.EXPERIMENT_PAUSED: "paused",
    Reason.HOLDOUT: "held out",
}


def _rollout(share: Share, subject: Outcome | bytes) -> RolloutExplanation:
    hashed = fraction(digest(share.prefix + subject)) if share.prefix and isinstance(subject, bytes) else None
    included: Outcome = subject if isinstance(subject, Reason) else False
    if not share.prefix:
        included = True
    elif isinstance(subject, bytes):
        included = share.includes(subject, digest)
    percentage = None if share.bound is EVERYBODY and not share.prefix else share.percentage
    return RolloutExplanation(percentage, hashed, share.percentage / 100, outcome_word(included))


_WORDS = {
    "match": "matches",
    "no match": "does not match",
    "unknown": "may or may not match",
    "out of rollout": "matches, but the person is outside its rollout",
    "paused": "matches, but its experiment is paused",
    "held out": "matches, but the person is in its holdout",
}


def _rule_sentence(
    index: int, rule: Rule, outcome: str, rollout: RolloutExplanation, answer: Answer | None, reached: bool
) -> str:
    extent = "everybody" if rollout.percentage is None else f"{rollout.percentage:g} %"
    hashed = "" if rollout.hash is None else f", hash {rollout.hash:.6f}, included up to {rollout.bound:g}"
    variant = f", variant {answer.variant.key}" if answer is not None and answer.variant is not None else ""
    after = "" if reached else "; not reached"
    kind = rule.type.replace("_", " ")
    return f"Rule {index + 1} ({kind}) {_WORDS[outcome]} (rollout: {extent}{hashed}{variant}){after}."


def _sentence(flag: RulesFlag, result: FlagResult) -> str:
    number = None if result.condition_index is None else result.condition_index + 1
    because = {
        Reason.FLAG_DISABLED: "it is not active",
        Reason.TARGETING_MATCH: f"rule {number} matches",
        Reason.ROLLOUT_MISS: f"rule {number} matches, but the person is outside its rollout",
        Reason.EXPERIMENT_PAUSED: f"rule {number} matches, but its experiment is paused",
        Reason.HOLDOUT: f"rule {number} matches, but the person is in its holdout",
        Reason.NO_RULE_MATCH: "no rule matches",
        Reason.UNSUPPORTED_DEFINITION: flag.problem or "part of its definition can only be evaluated by PostHog",
        Reason.EVALUATION_LIMIT: "its filters would take too long for these properties",
        Reason.MISSING_CONTEXT: "required data was not passed",
    }[Reason(str(result.reason))]
    if not result.conclusive:
        return f"Flag {flag.key!r} is inconclusive: {because}."
    if result.value is None:
        return f"Flag {flag.key!r} has no value of its own, so your default is used: {because}."
    return f"Flag {flag.key!r} is {result.value!r}: {because}."
