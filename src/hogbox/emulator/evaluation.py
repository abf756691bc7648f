"""`/flags`: the flags of one person, as PostHog evaluates them with what it is asked and what it has stored.

Nothing here waits, reads a clock or touches the world. The order of the checks is the server's: unpack, parse,
key, distinct id, quota, and then every flag that the request gets to see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from hogbox.emulator.answer import JSON, EmulatorResponse, Outcome, Refusal, Request
from hogbox.emulator.definition import Definitions
from hogbox.emulator.flag_answer import (
    NO_DISTINCT_ID,
    NO_TOKEN,
    RATE_LIMITED,
    UNKNOWN_TOKEN,
    FlagRefusal,
    is_known,
    other_methods,
)
from hogbox.emulator.flag_detail import Describe, describe_typed, legacy
from hogbox.emulator.flag_detail import describe as describe_plain
from hogbox.emulator.flag_request import FlagRequest, read_flag_request, read_text
from hogbox.emulator.payload import parse_query
from hogbox.emulator.profile import Profiles
from hogbox.emulator.rate import RateLimiter
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.visibility import visible
from hogbox.flags import FlagResult

PATHS = ("/flags",)

_OTHER_METHODS = other_methods("GET, POST, OPTIONS, HEAD")
_CONFIG = {"supportedCompression": ["gzip", "gzip-js"], "sessionRecording": False, "isAuthenticated": False}
_TRUE = ("true", "1")
_WARNING = (("x-posthog-rate-limit-warning", "true"),)
_WARNED_SHARE = 0.8


class Project(NamedTuple):
    """What PostHog holds of a project."""

    definitions: Definitions | None
    profiles: Profiles
    rate_limiter: RateLimiter


def evaluate(request: Request, settings: Settings, limits: Limits, project: Project, random: Random) -> Outcome:
    """What PostHog answers to a request for flags."""
    if request.method not in ("GET", "POST"):
        return Outcome(answer=_OTHER_METHODS.get(request.method, _OTHER_METHODS[""]))
    query = {name: value for name, value in parse_query(request.query).items() if value}
    body = _envelope(request, random)
    if request.method == "GET":
        return Outcome(answer=_encode(body | _CONFIG, _version(query)))
    payload = token = None
    version = _version(query, 2)
    describe = describe_typed if version > 2 and settings.typed_records else describe_plain
    try:
        payload = read_text(request, query, limits)
        asked = read_flag_request(payload)
        token = read_token(asked, settings)
        warned = check_rate(request, token, settings, project.rate_limiter)
        person = read_person(asked)
    except Refusal as refusal:
        return Outcome(answer=refusal.answer, token=token, payload=payload)
    if person is not None:
        known = Profiles(0) if query.get("only_use_override_person_properties") in _TRUE else project.profiles
        body |= _Evaluation(request, asked, token, person, known).flags(settings, project.definitions, describe)
    body |= _config(query, token, project.definitions)
    return Outcome(answer=_encode(body, version, _WARNING if warned else ()), token=token, payload=payload)


def read_token(asked: FlagRequest, settings: Settings) -> str:
    """The project token of a request; raises `Refusal` for an unknown one."""
    if not asked.token:
        raise FlagRefusal(NO_TOKEN)
    if not is_known(asked.token, settings):
        raise FlagRefusal(UNKNOWN_TOKEN)
    return asked.token


def check_rate(request: Request, token: str, settings: Settings, limiter: RateLimiter) -> bool:
    """Whether the client is to be warned of the rate limits; raises `Refusal` beyond them."""
    if settings.flags_rate_limit == "off":
        return False
    burst = settings.flags_burst
    warned = False
    for key, limit, per_second in ((("flags", token), burst, 10.0), (("client", request.client), 2 * burst, 50.0)):
        used = limiter.take(key, limit, per_second, request.arrived_at)
        if used is None and settings.flags_rate_limit == "enforce":
            raise FlagRefusal(RATE_LIMITED)
        warned |= used is None or used >= _WARNED_SHARE * limit
    return warned


def read_person(asked: FlagRequest) -> str | None:
    """The distinct id to evaluate for; None if no flags are requested. Raises `Refusal` if it is missing."""
    if asked.disable_flags:
        return None
    if asked.person is None:
        raise FlagRefusal(NO_DISTINCT_ID)
    return asked.person


class _Evaluation:
    """One request's evaluation."""

    def __init__(self, request: Request, asked: FlagRequest, token: str, person: str, profiles: Profiles) -> None:
        self._request = request
        self._asked = asked
        self._token = token
        self._person = person
        self._profiles = profiles

    def flags(self, settings: Settings, definitions: Definitions | None, describe: Describe) -> dict[str, Any]:
        """The content of the response, without its envelope."""
        if "feature_flags" in settings.quota:
            return {"quotaLimited": ["feature_flags"]}
        if definitions is None:
            return {}
        details = {
            key: describe(definitions.flags[key], None if key in settings.failed_flags else result)
            for key, result in self._results(definitions).items()
        }
        failed = settings.flag_errors or any("failed" in detail for detail in details.values())
        minimal = definitions.document.get("minimal_flag_called_events") is True
        return {
            "flags": details,
            "errorsWhileComputingFlags": failed,
            **({"minimalFlagCalledEvents": True} if minimal else {}),
        }

    def _results(self, definitions: Definitions) -> dict[str, FlagResult]:
        asked, stored = self._asked, self._profiles
        return definitions.flag_set.evaluate_all(
            distinct_id=self._person,
            groups=asked.groups,
            person_properties={**stored.person(self._token, self._person), **(asked.person_properties or {})},
            group_properties={kind: self._group(kind, key) for kind, key in (asked.groups or {}).items()},
            device_id=asked.device_id,
            properties_complete=True,
            now=datetime.fromtimestamp(self._request.now, UTC),
            keys=visible(definitions.flags, asked, self._request.headers),
        )

    def _group(self, kind: str, key: object) -> Mapping[str, Any]:
        """A group's properties: those in the request have precedence over the stored ones."""
        return {
            **self._profiles.group(self._token, kind, str(key)),
            **(self._asked.group_properties or {}).get(kind, {}),
        }


