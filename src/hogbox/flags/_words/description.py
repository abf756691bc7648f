"""Descriptions of flags, without a person: conditions, variants, and what only PostHog can evaluate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from hogbox.flags._bucket import EVERYBODY, NOBODY
from hogbox.flags._cohort import Cohort, CohortFilter, Entry, NegatedEntry
from hogbox.flags._condition import Audience, Filter, FlagCondition
from hogbox.flags._definition import DefinitionsDocument
from hogbox.flags._evaluator import AnyFlag, flag_of, prerequisites
from hogbox.flags._filter import FlagFilter, GroupFilter, OpaqueFilter, PropertyFilter
from hogbox.flags._flag import Flag
from hogbox.flags._reason import Reason
from hogbox.flags._rules.flag import RulesFlag
from hogbox.flags._words.filter_explanation import short
from hogbox.flags._words.rules_text import default_words, rule_words, rules_extent, rules_needs, rules_problems
from hogbox.flags._words.text import cohort_words, condition_words, extent_words, unit_words


@dataclass(frozen=True, slots=True)
class FlagDescription:
    """One flag, for people."""

    key: str
    name: str
    """The description in PostHog; may be empty."""

    active: bool
    kind: str
    """ "boolean" or "variants", with the unit if that is not people: "boolean, 'company' groups".

    Of a flag with rules it is the type of its values: "string by rules".
    """

    variants: tuple[tuple[str, float], ...]
    """Each variant with its percentage, in order."""

    rollout: str
    """The extent of the rollout, as text."""

    conditions: tuple[str, ...]
    """Each condition or rule as a sentence without a full stop, in order of evaluation."""

    default: str | None
    """What a flag with rules is where none decides, as text; None for a flag with conditions."""

    holdout: str | None
    """The extent of the holdout, as text."""

    payloads: Mapping[str, Any]
    """By value: "true" or a variant."""

    depends_on: tuple[str, ...]
    """The keys of other flags."""

    cohorts: Mapping[str, str]
    """The members of each cohort in the conditions, as text, by the cohort's id."""

    experiment: bool | None
    """Whether it belongs to an experiment; None if unknown."""

    needs: tuple[str, ...]
    """The data that must be passed for a local evaluation, such as `person property 'plan'`."""

    only_posthog: tuple[str, ...]
    """The parts that only PostHog can evaluate, and why: if one is decisive, the flag is inconclusive locally."""


def describe_flags(document: bytes | str | Mapping[str, Any]) -> dict[str, FlagDescription]:
    """Every flag of a definitions document by its key. Raises DefinitionsError for an invalid document."""
    definitions = DefinitionsDocument.read(document, UTC)
    # As if they were all active: the conditions of an inactive flag are not compiled.
    flags = {
        key: flag_of({**raw, "active": True, "deleted": False}, definitions) for key, raw in definitions.flags.items()
    }
    for flag in flags.values():
        prerequisites(flag, flags.__getitem__)
    return {key: _describe(flag, definitions) for key, flag in flags.items()}


def _describe(flag: AnyFlag, definitions: DefinitionsDocument) -> FlagDescription:
    raw = definitions.flags[flag.key]
    if isinstance(flag, RulesFlag):
        return _describe_rules(flag, raw)
    conditions = (*flag.conditions, flag.super_condition) if flag.super_condition else flag.conditions
    cohorts = {one.identifier: cohort_words(one) for one in _cohorts(conditions)}
    active = _is_active(raw)
    return FlagDescription(
        key=flag.key,
        name=str(raw.get("name") or ""),
        active=active,
        kind=_kind(flag),
        variants=_variants(raw, flag),
        rollout=_rollout(flag) if active else "off",
        conditions=tuple(condition_words(condition) for condition in flag.conditions),
        default=None,
        holdout=_holdout(flag),
        payloads=flag.payloads,
        depends_on=tuple(dict.fromkeys(str(item.key) for item in flag.dependencies)),
        cohorts=cohorts,
        experiment=_has_experiment(raw),
        needs=tuple(dict.fromkeys(_needs(flag, conditions))) if active else (),
        only_posthog=tuple(dict.fromkeys(_only_posthog(flag, conditions, raw))) if active else (),
    )


def _describe_rules(flag: RulesFlag, raw: Mapping[str, Any]) -> FlagDescription:
    active = _is_active(raw)
    return FlagDescription(
        key=flag.key,
        name=str(raw.get("name") or ""),
        active=active,
        kind="rules" if flag.problem else f"{flag.document.return_type} by rules",
        variants=(),
        rollout=rules_extent(flag) if active else "off",
        conditions=tuple(rule_words(rule) for rule in flag.rules),
        default=default_words(flag),
        holdout=None,
        payloads={},
        depends_on=(),
        cohorts={},
        experiment=_has_experiment(raw),
        needs=tuple(dict.fromkeys(rules_needs(flag))) if active else (),
        only_posthog=tuple(dict.fromkeys(rules_problems(flag))) if active else (),
    )


def _is_active(raw: Mapping[str, Any]) -> bool:
    return bool(raw.get("active")) and raw.get("deleted") is not True


def _has_experiment(raw: Mapping[str, Any]) -> bool | None:
    experiment = raw.get("has_experiment")
    return experiment if isinstance(experiment, bool) else None


def _kind(flag: Flag) -> str:
    kind = "variants" if flag.bucketing.variants.keys else "boolean"
    whom = unit_words(flag.audience, flag.bucketing)
    return kind if whom == "people" else f"{kind}, {whom}"


