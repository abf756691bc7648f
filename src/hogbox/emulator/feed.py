"""The two feeds of flag definitions: the older one, of flags of version 1 only, and the mixed one with rules flags."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from hogbox.emulator.visibility import Flag, depends_on
from hogbox.errors import DefinitionsInvalid

RULES = 2


class Feed(msgspec.Struct, frozen=True):
    """A body of `/flags/definitions`. `fingerprint` is what its ETag holds."""

    body: bytes
    fingerprint: str

    @property
    def etag(self) -> str:
        return f'W/"{self.fingerprint}"'


def config_version(flag: Flag) -> int | None:
    """The format of a flag: 1, 2 for a rules flag, or None for one that PostHog does not know."""
    filters = flag.get("filters")
    if not isinstance(filters, Mapping) or "version" not in filters:
        return 1
    version = filters["version"]
    known = isinstance(version, int | float) and not isinstance(version, bool) and version in (1, RULES)
    return int(version) if known else None


def mixed_flags(flags: Mapping[str, Flag]) -> set[str]:
    """The keys of the flags in the mixed feed."""
    return {
        key
        for key, flag in flags.items()
        if flag.get("deleted") is not True and flag.get("has_encrypted_payloads") is not True
    }


def legacy_flags(flags: Mapping[str, Flag]) -> set[str]:
    """The keys of the flags in the older feed: without rules flags, and without any that depend on those left out."""
    kept = {key for key in mixed_flags(flags) if config_version(flags[key]) == 1}
    while gone := {
        key for key in kept if any(other in flags and other not in kept for other in depends_on(flags[key]))
    }:
        kept -= gone
    return kept


def reached_cohorts(flags: Iterable[Flag], cohorts: Mapping[str, Any]) -> set[str]:
    """The ids of the cohorts that the flags refer to, also through other cohorts."""
    found: set[str] = set()
    pending = [cohort for flag in flags for cohort in _cohorts_in(flag.get("filters"))]
    while pending:
        cohort = pending.pop()
        if cohort in cohorts and cohort not in found:
            found.add(cohort)
            pending.extend(_cohorts_in(cohorts[cohort]))
    return found


def fingerprint(document: Mapping[str, Any]) -> str:
    """What the ETag of a document holds: PostHog takes it from the canonical JSON."""
    return sha256(json.dumps(document, allow_nan=False, sort_keys=True).encode()).hexdigest()[:16]


def join_document(document: Mapping[str, Any], raw_flags: Mapping[str, bytes]) -> bytes:
    """A document with these flags, each as it was written."""
    rest = encode({name: value for name, value in document.items() if name != "flags"})
    return b'{"flags":[' + b",".join(raw_flags.values()) + b"]" + (b"," if len(rest) > 2 else b"") + rest[1:]


def encode(document: object) -> bytes:
    """A document as PostHog sends it; raises `DefinitionsInvalid` for one that cannot be sent."""
    try:
        return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:  # half a surrogate pair is a ValueError, too
        raise DefinitionsInvalid(f"the flag definitions cannot be sent as JSON: {error}") from error


def _cohorts_in(node: object) -> Iterator[str]:
    """The ids in the filters of type cohort, however deep."""
    pending = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, Mapping):
            if item.get("type") == "cohort" and isinstance(item.get("value"), str | int):
                yield str(item["value"])
            pending.extend(value for value in item.values() if isinstance(value, list | Mapping))
