"""One condition of a flag: who it is for, how many of them, and what they get (sections 4, 6 and 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from hogbox.flags._bucket import VARIANT_SALT, Identity, Rollout, Variants, digest
from hogbox.flags._cohort import CohortFilter
from hogbox.flags._filter import FlagFilter, OpaqueFilter, PropertyFilter
from hogbox.flags._person import EvaluatedPerson, Value
from hogbox.flags._reason import Outcome, Reason, all_of

Filter: TypeAlias = PropertyFilter | CohortFilter | FlagFilter | OpaqueFilter


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a flag or condition buckets: the person, or the group of a type."""

    index: int | None
    """The group type's index; None for persons."""

    type_name: str | None
    """The group type's name; None for persons, and where the index is not in the definitions."""


@dataclass(frozen=True, slots=True)
class Bucketing:
    """What the conditions of one flag share."""

    key: bytes
    """The flag's key and a dot: what the hashed texts begin with."""

    by: Literal["distinct_id", "device_id", "stored_id"]
    variants: Variants

    def identity(self, person: EvaluatedPerson, audience: Audience) -> Identity | None:
        """Who is bucketed; None where a group is, and was not given."""
        if audience.index is not None:
            if audience.type_name is None:
                return Identity(None, Reason.UNSUPPORTED_DEFINITION)
            group = person.group(audience.type_name)
            return None if group is None else group.identity
        if self.by == "distinct_id":
            return person.by_distinct_id()
        if self.by == "device_id":
            return person.by_device()
        return Identity(None, Reason.EXPERIENCE_CONTINUITY)


class ConditionFinding(NamedTuple):
    """What one condition says about one person."""

    skipped: bool
    """Whether the condition is for a group that was not given."""

    matched: Outcome = False
    rolled: Outcome = False
    values: tuple[Value, ...] = ()
    """What the condition can give, if it is not certain that it gives nothing."""

    doubt: Reason | None = None
    """Why there can be several values."""


@dataclass(frozen=True, slots=True)
class FlagCondition:
    """A condition, ready to be examined."""

    filters: tuple[Filter, ...]
    rollout: Rollout
    override: str | None
    """The variant that the condition forces, if it is one of the flag's."""
    audience: Audience
    bucketing: Bucketing

    def examine(self, person: EvaluatedPerson) -> ConditionFinding:
        """Filters first, then the rollout, then the value: each only where it can still matter."""
        identity = self.bucketing.identity(person, self.audience)
        if identity is None:
            return ConditionFinding(skipped=True)
        matched = self.match(person)
        if matched is False:
            return ConditionFinding(skipped=False)
        rolled = self.rollout.outcome(self.bucketing.key, identity)
        if rolled is False:
            return ConditionFinding(False, matched, rolled)
        return ConditionFinding(False, matched, rolled, *self._values(identity))

    def match(self, person: EvaluatedPerson) -> Outcome:
        """Whether all filters hold; unknown at best where the group type is not in the definitions (G4)."""
        matched = all_of(item.outcome(person) for item in self.filters)
        if self.audience.index is not None and self.audience.type_name is None:
            return all_of((matched, Reason.UNSUPPORTED_DEFINITION))
        return matched

    def _values(self, identity: Identity) -> tuple[tuple[Value, ...], Reason | None]:
        if self.override is not None:
            return (self.override,), None
        variants = self.bucketing.variants
        if not variants.keys:
            return (True,), None
        if identity.identifier is None:
            return variants.possible, identity.reason
        return (variants.pick(digest(self.bucketing.key + identity.identifier + VARIANT_SALT)),), None