def _envelope(request: Request, random: Random) -> dict[str, Any]:
    """An answer without flags."""
    return {
        "flags": {},
        "errorsWhileComputingFlags": False,
        "requestId": _request_id(request, random),
        "evaluatedAt": int(request.now * 1000),
    }


def _request_id(request: Request, random: Random) -> str:
    try:
        return str(UUID(request.headers.get("x-request-id", "")))
    except ValueError:
        return str(UUID(int=random.getrandbits(128), version=4))


def _version(query: Mapping[str, str], unspecified: int = 1) -> int:
    """The requested version; 1 if it is not a number, `unspecified` if the query has neither it nor `config`."""
    text = query.get("v") or query.get("version")
    if text is None:
        return 1 if "config" in query else unspecified
    return int(text) if text.isascii() and text.isdigit() else 1


def _config(query: Mapping[str, str], token: str, definitions: Definitions | None) -> dict[str, Any]:
    """The configuration for browsers, if requested."""
    wanted = query["config"] in _TRUE if "config" in query else not {"v", "version"} & query.keys()
    if not wanted:
        return {}
    return {**_CONFIG, "hasFeatureFlags": bool(definitions and definitions.flags), "token": token}


def _encode(body: Mapping[str, Any], version: int, headers: tuple[tuple[str, str], ...] = ()) -> EmulatorResponse:
    shaped = body if version >= 2 else legacy(body)
    return EmulatorResponse(200, json.dumps(shaped, ensure_ascii=False, separators=(",", ":")).encode(), JSON, headers)
