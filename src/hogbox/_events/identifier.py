"""Identifiers: an event's uuid, and the shard of a person."""

from __future__ import annotations

import zlib
from typing import Final
from uuid import UUID, uuid5

SHARDS: Final = 64
"""Buckets of (project, distinct id). Fixed for ever: a person's events must not change buckets while some wait."""

_IDEMPOTENCY: Final = UUID("6f0b1a3e-6d0c-5f5e-9a38-0a4a3f1f6c11")
"""The namespace of version 5 uuids. Changing it would change the uuid of every idempotency key."""

RANDOM_BITS: Final = 74
"""Of a version 7 UUID; the rest is the time."""


def uuid7(milliseconds: int, random: int) -> str:
    """A version 7 UUID (RFC 9562) from the epoch time in milliseconds and 74 random bits."""
    # 48 bits of time, 4 of version, 12 random | 2 of variant, 62 random.
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | random >> 62
    low = 0x8000 << 48 | random & 0x3FFF_FFFF_FFFF_FFFF
    digits = f"{high << 64 | low:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def keyed_uuid(project: str, idempotency_key: str) -> str:
    """The one uuid of this key in this project (version 5)."""
    # Keys come from callers: a lone surrogate has no form in UTF-8, and must not make two keys equal.
    name = f"{project}\n{idempotency_key}".encode("utf-8", "backslashreplace")
    return str(uuid5(_IDEMPOTENCY, name.decode()))


def parse_uuid(value: object) -> str | None:
    """The UUID in PostHog's form (lower case, hyphens), or None if the value is not a UUID."""
    kind = type(value)
    try:
        if kind is UUID:
            return str(value)
        if issubclass(kind, UUID):
            return UUID.__str__(value)
        return str(UUID(str.__str__(value))) if issubclass(kind, str) else None
    except ValueError:
        return None


def shard_of(project: str, distinct_id: str) -> int:
    """The shard, 0 to 63, of one person in one project: the unit of order (P4)."""
    # Not `hash`: it differs between processes.
    return zlib.crc32(f"{project}\n{distinct_id}".encode("utf-8", "replace")) % SHARDS