def _variants(raw: Mapping[str, Any], flag: Flag) -> tuple[tuple[str, float], ...]:
    if not flag.bucketing.variants.keys:
        return ()
    return tuple((one["key"], float(one["rollout_percentage"])) for one in raw["filters"]["multivariate"]["variants"])


def _rollout(flag: Flag) -> str:
    if flag.problem:
        return "only known to PostHog"
    reaching = [one for one in flag.conditions if one.rollout.bound is not NOBODY]
    of_all = [one for one in reaching if not one.filters]
    if any(one.rollout.bound is EVERYBODY for one in of_all):
        return extent_words(None, of_all[0].audience, flag.bucketing)
    parts = []
    if of_all:
        largest = max(of_all, key=lambda one: one.rollout.percentage or 0)
        parts.append(extent_words(largest.rollout.percentage, largest.audience, flag.bucketing))
    if shares := sorted({min(_percentage(one), 100.0) for one in reaching if one.filters}):
        parts.append(_share_words(shares))
    return " and ".join(parts) or extent_words(0, flag.audience, flag.bucketing)


def _percentage(condition: FlagCondition) -> float:
    percentage = condition.rollout.percentage
    return 100.0 if percentage is None else percentage


def _share_words(shares: list[float]) -> str:
    if shares == [100.0]:
        return "all who match"
    low = "" if len(shares) == 1 else f"{shares[0]:g} to "
    return f"{low}{shares[-1]:g} % of those who match"


def _holdout(flag: Flag) -> str | None:
    return flag.holdout and f"{extent_words(flag.holdout.percentage, flag.audience, flag.bucketing)} are held out"


def _needs(flag: Flag, conditions: tuple[FlagCondition, ...]) -> Iterator[str]:
    if flag.enrollment:
        yield f"person property {short('$feature_enrollment/' + flag.key)}"
    for item in _filters(conditions):
        if isinstance(item, GroupFilter):
            if item.group_type is not None:
                yield f"{item.group_type} property {short(item.key)}"
        elif isinstance(item, PropertyFilter) and item.key != "distinct_id":
            yield f"person property {short(item.key)}"
    for audience in (flag.audience, *(one.audience for one in conditions)):
        if audience.type_name is not None:
            yield f"group {short(audience.type_name)}"
    if flag.bucketing.by == "device_id" and _hashes(flag):
        yield "device id"


def _only_posthog(flag: Flag, conditions: tuple[FlagCondition, ...], raw: Mapping[str, Any]) -> Iterator[str]:
    if flag.problem:
        yield flag.problem
    if flag.bucketing.by == "stored_id" and _hashes(flag):
        yield "the bucket depends on an identifier that only PostHog has stored (experience continuity)"
    if raw.get("has_encrypted_payloads") is True:
        yield "its payloads are encrypted"
    for audience in (flag.audience, *(one.audience for one in conditions)):
        if _is_unknown(audience):
            yield f"the group type {audience.index} is not in the definitions"
    for item in _filters(conditions):
        if problem := _opacity(item):
            yield problem


def _opacity(item: Filter) -> str | None:
    """Why a filter is unknown for every person, or None."""
    if isinstance(item, OpaqueFilter):
        return item.problem
    if isinstance(item, FlagFilter):
        loops = "its flag dependencies are circular or too deep" if item.unsettled else None
        return item.broken or loops
    if isinstance(item, CohortFilter):
        problem = item.cohort.problem if item.cohort else item.problem
        return problem and f"cohort {short(item.value)}: {problem}"
    if isinstance(item, GroupFilter) and item.group_type is None:
        return f"the group type of the property {short(item.key)} is not in the definitions"
    unsupported = item.check.problem and item.check.judge("") is Reason.UNSUPPORTED_DEFINITION
    return f"{short(item.key)}: {item.check.problem}" if unsupported else None


def _is_unknown(audience: Audience) -> bool:
    return audience.index is not None and audience.type_name is None


def _hashes(flag: Flag) -> bool:
    """Whether the flag's value depends on a bucket."""
    holdout = flag.holdout is not None and 0 < flag.holdout.percentage < 100
    variants = bool(flag.bucketing.variants.keys) and any(one.override is None for one in flag.conditions)
    return holdout or variants or any(one.rollout.bound not in (NOBODY, EVERYBODY) for one in flag.conditions)


def _filters(conditions: tuple[FlagCondition, ...]) -> Iterator[Filter]:
    """The filters of the conditions, with those of their cohorts."""
    for condition in conditions:
        yield from condition.filters
    for cohort in _cohorts(conditions):
        if cohort.root is not None:
            yield from _leaves(cohort.root)


def _cohorts(conditions: tuple[FlagCondition, ...]) -> list[Cohort]:
    """The cohorts in the conditions, and in those cohorts, each once."""
    found: dict[str, Cohort] = {}
    waiting: list[Filter] = [item for condition in conditions for item in condition.filters]
    for item in waiting:
        cohort = item.cohort if isinstance(item, CohortFilter) else None
        if cohort is not None and cohort.identifier not in found:
            found[cohort.identifier] = cohort
            if cohort.root is not None:
                waiting.extend(_leaves(cohort.root))
    return list(found.values())


def _leaves(entry: Entry) -> Iterator[PropertyFilter | CohortFilter]:
    if isinstance(entry, NegatedEntry):
        yield from _leaves(entry.entry)
    elif isinstance(entry, PropertyFilter | CohortFilter):
        yield entry
    else:
        for one in entry.entries:
            yield from _leaves(one)
