"""Flag definitions over HTTP: the request for them, and what each answer means (wire protocol 7)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NoReturn
from urllib.parse import quote

from hogbox._wire.key import Secret
from hogbox._wire.printable import one_line

PATH: Final = "/flags/definitions"

EMPTY: Final = '{"flags":[],"group_type_mapping":{},"cohorts":{}}'
"""What is stored where PostHog has no definitions to give: every flag is unknown."""

STALE_AFTER: Final = 300.0
"""Seconds for which definitions stay while PostHog's cache of them is cold."""

RETRY_DELAYS: Final = (1.5, 3.0, 6.0)
"""Seconds before each of the further tries where PostHog is busy or fails."""

_COLD: Final = "required data not found in cache"
_EXCERPT: Final = 500

Parse = Callable[[Mapping[str, Any]], object]
"""Reads a definitions document; raises where it can't."""


class Status(StrEnum):
    """What became of a refresh."""

    UPDATED = "updated"
    """PostHog's definitions are stored."""

    UNCHANGED = "unchanged"
    """What is stored is what PostHog has."""

    SKIPPED = "skipped"
    """Nothing was asked for; the reason says why."""

    EMPTY = "empty"
    """PostHog's cache is cold, and nothing fresh enough is stored: now no flag is known."""

    STALE = "stale"
    """PostHog's cache is cold: what is stored stays."""

    ERROR = "error"
    """It failed; the reason says how."""


class Reason(StrEnum):
    """Why a refresh failed or was skipped, or why stale definitions stay."""

    MISSING_KEYS = "missing-keys"
    """There is no project token, or no key for definitions."""

    DISABLED = "disabled"
    """hogbox is switched off, or its polling is."""

    NOT_DUE = "not-due"
    """PostHog was asked less than an interval ago."""

    FETCH_FAILED = "fetch-failed"
    """No answer came."""

    AUTH = "auth"
    """PostHog refuses the key."""

    QUOTA = "quota"
    """The project's quota of flag requests is used up: now no flag is known."""

    RATE_LIMITED = "rate-limited"
    """Too many requests."""

    UNEXPECTED_STATUS = "unexpected-status"
    """An answer that hogbox does not know."""

    PARSE_FAILED = "parse-failed"
    """The answer is not JSON."""

    INVALID_SHAPE = "invalid-shape"
    """The answer is JSON, but no definitions that hogbox can read."""

    TOO_LARGE = "too-large"
    """The database does not take so long a text."""

    KEPT_STALE = "kept-stale"
    """PostHog's cache is cold for long, and the definitions stay because `keep_stale_definitions` says so."""


@dataclass(frozen=True, slots=True)
class DefinitionsRequest:
    """A request to make: path and query under the host, and headers, which hold the key."""

    path: str
    query: str
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. `location` is where it redirects to."""

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
class Finding:
    """An interpreted answer: what became of the refresh, in a sentence too, and what to store, if anything."""

    status: Status
    reason: Reason | None = None
    detail: str = ""
    store: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an answer means depends on these."""

    asked_for_change: bool
    """Whether the request carried the ETag of what is stored."""
    stored_age: float | None
    """Seconds since PostHog last said that what is stored is right; None where nothing is stored."""
    keep_stale: bool = False
    """Whether to keep the last good definitions however long PostHog's cache is cold."""
    hide: tuple[str, ...] = ()
    """Texts that no sentence may show: the token and the key."""


def definitions_request(token: str, key: Secret, etag: str | None, *, user_agent: str) -> DefinitionsRequest:
    """The request for a project's definitions, or, with an ETag, for those that differ from what it stands for."""
    headers = {"Authorization": f"Bearer {key.reveal()}", "User-Agent": user_agent}
    if etag is not None:
        headers["If-None-Match"] = etag
    return DefinitionsRequest(PATH, f"token={quote(token, safe='')}&send_cohorts", headers)


def retry_delays(override: str | None) -> tuple[float, ...]:
    """The seconds before each further try. `override`, where it is a number of milliseconds, replaces each."""
    try:
        milliseconds = float(override or "")
    except ValueError:
        return RETRY_DELAYS
    if not math.isfinite(milliseconds) or milliseconds < 0:
        return RETRY_DELAYS
    return (milliseconds / 1000,) * len(RETRY_DELAYS)


