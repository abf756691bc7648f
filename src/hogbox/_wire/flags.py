"""Flags evaluated by PostHog, `POST /flags/?v=4`: the request and the response (wire protocol 6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hogbox._wire.flag_record import UNKNOWN_ERROR, FlagRecord, legacy_record, read_record
from hogbox._wire.printable import one_line

PATH: Final = "/flags/?v=4"

RETRY_DELAY: Final = 0.3
"""Seconds before the first retry; doubles with each."""

FLAG_MISSING: Final = "flag_missing"
QUOTA_LIMITED: Final = "quota_limited"
TIMEOUT: Final = "timeout"
CONNECTION_ERROR: Final = "connection_error"

_RETRIED: Final = (502, 504)
_EXCERPT: Final = 300


@dataclass(frozen=True, slots=True)
class FlagsRequest:
    """A request to send: path under the host, body, headers, which may contain a key."""

    path: str
    body: bytes
    headers: dict[str, str] = field(repr=False)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class FlagsAnswer:
    """PostHog's results for one person's flags."""

    flags: Mapping[str, FlagRecord] = field(default_factory=dict)
    errors: bool = False
    """Whether some could not be evaluated: the flags may be incomplete."""
    request_id: str | None = None
    evaluated_at: int | None = None
    minimal_events: bool = False


@dataclass(frozen=True, slots=True)
class FlagsFailure:
    """Why there is no result: a code of the wire protocol, and a description."""

    reason: str
    detail: str


def flags_request(
    token: str,
    distinct_id: str,
    *,
    groups: Mapping[str, Any] | None,
    person_properties: Mapping[str, Any] | None,
    group_properties: Mapping[str, Mapping[str, Any]] | None,
    device_id: str | None,
    disable_geoip: bool,
    keys: Sequence[str] | None,
    contexts: Sequence[str] = (),
    sent_at: str,
    user_agent: str,
) -> FlagsRequest:
    """The request for one person's flags, or for some of them. Values must already be JSON types."""
    given_groups = dict(groups or {})
    known = {name: {"$group_key": key, **(group_properties or {}).get(name, {})} for name, key in given_groups.items()}
    body: dict[str, Any] = {
        "token": token,
        "distinct_id": distinct_id,
        "groups": given_groups,
        "person_properties": dict(person_properties or {}),
        "group_properties": {**(group_properties or {}), **known},
        "device_id": device_id,
        "geoip_disable": disable_geoip,
        # Without it PostHog guesses from the User-Agent, and omits server-side flags if it does not recognise it.
        "evaluation_runtime": "server",
        "sent_at": sent_at,
    }
    if keys is not None:
        body["flag_keys_to_evaluate"] = list(keys)
    if contexts:
        body["evaluation_contexts"] = list(contexts)
    headers = {"Content-Type": "application/json", "User-Agent": user_agent}
    return FlagsRequest(PATH, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"), headers)


def worth_retrying(status: int) -> bool:
    """Whether the same request may succeed in a moment; not if PostHog is busy (6.4)."""
    return status in _RETRIED


def read_answer(status: int, body: bytes, hide: Iterable[str] = ()) -> FlagsAnswer | FlagsFailure:
    """The parsed response, in any format that PostHog has used."""
    if status != 200:
        return FlagsFailure(f"api_error_{status}", f"HTTP {status}: {_shown(body, hide)}".rstrip(": "))
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return FlagsFailure(UNKNOWN_ERROR, f"the response is not JSON: {_shown(body, hide)}")
    if not isinstance(document, dict):
        return FlagsFailure(UNKNOWN_ERROR, f"the response is not a JSON object: {_shown(body, hide)}")
    limited = document.get("quotaLimited")
    if isinstance(limited, list) and "feature_flags" in limited:
        return FlagsFailure(QUOTA_LIMITED, "the project's quota of flag requests is exceeded")
    flags = _flags(document)
    if flags is None:
        return FlagsFailure(UNKNOWN_ERROR, f"the response contains no flags: {_shown(body, hide)}")
    return FlagsAnswer(
        flags,
        document.get("errorsWhileComputingFlags") is True,
        _text(document.get("requestId")),
        _integer(document.get("evaluatedAt")),
        document.get("minimalFlagCalledEvents") is True,
    )


def _flags(document: Mapping[str, Any]) -> dict[str, FlagRecord] | None:
    records = document.get("flags")
    if isinstance(records, dict):
        return {key: read_record(key, record) for key, record in records.items()}
    legacy = document.get("featureFlags")
    payloads = document.get("featureFlagPayloads")
    payloads = payloads if isinstance(payloads, dict) else {}
    if isinstance(legacy, list):
        return {key: legacy_record(key, True, payloads.get(key)) for key in legacy if isinstance(key, str)}
    if isinstance(legacy, dict):
        return {key: legacy_record(key, value, payloads.get(key)) for key, value in legacy.items()}
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _shown(body: bytes, hide: Iterable[str]) -> str:
    return one_line(body.decode(errors="replace"), _EXCERPT, hide)
