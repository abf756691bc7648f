"""`GET /flags/definitions`, which pollers ask: what PostHog answers, in the order in which it checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from hogbox.emulator.answer import JSON, EmulatorResponse, Outcome, Request
from hogbox.emulator.definition import Definitions
from hogbox.emulator.flag_answer import (
    BAD_PERSONAL_KEY,
    BAD_SECRET_KEY,
    COLD_CACHE,
    NO_CREDENTIAL,
    NO_QUERY_TOKEN,
    OVER_QUOTA,
    RATE_LIMITED,
    UNKNOWN_TOKEN,
    is_known,
    other_methods,
)
from hogbox.emulator.payload import parse_query
from hogbox.emulator.setting import Settings

PATHS = ("/flags/definitions", "/api/feature_flag/local_evaluation")

Admit: TypeAlias = Callable[[tuple[str, bool | str], int, float], bool]
"""Asks the rate limiter: a key, requests a minute, and the time."""

_BEARER = "Bearer "
_OTHER_METHODS = other_methods("GET, OPTIONS, HEAD")
_CONDITIONAL_SHARE = 10


def poll(request: Request, settings: Settings, definitions: Definitions | None, admit: Admit) -> Outcome:
    """The definitions, or that they have not changed, or why the client gets none."""
    if request.method != "GET":
        return Outcome(answer=_OTHER_METHODS.get(request.method, _OTHER_METHODS[""]))
    token = parse_query(request.query).get("token")
    if token is None:
        return Outcome(answer=NO_QUERY_TOKEN)
    if not is_known(token, settings):
        return Outcome(answer=UNKNOWN_TOKEN)
    held = fingerprint(request.headers.get("if-none-match", ""))
    refusal = credential_fault(request.headers, settings)
    if refusal is None and not _is_admitted(token, held, request, settings, admit):
        refusal = RATE_LIMITED
    if refusal is None and "feature_flags" in settings.quota:
        refusal = OVER_QUOTA
    if refusal is not None:
        return Outcome(answer=refusal, token=token)
    mixed = settings.mixed_feed and parse_query(request.query).get("v") == "2"
    return Outcome(answer=_serve(held, None if settings.cold_cache else definitions, mixed), token=token)


def fingerprint(etag: str) -> str:
    """What an ETag holds: `W/"x"`, `"x"` and `x` are the same."""
    etag = etag.strip()
    return etag.removeprefix("W/").strip('"') if etag.startswith('W/"') else etag.strip('"')


def bearer(headers: Mapping[str, str]) -> str:
    """The key in the headers; empty without one."""
    authorization = headers.get("authorization", "")
    return authorization.removeprefix(_BEARER).strip() if authorization.startswith(_BEARER) else ""


def credential_fault(headers: Mapping[str, str], settings: Settings) -> EmulatorResponse | None:
    """Why the key in the headers may not read definitions and payloads, if so."""
    key = bearer(headers)
    if not key:
        return NO_CREDENTIAL
    known = settings.secret_keys
    if key in known if known is not None else key.startswith(("phs_", "phx_")):
        return None
    return BAD_SECRET_KEY if key.startswith("phs_") else BAD_PERSONAL_KEY


def _is_admitted(token: str, held: str, request: Request, settings: Settings, admit: Admit) -> bool:
    conditional = bool(held)
    per_minute = settings.definitions_per_minute * (_CONDITIONAL_SHARE if conditional else 1)
    return admit((token, conditional), per_minute, request.arrived_at)


def _serve(held: str, definitions: Definitions | None, mixed: bool) -> EmulatorResponse:
    if definitions is None:
        return COLD_CACHE
    feed = definitions.mixed if mixed else definitions.legacy
    headers = (("etag", feed.etag), ("cache-control", "private, must-revalidate"))
    if held == feed.fingerprint:
        return EmulatorResponse(304, b"", None, headers)
    return EmulatorResponse(200, feed.body, JSON, headers)
