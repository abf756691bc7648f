"""Texts for flags with rules. A seed is in none of them."""

from __future__ import annotations

from collections.abc import Iterator

from hogbox.flags._reason import Reason
from hogbox.flags._result import FlagValue
from hogbox.flags._rules.flag import RulesFlag
from hogbox.flags._rules.rule import Experiment, Rule
from hogbox.flags._words.filter_explanation import short
from hogbox.flags._words.text import filter_words, value_words


def rule_words(rule: Rule) -> str:
    """A rule as a sentence without a full stop: who matches, how many of them, and what they get."""
    whom = " and ".join(filter_words(predicate) for predicate in rule.predicates)
    return f"{whom}, {_taken(rule)}" if whom else _taken(rule)


def default_words(flag: RulesFlag) -> str:
    """What those get for whom no rule decides."""
    return "only known to PostHog" if flag.problem else given_words(flag.document.default)


def given_words(value: FlagValue) -> str:
    """A value, or that there is none."""
    return "no value of its own: your default" if value is None else value_words(value)


def rules_extent(flag: RulesFlag) -> str:
    """How many people get what a rule gives."""
    if flag.problem:
        return "only known to PostHog"
    reaching = [rule for rule in flag.rules if _reaches(rule)]
    shares = sorted({rule.rollout.percentage for rule in reaching if not rule.predicates})
    if not reaching:
        return "no people"
    if shares and shares[-1] == 100:
        return "all people"
    parts = [f"{shares[-1]:g} % of people"] if shares else []
    matching = sorted({rule.rollout.percentage for rule in reaching if rule.predicates})
    if matching == [100]:
        parts.append("all who match")
    elif matching:
        low = "" if len(matching) == 1 else f"{matching[0]:g} to "
        parts.append(f"{low}{matching[-1]:g} % of those who match")
    return " and ".join(parts)


def rules_needs(flag: RulesFlag) -> Iterator[str]:
    """The data that must be passed for a local evaluation."""
    for rule in flag.rules:
        for predicate in rule.predicates:
            yield f"person property {short(predicate.key)}"


def rules_problems(flag: RulesFlag) -> Iterator[str]:
    """The parts that only PostHog can evaluate, and why."""
    if flag.problem:
        yield flag.problem
    for rule in flag.rules:
        for predicate in rule.predicates:
            check = predicate.check
            if check.problem and check.judge("") is Reason.UNSUPPORTED_DEFINITION:
                yield f"{short(predicate.key)}: {check.problem}"


def _reaches(rule: Rule) -> bool:
    return rule.rollout.hundredths > 0 and not (rule.experiment is not None and rule.experiment.paused)


def _taken(rule: Rule) -> str:
    """How many of those who match get what."""
    experiment = rule.experiment
    if experiment is not None and experiment.paused:
        return "all people, who get the default: the experiment is paused"
    percentage = rule.rollout.percentage
    extent = "all people" if percentage == 100 else f"{percentage:g} % of people" if percentage > 0 else "no people"
    gets = f", who get {value_words(rule.value)}" if experiment is None else _variant_words(experiment)
    others = "; the others get the default" if rule.missed_ends and percentage < 100 else ""
    return f"{extent}{gets}{others}"


def _variant_words(experiment: Experiment) -> str:
    variants = ", ".join(f"{one.key} ({one.weight:g} %): {value_words(one.value)}" for one in experiment.variants)
    held = experiment.holdout
    held_out = f"; {held.percentage:g} % of people are held out and get the default" if held is not None else ""
    return f", who get one of {variants}{held_out}"
