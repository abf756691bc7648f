"""What a change of a flag's rules does to the people who have values already (rules v2, 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any, NamedTuple

from hogbox.flags._operators.table import Matching
from hogbox.flags._operators.version import Versions
from hogbox.flags._rules.flag import RulesFlag
from hogbox.flags._rules.rule import Rule
from hogbox.flags._rules.source import has_rules
from hogbox.flags._value import MISSING
from hogbox.flags._words.text import filter_words

_SEEDS = frozenset({("filters", "rules", "seed"), ("filters", "rules", "holdout", "seed")})
_DEEPEST_SEED = 5


def warnings_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The effects of the change, each beginning with the contract's word for it."""
    if not has_rules(before) or not has_rules(after):
        return ()
    old, new = _rules(before), _rules(after)
    lasting = {(one.word, one.rule) for one in _standing(old)}
    return (*_moves(old, new), *[str(one) for one in _standing(new) if (one.word, one.rule) not in lasting])


def without_seeds(path: tuple[str | int, ...], value: Any) -> Any:
    """A part of a flag's definition, with words in place of seeds."""
    if value is not MISSING and tuple(step for step in path if isinstance(step, str)) in _SEEDS:
        return "a seed"
    if len(path) >= _DEEPEST_SEED:
        return value
    if isinstance(value, Mapping):
        return {name: without_seeds((*path, name), member) for name, member in value.items()}
    if isinstance(value, list):
        return [without_seeds((*path, place), member) for place, member in enumerate(value)]
    return value


def _rules(raw: Mapping[str, Any]) -> tuple[Rule, ...]:
    return RulesFlag({**raw, "active": True, "deleted": False}, Matching(1, UTC, Versions()), None).rules


def _moves(old: tuple[Rule, ...], new: tuple[Rule, ...]) -> Iterator[str]:
    """What happened to rules that are in both."""
    places = {rule.id.lower(): place for place, rule in enumerate(old)}
    kept = [(number, rule, places[rule.id.lower()]) for number, rule in _numbered(new) if rule.id.lower() in places]
    for (number, _, place), (_, _, earlier) in zip(kept[1:], kept, strict=False):
        if place < earlier:
            yield f"RULE_ORDER_CHANGES_TRAFFIC: rule {number} was before the rule that it follows now"
    for number, rule, place in kept:
        if _reseeded(old[place], rule):
            yield f"ASSIGNMENT_RESET_CHANGES_TRAFFIC: the seed of rule {number} changed, so people are assigned again"
    for number, rule in _numbered(new):
        before = _predecessor(rule, number - 1, old, new)
        if before is not None and _concludes(before, rule):
            yield f"CONCLUSION_EXPANDS_POPULATION: rule {number} was an experiment, and is for all whom it targets now"


def _predecessor(rule: Rule, place: int, old: tuple[Rule, ...], new: tuple[Rule, ...]) -> Rule | None:
    """The rule with its id before, else the one in its place if that is gone."""
    before = {one.id.lower(): one for one in old}
    if rule.id.lower() in before:
        return before[rule.id.lower()]
    gone = place < len(old) and old[place].id.lower() not in {one.id.lower() for one in new}
    return old[place] if gone else None


def _reseeded(before: Rule, after: Rule) -> bool:
    one, other = before.experiment, after.experiment
    holdouts = (one and one.holdout, other and other.holdout)
    held = [holdout.prefix for holdout in holdouts if holdout]
    drawn = [rule.rollout.prefix for rule in (before, after) if rule.rollout.prefix]
    return len(set(held)) > 1 or len(set(drawn)) > 1


def _concludes(before: Rule, after: Rule) -> bool:
    """Whether a release takes the place of an experiment, for the same people."""
    targets = [[filter_words(predicate) for predicate in rule.predicates] for rule in (before, after)]
    return before.experiment is not None and after.type == "targeted_release" and targets[0] == targets[1]


class _Standing(NamedTuple):
    word: str
    rule: str
    """Its id."""
    effect: str

    def __str__(self) -> str:
        return f"{self.word}: {self.effect}"


def _standing(rules: tuple[Rule, ...]) -> Iterator[_Standing]:
    """What is so in a document, whatever it was before."""
    for number, rule in _numbered(rules[:-1]):
        if not rule.predicates and _always_ends(rule):
            effect = f"rule {number} always decides, so the rules after it are not reached"
            yield _Standing("UNREACHABLE_LOWER_RULE", rule.id.lower(), effect)
        elif not _always_ends(rule):
            effect = f"who is outside of the rollout of rule {number} goes on to the next rule"
            yield _Standing("ROLLOUT_MISS_CAN_ENTER_LOWER_RULE", rule.id.lower(), effect)


def _always_ends(rule: Rule) -> bool:
    """Whether everyone whom it targets gets an answer; an empty distinct id aside."""
    paused = rule.experiment is not None and rule.experiment.paused
    return paused or rule.missed_ends or rule.rollout.percentage == 100


def _numbered(rules: tuple[Rule, ...]) -> Iterator[tuple[int, Rule]]:
    return enumerate(rules, start=1)
