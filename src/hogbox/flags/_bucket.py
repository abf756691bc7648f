"""Where an identifier falls: the hash, rollouts, variants and holdouts (sections 6 to 8).

A bucket is the SHA-1 digest itself. "Inside" is `digest < bound`, with a bound computed so that the
comparison of bytes says exactly what the service's comparison of doubles says.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final, NamedTuple

from hogbox.flags._reason import Outcome, Reason

NOBODY: Final = b""
"""The bound that no digest is below."""

EVERYBODY: Final = b"\xff" * 21
"""The bound that every digest is below: it is longer than any."""

VARIANT_SALT: Final = b"variant"
HOLDOUT_PREFIX: Final = b"holdout-"

_BUCKETS = 2**60
_LONGEST_IDENTIFIER = 200


class Identity(NamedTuple):
    """Who is bucketed: the identifier's bytes, or why there is none."""

    identifier: bytes | None
    reason: Reason | None = None
    device_missing: bool = False
    """Bucketing by device without a device: every percentage above 0 is unknown, 100 included (rule B4)."""


def digest(text: bytes) -> bytes:
    """The hash of a text: its first 60 bits decide."""
    return sha1(text, usedforsecurity=False).digest()


def fraction(hashed: bytes) -> float:
    """The digest as the service sees it, from 0 to 1: to a double first, then divided."""
    return float(int.from_bytes(hashed[:8], "big") >> 4) / _BUCKETS


def bound_of(limit: float, *, inclusive: bool) -> bytes:
    """The bytes below which are exactly the digests with `fraction` <= limit (or < limit)."""
    low, high = _window(limit)
    while low < high:
        middle = (low + high) // 2
        share = float(middle) / _BUCKETS
        if share < limit or (inclusive and share == limit):
            low = middle + 1
        else:
            high = middle
    if low <= 0:
        return NOBODY
    return EVERYBODY if low >= _BUCKETS else (low << 4).to_bytes(8, "big")


def _window(limit: float) -> tuple[int, int]:
    """Two bucket numbers around the limit: a double is at most 64 buckets off, each way."""
    near = int(min(max(limit, -1.0), 2.0) * _BUCKETS)
    return max(near - 1024, 0), min(max(near + 1024, 0), _BUCKETS)


def identifier_of(distinct_id: str) -> bytes | None:
    """The bytes that are hashed for a distinct id: of its first 200 characters (B1); None for the empty one
    (B2).
    """
    try:
        return distinct_id[:_LONGEST_IDENTIFIER].encode() or None
    except UnicodeEncodeError:
        return None


def encoded(text: str) -> bytes | None:
    """The text in UTF-8; None for the empty one and for what UTF-8 has not."""
    try:
        return text.encode() or None
    except UnicodeEncodeError:
        return None


class Rollout(NamedTuple):
    """A condition's percentage, ready to be compared."""

    percentage: float | None
    bound: bytes

    @classmethod
    def of(cls, percentage: float | None) -> Rollout:
        """Absent and 100 or more are everybody, 0 or less nobody, both without hashing (section 6)."""
        if percentage is None or percentage >= 100:
            return cls(percentage, EVERYBODY)
        return cls(percentage, bound_of(percentage / 100, inclusive=True) if percentage > 0 else NOBODY)

    def outcome(self, key: bytes, identity: Identity) -> Outcome:
        """Whether an identity is in the rollout of the flag whose key, with its dot, is `key`."""
        if identity.device_missing and self.bound:
            return Reason.MISSING_CONTEXT
        if self.bound in (NOBODY, EVERYBODY):
            return self.bound is EVERYBODY
        if identity.identifier is None:
            return identity.reason or Reason.MISSING_CONTEXT
        return digest(key + identity.identifier) < self.bound


class Variants(NamedTuple):
    """A flag's variants in order, each with the bound of the running sum of weights (section 7)."""

    keys: tuple[str, ...] = ()
    bounds: tuple[bytes, ...] = ()
    possible: tuple[str | bool, ...] = (True,)
    """What an unknown identifier could get."""

    @classmethod
    def of(cls, weights: list[tuple[str, float]]) -> Variants:
        """The table of `(key, weight)`; the sums are added one at a time, as the service does."""
        running, bounds = 0.0, []
        for _, weight in weights:
            running += weight / 100
            bounds.append(bound_of(running, inclusive=False))
        possible: list[str | bool] = [key for key, weight in weights if weight > 0]
        if running < 1.0:
            possible.append(True)
        return cls(tuple(key for key, _ in weights), tuple(bounds), tuple(possible))

    def pick(self, hashed: bytes) -> str | bool:
        """The first variant whose running sum is above; True where the sums fall short."""
        for key, bound in zip(self.keys, self.bounds, strict=True):
            if hashed < bound:
                return key
        return True


class Holdout(NamedTuple):
    """People kept out of a flag, whatever its conditions say (section 8)."""

    value: str
    percentage: float
    bound: bytes

    @classmethod
    def of(cls, number: int, percentage: float) -> Holdout:
        """The holdout with this id, its percentage clamped to 0..100."""
        percentage = min(max(percentage, 0.0), 100.0)
        bound = EVERYBODY if percentage == 100 else bound_of(percentage / 100, inclusive=True)
        return cls(f"holdout-{number}", percentage, bound)

    def outcome(self, identity: Identity) -> Outcome:
        """Whether the identity is held out."""
        if self.bound is EVERYBODY or self.percentage == 0:
            return self.bound is EVERYBODY
        if identity.identifier is None:
            return identity.reason or Reason.MISSING_CONTEXT
        return digest(HOLDOUT_PREFIX + identity.identifier) < self.bound
