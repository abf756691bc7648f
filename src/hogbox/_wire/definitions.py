"""Flag definitions over HTTP: the request, and the meaning of each response (wire protocol 7)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NoReturn
from urllib.parse import quote

from hogbox._wire.key import Secret
from hogbox._wire.printable import one_line

PATH: Final = "/flags/definitions"

EMPTY: Final = '{"flags":[],"group_type_mapping":{},"cohorts":{}}'
"""Stored if PostHog returns no definitions: every flag is unknown."""

STALE_AFTER: Final = 300.0
"""Seconds for which stored definitions are kept while PostHog's cache of them is cold."""

RETRY_DELAYS: Final = (1.5, 3.0, 6.0)
"""Seconds before each retry if PostHog is busy or failing."""

_COLD: Final = "required data not found in cache"
_EXCERPT: Final = 500
_SEED: Final = re.compile(r'("seed"\s*:\s*")(?:[^"\\]|\\.)*')

Parse = Callable[[Mapping[str, Any]], object]
"""Parses a definitions document; raises if it can't."""


class RefreshStatus(StrEnum):
    """The status of a refresh."""

    UPDATED = "updated"
    """PostHog's definitions are stored."""

    UNCHANGED = "unchanged"
    """The stored definitions are current."""

    SKIPPED = "skipped"
    """No request was sent; see the reason."""

    EMPTY = "empty"
    """PostHog's cache is cold, and the stored definitions are too old: no flag is known now."""

    STALE = "stale"
    """PostHog's cache is cold: the stored definitions are kept."""

    ERROR = "error"
    """It failed; see the reason."""


class RefreshReason(StrEnum):
    """Why a refresh failed or was skipped, or why stale definitions are kept."""

    MISSING_KEYS = "missing-keys"
    """There is no project token, or no key for definitions."""

    DISABLED = "disabled"
    """hogbox or its polling is disabled."""

    NOT_DUE = "not-due"
    """The last request was less than one interval ago."""

    FETCH_FAILED = "fetch-failed"
    """There was no response."""

    AUTH = "auth"
    """PostHog refuses the key."""

    QUOTA = "quota"
    """The project's quota of flag requests is exceeded: no flag is known now."""

    RATE_LIMITED = "rate-limited"
    """Too many requests."""

    UNEXPECTED_STATUS = "unexpected-status"
    """The response has a status that hogbox does not know."""

    PARSE_FAILED = "parse-failed"
    """The response is not JSON."""

    INVALID_SHAPE = "invalid-shape"
    """The response is JSON, but does not contain definitions that hogbox can read."""

    TOO_LARGE = "too-large"
    """The definitions are too large for the database."""

    KEPT_STALE = "kept-stale"
    """PostHog's cache has been cold for long, and the definitions are kept because of `keep_stale_definitions`."""


@dataclass(frozen=True, slots=True)
class DefinitionsRequest:
    """A request to send: path and query under the host, and headers, which contain the key."""

    path: str
    query: str
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A raw response. `location` is its redirect target."""

    status: int
    body: bytes = b""
    etag: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Definitions to store: their text, and the ETag to ask for the next ones with."""

    data: str
    etag: str | None


@dataclass(frozen=True, slots=True)
class DefinitionsOutcome:
    """An interpreted response: the status of the refresh, its description, and what to store, if anything."""

    status: RefreshStatus
    reason: RefreshReason | None = None
    detail: str = ""
    store: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class RefreshContext:
    """The context that the meaning of a response depends on."""

    asked_for_change: bool
    """Whether the request included the ETag of the stored definitions."""
    stored_age: float | None
    """Seconds since PostHog last confirmed the stored definitions; None if nothing is stored."""
    keep_stale: bool = False
    """Whether to keep the last good definitions no matter how long PostHog's cache is cold."""
    hide: tuple[str, ...] = ()
    """Secrets to remove from descriptions: the token and the key."""


def definitions_request(token: str, key: Secret, etag: str | None, *, user_agent: str) -> DefinitionsRequest:
    """The request for a project's definitions; with an ETag, only if they have changed since."""
    headers = {"Authorization": f"Bearer {key.reveal()}", "User-Agent": user_agent}
    if etag is not None:
        headers["If-None-Match"] = etag
    return DefinitionsRequest(PATH, f"token={quote(token, safe='')}&send_cohorts", headers)


def retry_delays(override: str | None) -> tuple[float, ...]:
    """The seconds before each retry. `override`, if it is a number of milliseconds, replaces each."""
    try:
        milliseconds = float(override or "")
    except ValueError:
        return RETRY_DELAYS
    if not math.isfinite(milliseconds) or milliseconds < 0:
        return RETRY_DELAYS
    return (milliseconds / 1000,) * len(RETRY_DELAYS)


