"""Rules: whom they are for, how many of those they take, and what they answer (rules v2, 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from hogbox.flags._bucket import EVERYBODY, VARIANT_SALT, bound_of, digest
from hogbox.flags._person import EvaluatedPerson
from hogbox.flags._reason import Outcome, Reason
from hogbox.flags._result import FlagValue
from hogbox.flags._rules.predicate import Predicate

Hash: TypeAlias = Callable[[bytes], bytes]
"""SHA-1, unless a test compares at the very bounds."""

_WHOLE: Final = 10_000


class Share(NamedTuple):
    """A percentage of all subjects, by the hash of a text that begins with `prefix`."""

    hundredths: int
    prefix: bytes
    bound: bytes

    @classmethod
    def of(cls, hundredths: int, percentage: float, prefix: bytes) -> Share:
        """The share; exactly 100 % is everybody without a hash."""
        return cls(
            hundredths,
            prefix,
            EVERYBODY if hundredths == _WHOLE else bound_of(percentage / 100, inclusive=True),
        )

    @property
    def percentage(self) -> float:
        """From 0 to 100."""
        return self.hundredths / 100

    def includes(self, subject: bytes, hashed: Hash) -> bool:
        """Whether a subject, which is not empty, is among them."""
        return self.bound is EVERYBODY or hashed(self.prefix + subject) < self.bound


EVERYONE: Final = Share(_WHOLE, b"", EVERYBODY)


@dataclass(frozen=True, slots=True)
class Variant:
    """A value of an experiment, and the bound below which a hash gets it."""

    key: str
    weight: float
    value: FlagValue
    bound: bytes


@dataclass(frozen=True, slots=True)
class Experiment:
    """What an experiment has beyond a rollout."""

    paused: bool
    variants: tuple[Variant, ...]
    holdout: Share | None

    def pick(self, prefix: bytes, subject: bytes, hashed: Hash) -> Variant:
        """The first variant whose running sum is above the hash, else the last one."""
        drawn = hashed(prefix + subject + VARIANT_SALT)
        return next((variant for variant in self.variants if drawn < variant.bound), self.variants[-1])


class Answer(NamedTuple):
    """What a rule says of the flag: its own value (of a variant, if it has some), or the default, and why."""

    reason: Reason
    variant: Variant | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, ready to be asked."""

    id: str
    type: str
    predicates: tuple[Predicate, ...]
    value: FlagValue
    """What it gives, unless variants do."""
    rollout: Share
    missed_ends: bool
    """Whether someone outside of the rollout gets the default, and not what later rules say."""
    experiment: Experiment | None = None

    def targets(self, person: EvaluatedPerson) -> Outcome:
        """Whether the rule is for the person: the first predicate that does not hold decides, errors too."""
        return first_miss(predicate.outcome(person) for predicate in self.predicates)

    def answer(self, subject: Outcome | bytes, hashed: Hash = digest) -> Answer | None:
        """What it says of a person whom it targets; None if the next rule is to be asked.

        The subject is False where it is empty, and the reason where it cannot be hashed.
        """
        experiment = self.experiment
        if experiment is not None and experiment.paused:
            return Answer(Reason.EXPERIMENT_PAUSED)
        if self.type == "targeted_release":
            return Answer(Reason.TARGETING_MATCH)
        if isinstance(subject, Reason):
            return Answer(subject)
        if isinstance(subject, bytes):
            if experiment is not None and experiment.holdout and experiment.holdout.includes(subject, hashed):
                return Answer(Reason.HOLDOUT)
            if self.rollout.includes(subject, hashed):
                variant = None if experiment is None else experiment.pick(self.rollout.prefix, subject, hashed)
                return Answer(Reason.TARGETING_MATCH, variant)
        return Answer(Reason.ROLLOUT_MISS) if self.missed_ends else None


def first_miss(outcomes: Iterable[Outcome]) -> Outcome:
    """The first outcome that is not True; True if all are."""
    return next((outcome for outcome in outcomes if outcome is not True), True)
