"""A project's flags as PostHog keeps them: the document, the feeds with their ETags, and the compiled set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from hogbox.emulator.feed import (
    Feed,
    config_version,
    encode,
    fingerprint,
    join_document,
    legacy_flags,
    mixed_flags,
    reached_cohorts,
)
from hogbox.errors import DefinitionsInvalid
from hogbox.flags import FlagSet

Document: TypeAlias = bytes | str | Mapping[str, Any]
"""Flag definitions as `GET /flags/definitions` answers them, encoded or decoded."""


class Definitions(msgspec.Struct, frozen=True, kw_only=True):
    """One state of the flags. It never changes."""

    document: dict[str, Any]
    body: bytes
    """The document, with all flags as they were written."""

    legacy: Feed
    mixed: Feed
    """The feed that `v=2` asks for, with rules flags."""

    flags: dict[str, dict[str, Any]]
    """The flags by key, as they were given."""

    flag_set: FlagSet
    """The same as the server evaluates them."""


class _RawFlags(msgspec.Struct):
    flags: list[msgspec.Raw] = []


def read_definitions(document: Document) -> Definitions:
    """Takes a document in; raises `DefinitionsError` for one that PostHog would never serve.

    A single invalid flag is served all the same, as PostHog does: handling it is up to the client.
    """
    text = document if isinstance(document, bytes | str) else encode(document)
    given = FlagSet.parse(text)
    if given.problems:
        raise DefinitionsInvalid("; ".join(given.problems))
    served = {"flags": [], "group_type_mapping": {}, "cohorts": {}, **json.loads(text)}
    flags = {flag["key"]: flag for flag in served["flags"]}
    raw_flags = dict(zip(flags, _raw_flags(text, served), strict=True))
    return Definitions(
        document=served,
        body=join_document(served, raw_flags),
        legacy=_feed(served, flags, raw_flags, legacy_flags(flags)),
        mixed=_feed(served, flags, raw_flags, mixed_flags(flags)),
        flags=flags,
        flag_set=FlagSet.parse(_as_evaluated(served, flags, raw_flags)),
    )


def _raw_flags(text: bytes | str, served: Mapping[str, Any]) -> list[bytes]:
    """The flags as they were written: some rules of rules flags are about the text of numbers and keys."""
    encode(served["flags"])  # refuses what cannot be sent
    try:
        return [bytes(raw) for raw in msgspec.json.decode(text, type=_RawFlags).flags]
    except (msgspec.DecodeError, UnicodeDecodeError):  # JSON in another encoding
        return [encode(flag) for flag in served["flags"]]


def _feed(
    served: Mapping[str, Any], flags: Mapping[str, dict[str, Any]], raw_flags: Mapping[str, bytes], keys: set[str]
) -> Feed:
    kept = [flag for key, flag in flags.items() if key in keys]
    document = {**served, "flags": kept}
    if len(kept) < len(flags) and isinstance(served["cohorts"], Mapping):
        reached = reached_cohorts(kept, served["cohorts"])
        document["cohorts"] = {key: cohort for key, cohort in served["cohorts"].items() if key in reached}
    raw_kept = {key: raw for key, raw in raw_flags.items() if key in keys}
    return Feed(join_document(document, raw_kept), fingerprint(document))


def _as_evaluated(
    served: Mapping[str, Any], flags: Mapping[str, dict[str, Any]], raw_flags: Mapping[str, bytes]
) -> bytes:
    """The document as the server evaluates it: it looks up the identifiers that experience continuity stored.

    The emulator stores none, so everybody is bucketed by the distinct id of the request.
    """
    evaluated = {
        key: encode({**flag, "ensure_experience_continuity": False})
        if flag.get("ensure_experience_continuity") is True and config_version(flag) == 1
        else raw_flags[key]
        for key, flag in flags.items()
    }
    return join_document(served, evaluated)