def worth_retrying(reply: Reply) -> bool:
    """Whether the same request may succeed in a moment."""
    return reply.status == 429 or reply.status >= 500


def readable(data: str, parse: Parse) -> bool:
    """Whether stored definitions can be parsed."""
    try:
        parse(json.loads(data))
    except Exception:  # whatever goes wrong in reading them
        return False
    return True


def no_reply(error: str, around: RefreshContext) -> DefinitionsOutcome:
    """The finding if there was no response."""
    return DefinitionsOutcome(
        RefreshStatus.ERROR, RefreshReason.FETCH_FAILED, f"PostHog can't be reached: {_shown(error, around.hide)}"
    )


def interpret(reply: Reply, around: RefreshContext, parse: Parse) -> DefinitionsOutcome:
    """The meaning of the last response. `parse` decides which definitions can be read: only those are ever stored."""
    match reply.status:
        case 200:
            return _read(reply, parse, around)
        case 304 if around.asked_for_change:
            return DefinitionsOutcome(RefreshStatus.UNCHANGED)
        case 401 | 403:
            need = "the key for definitions needs the scope feature_flag:read for this project"
            return DefinitionsOutcome(RefreshStatus.ERROR, RefreshReason.AUTH, f"{_excerpt(reply, around)}; {need}")
        case 402:
            quota = f"quota of flag requests exceeded, no flag is known until it is raised: {_excerpt(reply, around)}"
            return DefinitionsOutcome(RefreshStatus.ERROR, RefreshReason.QUOTA, quota, Snapshot(EMPTY, None))
        case 429:
            return DefinitionsOutcome(RefreshStatus.ERROR, RefreshReason.RATE_LIMITED, _excerpt(reply, around))
        case 503 if _COLD in _text(reply.body).casefold():
            return _cold(around)
    return DefinitionsOutcome(RefreshStatus.ERROR, RefreshReason.UNEXPECTED_STATUS, _excerpt(reply, around))


def _read(reply: Reply, parse: Parse, around: RefreshContext) -> DefinitionsOutcome:
    try:
        text = reply.body.decode("utf-8-sig")
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        detail = f"the definitions are not JSON ({_shown(str(error), around.hide)}): {_excerpt(reply, around)}"
        return DefinitionsOutcome(RefreshStatus.ERROR, RefreshReason.PARSE_FAILED, detail)
    try:
        if not isinstance(document, dict) or "flags" not in document:
            raise ValueError("they contain no flags")
        parse(document)
    except Exception as error:  # whatever goes wrong in reading them: the ones that can be read stay
        detail = f"the definitions can't be read ({_shown(str(error), around.hide)}): {_excerpt(reply, around)}"
        return DefinitionsOutcome(RefreshStatus.ERROR, RefreshReason.INVALID_SHAPE, detail)
    return DefinitionsOutcome(RefreshStatus.UPDATED, store=Snapshot(text, _sendable(reply.etag)))


def _cold(around: RefreshContext) -> DefinitionsOutcome:
    """PostHog's cache is empty, or the project never had a flag: the responses are the same."""
    cold = "PostHog's cache of the definitions is cold, or the project has no flags"
    if around.stored_age is None:
        return DefinitionsOutcome(RefreshStatus.EMPTY, None, f"{cold}: none are stored", Snapshot(EMPTY, None))
    if around.stored_age <= STALE_AFTER:
        return DefinitionsOutcome(RefreshStatus.STALE, None, f"{cold}: the stored definitions are kept for now")
    if around.keep_stale:
        old = f"keep_stale_definitions keeps the stored ones, which are {around.stored_age:.0f} s old"
        return DefinitionsOutcome(RefreshStatus.STALE, RefreshReason.KEPT_STALE, f"{cold}: {old}")
    old = f"the stored ones are {around.stored_age:.0f} s old, so no flag is known now"
    return DefinitionsOutcome(RefreshStatus.EMPTY, None, f"{cold}: {old}", Snapshot(EMPTY, None))


def _excerpt(reply: Reply, around: RefreshContext) -> str:
    """The response in one line: its status, the beginning of its body, its redirect target."""
    where = f" (redirects to {_shown(reply.location, around.hide)})" if reply.location else ""
    # The seeds of rules decide who gets what: they are in the definitions and nowhere else.
    body = _shown(_SEED.sub(r"\1...", _text(reply.body)), around.hide)
    return f"HTTP {reply.status}: {body}{where}" if body else f"HTTP {reply.status}{where}"


def _shown(text: str, hide: Iterable[str]) -> str:
    return one_line(text, _EXCERPT, [form for secret in hide for form in (secret, quote(secret, safe=""))])


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _sendable(etag: str | None) -> str | None:
    """The unmodified ETag, if it can be sent back unmodified."""
    return etag if etag and all(" " <= character <= "~" for character in etag) else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
