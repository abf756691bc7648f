"""Writes the source for flags with rules: their rules unrolled, in order."""

from __future__ import annotations

from collections import Counter
from hashlib import sha1
from typing import Final

from hogbox.flags._bucket import EVERYBODY, VARIANT_SALT
from hogbox.flags._compiled.filter_source import FilterSource, needs_person
from hogbox.flags._person import FLAG_STEPS
from hogbox.flags._reason import Reason
from hogbox.flags._rules.flag import NO_MATCH, RuleDecision, RulesFlag
from hogbox.flags._rules.rule import Rule, Share

_MOST_RULES: Final = 20
_MOST_PREDICATES: Final = 30

_DOUBTS: Final = (Reason.UNSUPPORTED_DEFINITION, Reason.EVALUATION_LIMIT, Reason.MISSING_CONTEXT)


def rules_are_simple(flag: RulesFlag) -> bool:
    """Whether a function is worth writing, and the plain evaluator does not give the flag up for its cost."""
    predicates = [predicate for rule in flag.rules for predicate in rule.predicates]
    return (
        len(flag.rules) <= _MOST_RULES
        and all(len(rule.predicates) <= _MOST_PREDICATES for rule in flag.rules)
        and sum(predicate.price for predicate in predicates) <= FLAG_STEPS
    )


def rules_need_person(flag: RulesFlag) -> bool:
    """Whether the rules look at more than the person's properties."""
    return any(needs_person(predicate) for rule in flag.rules for predicate in rule.predicates)


class RulesWriter:
    """Writes one flag into a source."""

    def __init__(self, source: FilterSource, flag: RulesFlag, leave: str, leave_slow: str) -> None:
        self._source = source
        self._flag = flag
        self._leave = leave
        self._leave_slow = leave_slow
        source.names |= {"SALT": VARIANT_SALT, "sha1": sha1}
        drawn = [rule.rollout.prefix for rule in flag.rules if rule.rollout.bound is not EVERYBODY]
        self._repeated = {prefix for prefix, count in Counter(drawn).items() if count > 1}
        self._kept: dict[bytes, str] = {}
        self._doubts = source.name({reason: flag.result(RuleDecision(reason)) for reason in _DOUBTS})

    def write(self, depth: int) -> None:
        """All rules, and the default after them."""
        for prefix in sorted(self._repeated):
            self._kept[prefix] = f"hashed_{self._source.fresh()}"
            self._line(depth, f"{self._kept[prefix]} = None")
        if any(rule.predicates for rule in self._flag.rules):
            # Without any properties the first predicate is an error, whatever is vouched for.
            self._line(depth, "if person is not None and not person.has_properties:")
            self._line(depth + 1, self._leave_slow)
        for index, rule in enumerate(self._flag.rules):
            self._write_rule(depth, index, rule)
        self._line(depth, self._result(NO_MATCH))

    def _write_rule(self, depth: int, index: int, rule: Rule) -> None:
        if not rule.predicates:
            self._write_answer(depth, index, rule)
            return
        ends: list[tuple[int, str]] = []
        for predicate in rule.predicates:
            outcome = self._source.filter(depth, predicate)
            self._line(depth, f"if {outcome} is True:")
            ends.append((depth, outcome))
            depth += 1
        self._write_answer(depth, index, rule)
        for outer, outcome in reversed(ends):
            self._line(outer, f"elif {outcome} is not False:")
            self._line(outer + 1, self._leave.format(f"{self._doubts}[{outcome}]"))

    def _write_answer(self, depth: int, index: int, rule: Rule) -> None:
        experiment = rule.experiment
        if experiment is not None and experiment.paused:
            self._leave_with(depth, index, Reason.EXPERIMENT_PAUSED)
            return
        if experiment is not None and experiment.holdout is not None:
            held_out = self._included(experiment.holdout)
            self._line(depth, f"if {held_out}:")
            self._leave_with(depth + 1, index, Reason.HOLDOUT)
        if rule.rollout.bound is EVERYBODY:
            self._write_value(depth, index, rule)
            return
        self._line(depth, f"if {self._included(rule.rollout)}:")
        self._write_value(depth + 1, index, rule)
        if rule.missed_ends:
            self._leave_with(depth, index, Reason.ROLLOUT_MISS)

    def _write_value(self, depth: int, index: int, rule: Rule) -> None:
        experiment = rule.experiment
        if experiment is not None:
            drawn = f"drawn_{self._source.fresh()}"
            self._line(depth, f"{drawn} = sha1({self._name(rule.rollout.prefix)} + identifier + SALT).digest()")
            for place, variant in enumerate(experiment.variants[:-1]):
                self._line(depth, f"if {drawn} < {self._name(variant.bound)}:")
                self._leave_with(depth + 1, index, Reason.TARGETING_MATCH, place)
            self._leave_with(depth, index, Reason.TARGETING_MATCH, len(experiment.variants) - 1)
            return
        self._leave_with(depth, index, Reason.TARGETING_MATCH)

    def _included(self, share: Share) -> str:
        if share.bound is EVERYBODY:
            return "True"
        hashing = f"sha1({self._name(share.prefix)} + identifier).digest()"
        kept = self._kept.get(share.prefix)
        if kept is not None:
            hashing = f"({kept} := {kept} or {hashing})"
        return f"{hashing} < {self._name(share.bound)}"

    def _leave_with(self, depth: int, index: int, reason: Reason, variant: int | None = None) -> None:
        self._line(depth, self._result(RuleDecision(reason, index, variant)))

    def _result(self, decision: RuleDecision) -> str:
        return self._leave.format(self._name(self._flag.result(decision)))

    def _line(self, depth: int, text: str) -> None:
        self._source.line(depth, text)

    def _name(self, thing: object) -> str:
        return self._source.name(thing)
