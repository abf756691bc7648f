"""Verdict: the meaning of the server's response to a capture request for its events (docs/explanation/answers.md).

Others may respond in PostHog's place: proxies, firewalls, captive portals, the server at a wrong address. So a response
counts as success only in PostHog's format, and as a refusal of an event only with PostHog's own message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import msgspec

from hogbox._wire.printable import one_line
from hogbox._wire.result import EventResult

_BAD_REQUEST: Final = 400
_PAYMENT_REQUIRED: Final = 402
_TOO_LARGE: Final = 413
_UNPROCESSABLE: Final = 422
_TOO_MANY: Final = 429
_NO_CONTENT: Final = 204

_HELD: Final = {401: "token", 402: "quota", 403: "token", 404: "address"}
"""The statuses that concern a whole project, and what each of them refuses."""

_EXCERPT: Final = 300
_JSON_BEGINS: Final = tuple('{["0123456789-tfn')

_OF_AN_EVENT: Final = ("failed to parse request", "event submitted with")
_OF_ITS_SIZE: Final = "maximum event size exceeded"
"""The beginnings of PostHog's plain-text messages about an event of the request (wire protocol 3.3)."""

_VALIDATION: Final = "validation_error"
"""The `type` in the JSON with which older servers refuse an event."""


class Verdict(Enum):
    """What happens to the events of a request."""

    DELIVERED = "delivered"
    """PostHog has accepted them."""

    PARTIAL = "partial"
    """PostHog has accepted the request, and states a result for each event: not all of them are delivered."""

    RETRY = "retry"
    """The events are not at fault: send them again later."""

    TOO_LARGE = "too large"
    """Send them in smaller requests."""

    REFUSED = "refused"
    """At least one of them is poison: find it and make it a dead letter."""

    KEY_REFUSED = "key refused"
    """The project's token, its quota or the address is wrong, not the events: hold the project back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its verdict. `status` is None without a response; `reason` is text; `retry_after` in seconds.

    `accuses`: PostHog's own message refuses an event, so an event that was sent alone becomes a dead letter.
    """

    verdict: Verdict
    status: int | None
    reason: str
    retry_after: float | None = None
    accuses: bool = False
    recognized: bool = True
    """Whether it is an answer of the protocol that was spoken; False is only said of capture v1."""
    results: Mapping[str, EventResult] = field(default_factory=dict)
    """By uuid, in PostHog's form; what is missing is delivered."""
    near_limit: bool = False
    """Whether PostHog says that requests are about to be refused because there are too many."""

    @property
    def over_quota(self) -> bool:
        """Whether it says that a quota is used up."""
        return self.status == _PAYMENT_REQUIRED

    @property
    def rate_limited(self) -> bool:
        """Whether it concerns the number of requests and not the events."""
        return self.status == _TOO_MANY

    @property
    def may_accuse(self) -> bool:
        """Whether the status is one for bad events, although the message is not PostHog's."""
        return self.status in (_BAD_REQUEST, _TOO_LARGE, _UNPROCESSABLE)


def judge(status: int, body: str = "", retry_after: float | None = None, content_type: str | None = None) -> Answer:
    """The verdict on a response with this status, body, parsed `Retry-After` and `Content-Type`."""
    reason = stated_reason(status, body)
    if not 200 <= status < 300:
        accuses = _accuses(status, body)
        return Answer(verdict_of(status, accuses=accuses), status, reason, retry_after, accuses)
    if _is_success(status, body):
        return Answer(Verdict.DELIVERED, status, reason, retry_after)
    return Answer(Verdict.RETRY, status, foreign_reason(status, body, content_type), retry_after)


def no_answer(error: str) -> Answer:
    """The verdict if the transport failed: the server may or may not have the events, so they are sent again."""
    return Answer(Verdict.RETRY, None, one_line(error))


def what_is_refused(status: int | None) -> str | None:
    """What a response with this status refuses: a project's "token", "quota" or "address"; None for other statuses."""
    return None if status is None else _HELD.get(status)


def stated_reason(status: int, body: str) -> str:
    """The status, and the beginning of what the body says."""
    detail = one_line(body, _EXCERPT)
    return f"HTTP {status}: {detail}" if detail else f"HTTP {status}"


def verdict_of(status: int, *, accuses: bool) -> Verdict:
    """The verdict on a response without success. `accuses`: PostHog's own message refuses an event."""
    if status in _HELD:
        return Verdict.KEY_REFUSED
    if status == _TOO_LARGE:
        return Verdict.TOO_LARGE
    # All others come from a failing server or proxy, or from a wrong POSTHOG_HOST: the events wait until it is fixed.
    return Verdict.REFUSED if accuses else Verdict.RETRY


def _accuses(status: int, body: str) -> bool:
    """Whether the refusal is PostHog's message about an event: any other may be the response to every request."""
    text = body.lstrip()
    if status == _TOO_LARGE:
        return text.startswith(_OF_ITS_SIZE)
    if status not in (_BAD_REQUEST, _UNPROCESSABLE):
        return False
    return text.startswith(_OF_AN_EVENT) or json_object(text).get("type") == _VALIDATION


def _is_success(status: int, body: str) -> bool:
    """Whether it is PostHog's format: `{"status":"Ok"}`, formerly `{"status":1}`, or 204 (wire protocol 3.2)."""
    if status == _NO_CONTENT:
        return not body.strip()
    answer = json_object(body)
    stated = answer.get("status")
    is_ok = stated == 1 or (isinstance(stated, str) and stated.lower() == "ok")
    return is_ok or isinstance(answer.get("quota_limited"), list)


def json_object(body: str) -> Mapping[str, Any]:
    """The JSON object in a body; empty where there is none."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def foreign_reason(status: int, body: str, content_type: str | None) -> str:
    """What a 2xx that is not PostHog's holds."""
    detail = one_line(body, _EXCERPT)
    kind = (content_type or "").partition(";")[0].strip()[:100]
    what = kind or ("other text" if body.strip() else "nothing")
    if kind.endswith("json"):
        what = "other JSON" if body.lstrip()[:1] in _JSON_BEGINS else "text that is not JSON"
    excerpt = f" ({detail})" if detail else ""
    return f"HTTP {status}: the response is {what}, not PostHog's JSON: check POSTHOG_HOST{excerpt}"