def worth_retrying(reply: Reply) -> bool:
    """Whether the same request may fare better in a moment."""
    return reply.status == 429 or reply.status >= 500


def readable(data: str, parse: Parse) -> bool:
    """Whether definitions that are stored can be read."""
    try:
        parse(json.loads(data))
    except Exception:  # whatever goes wrong in reading them
        return False
    return True


def no_reply(error: str, around: Circumstances) -> Finding:
    """The finding where no answer came."""
    return Finding(Status.ERROR, Reason.FETCH_FAILED, f"PostHog can't be reached: {_shown(error, around.hide)}")


def interpret(reply: Reply, around: Circumstances, parse: Parse) -> Finding:
    """What the last answer means. `parse` decides which definitions can be read: only those are ever stored."""
    match reply.status:
        case 200:
            return _read(reply, parse, around)
        case 304 if around.asked_for_change:
            return Finding(Status.UNCHANGED)
        case 401 | 403:
            need = "the key for definitions needs the right to read this project's flags (feature_flag:read)"
            return Finding(Status.ERROR, Reason.AUTH, f"{_said(reply, around)}; {need}")
        case 402:
            said = f"the quota of flag requests is used up, no flag is known until it is raised: {_said(reply, around)}"
            return Finding(Status.ERROR, Reason.QUOTA, said, Snapshot(EMPTY, None))
        case 429:
            return Finding(Status.ERROR, Reason.RATE_LIMITED, _said(reply, around))
        case 503 if _COLD in _text(reply.body).casefold():
            return _cold(around)
    return Finding(Status.ERROR, Reason.UNEXPECTED_STATUS, _said(reply, around))


def _read(reply: Reply, parse: Parse, around: Circumstances) -> Finding:
    try:
        text = reply.body.decode("utf-8-sig")
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        detail = f"the definitions are not JSON ({_shown(str(error), around.hide)}): {_said(reply, around)}"
        return Finding(Status.ERROR, Reason.PARSE_FAILED, detail)
    try:
        if not isinstance(document, dict) or "flags" not in document:
            raise ValueError("there are no flags in them")
        parse(document)
    except Exception as error:  # whatever goes wrong in reading them: the ones that can be read stay
        detail = f"the definitions can't be read ({_shown(str(error), around.hide)}): {_said(reply, around)}"
        return Finding(Status.ERROR, Reason.INVALID_SHAPE, detail)
    return Finding(Status.UPDATED, store=Snapshot(text, _sendable(reply.etag)))


def _cold(around: Circumstances) -> Finding:
    """PostHog's cache holds nothing, or the project never had a flag: the two can't be told apart."""
    cold = "PostHog's cache of the definitions is cold, or the project has no flags"
    if around.stored_age is None:
        return Finding(Status.EMPTY, None, f"{cold}: none are stored", Snapshot(EMPTY, None))
    if around.stored_age <= STALE_AFTER:
        return Finding(Status.STALE, None, f"{cold}: what is stored stays for now")
    if around.keep_stale:
        old = f"what is stored stays, though it is {around.stored_age:.0f} s old, as keep_stale_definitions asks"
        return Finding(Status.STALE, Reason.KEPT_STALE, f"{cold}: {old}")
    old = f"what is stored is {around.stored_age:.0f} s old, so that no flag is known now"
    return Finding(Status.EMPTY, None, f"{cold}: {old}", Snapshot(EMPTY, None))


def _said(reply: Reply, around: Circumstances) -> str:
    """The answer in a line, for people: its status, the beginning of its body, where it redirects to."""
    where = f" (redirects to {_shown(reply.location, around.hide)})" if reply.location else ""
    body = _shown(_text(reply.body), around.hide)
    return f"HTTP {reply.status}: {body}{where}" if body else f"HTTP {reply.status}{where}"


def _shown(text: str, hide: Iterable[str]) -> str:
    return one_line(text, _EXCERPT, [form for secret in hide for form in (secret, quote(secret, safe=""))])


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _sendable(etag: str | None) -> str | None:
    """The ETag exactly as it came, where it can be sent back so."""
    return etag if etag and all(" " <= character <= "~" for character in etag) else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
