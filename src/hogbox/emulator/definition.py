"""A project's flags as PostHog keeps them: the document to serve, its ETag, and the compiled set to evaluate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, TypeAlias

import msgspec

from hogbox.errors import DefinitionsInvalid
from hogbox.flags import FlagSet

Document: TypeAlias = bytes | str | Mapping[str, Any]
"""Flag definitions as `GET /flags/definitions` answers them, encoded or decoded."""


class Definitions(msgspec.Struct, frozen=True, kw_only=True):
    """One state of the flags. It never changes."""

    document: dict[str, Any]
    body: bytes
    fingerprint: str
    """What the ETag holds: PostHog takes it from the canonical JSON."""

    flags: dict[str, dict[str, Any]]
    """The flags by key, as they were given."""

    flag_set: FlagSet
    """The same as the server evaluates them."""

    @property
    def etag(self) -> str:
        return f'W/"{self.fingerprint}"'


def read_definitions(document: Document) -> Definitions:
    """Takes a document in; raises `DefinitionsError` for one that PostHog would never serve.

    A single invalid flag is served all the same, as PostHog does: handling it is up to the client.
    """
    text = document if isinstance(document, bytes | str) else _encode(document)
    given = FlagSet.parse(text)
    if given.problems:
        raise DefinitionsInvalid("; ".join(given.problems))
    served = {"flags": [], "group_type_mapping": {}, "cohorts": {}, **json.loads(text)}
    return Definitions(
        document=served,
        body=_encode(served, ensure_ascii=False, separators=(",", ":")),
        fingerprint=sha256(_encode(served, sort_keys=True)).hexdigest()[:16],
        flags={flag["key"]: flag for flag in served["flags"]},
        flag_set=FlagSet.parse(as_evaluated(served)),
    )


def as_evaluated(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as the server evaluates it: it looks up the identifiers that experience continuity stored.

    The emulator stores none, so everybody is bucketed by the distinct id of the request.
    """
    flags = [
        {**flag, "ensure_experience_continuity": False} if flag.get("ensure_experience_continuity") is True else flag
        for flag in document["flags"]
    ]
    return {**document, "flags": flags}


def _encode(document: Mapping[str, Any], **style: Any) -> bytes:
    try:
        return json.dumps(document, allow_nan=False, **style).encode()
    except (TypeError, ValueError, RecursionError) as error:  # half a surrogate pair is a ValueError, too
        raise DefinitionsInvalid(f"the flag definitions cannot be sent as JSON: {error}") from error
