"""What the server's answer to a capture request means for its events (docs/explanation/answers.md).

Many things answer in PostHog's place: proxies, firewalls, captive portals, the server of a wrong address. So a success
counts only in PostHog's form, and an event is accused only in PostHog's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from hogbox._wire.printable import one_line

_BAD_REQUEST: Final = 400
_REQUEST_TIMEOUT: Final = 408
_TOO_LARGE: Final = 413
_UNPROCESSABLE: Final = 422
_TOO_MANY: Final = 429
_NO_CONTENT: Final = 204

_HELD: Final = {401: "token", 402: "quota", 403: "token", 404: "address"}
"""The answers that concern a whole project, and what each of them refuses."""

_EXCERPT: Final = 300
_JSON_BEGINS: Final = tuple('{["0123456789-tfn')

_OF_AN_EVENT: Final = ("failed to parse request", "event submitted with")
_OF_ITS_SIZE: Final = "maximum event size exceeded"
"""How PostHog's plain texts begin that concern an event of the request (wire protocol 3.3)."""

_VALIDATION: Final = "validation_error"
"""The `type` in the JSON of older servers that refuse an event."""


class Verdict(Enum):
    """What becomes of the events of a request."""

    DELIVERED = "delivered"
    """They are with PostHog."""

    RETRY = "retry"
    """Nothing says that they are wrong: the same again, later."""

    TOO_LARGE = "too large"
    """Smaller requests."""

    REFUSED = "refused"
    """At least one of them is poison: find it, set it aside."""

    KEY_REFUSED = "key refused"
    """The project's token, its quota or the address is wrong, not the events: hold the project back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A judged answer. `status` is None where none came; `reason` is for people; `retry_after` is in seconds.

    `accuses`: it is in PostHog's own words about an event, so that an event which was sent alone is a dead letter.
    """

    verdict: Verdict
    status: int | None
    reason: str
    retry_after: float | None = None
    accuses: bool = False

    @property
    def rate_limited(self) -> bool:
        """It is about the number of requests, and about no event at all."""
        return self.status == _TOO_MANY

    @property
    def may_accuse(self) -> bool:
        """The status is one for bad events, in words that are not PostHog's."""
        return self.status in (_BAD_REQUEST, _TOO_LARGE, _UNPROCESSABLE)


def judge(status: int, body: str = "", retry_after: float | None = None, content_type: str | None = None) -> Answer:
    """The answer with this status, plain-text body, parsed `Retry-After` and `Content-Type`, judged."""
    detail = one_line(body, _EXCERPT)
    reason = f"HTTP {status}: {detail}" if detail else f"HTTP {status}"
    if not 200 <= status < 300:
        accuses = _accuses(status, body)
        return Answer(_verdict(status, accuses=accuses), status, reason, retry_after, accuses)
    if _is_success(status, body):
        return Answer(Verdict.DELIVERED, status, reason, retry_after)
    return Answer(Verdict.RETRY, status, _foreign(status, body, detail, content_type), retry_after)


def no_answer(error: str) -> Answer:
    """The transport failed; whether the server took the events is unknown, so they are sent again."""
    return Answer(Verdict.RETRY, None, one_line(error))


def what_is_refused(status: int | None) -> str | None:
    """What an answer with this status refuses of a project: "token", "quota" or "address"; None for other answers."""
    return None if status is None else _HELD.get(status)


def _verdict(status: int, *, accuses: bool) -> Verdict:
    if status in _HELD:
        return Verdict.KEY_REFUSED
    if status == _TOO_LARGE:
        return Verdict.TOO_LARGE
    # All others are of a server or a proxy that fails, or of a wrong POSTHOG_HOST: the events wait for a correction.
    return Verdict.REFUSED if accuses else Verdict.RETRY


def _accuses(status: int, body: str) -> bool:
    """Whether the refusal is about an event, in PostHog's words: anything else may be said of every request alike."""
    text = body.lstrip()
    if status == _TOO_LARGE:
        return text.startswith(_OF_ITS_SIZE)
    if status not in (_BAD_REQUEST, _UNPROCESSABLE):
        return False
    return text.startswith(_OF_AN_EVENT) or _json_object(text).get("type") == _VALIDATION


def _is_success(status: int, body: str) -> bool:
    """Whether it is PostHog's: `{"status":"Ok"}`, of older servers `{"status":1}`, or 204 (wire protocol 3.2)."""
    if status == _NO_CONTENT:
        return not body.strip()
    answer = _json_object(body)
    stated = answer.get("status")
    said_ok = stated == 1 or (isinstance(stated, str) and stated.lower() == "ok")
    return said_ok or isinstance(answer.get("quota_limited"), list)


def _json_object(body: str) -> Mapping[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _foreign(status: int, body: str, detail: str, content_type: str | None) -> str:
    kind = (content_type or "").partition(";")[0].strip()[:100]
    what = kind or ("other text" if body.strip() else "nothing")
    if kind.endswith("json"):
        what = "other JSON" if body.lstrip()[:1] in _JSON_BEGINS else "text that is not JSON"
    told = f" ({detail})" if detail else ""
    return f"HTTP {status}: answered with {what}, not with PostHog's JSON: check POSTHOG_HOST{told}"
