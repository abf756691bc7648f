"""What the server's answer to a capture request means for its events (the table in the design's section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from hogbox._wire.printable import one_line

_REQUEST_TIMEOUT: Final = 408
_TOO_LARGE: Final = 413
_TOO_MANY: Final = 429
_KEY_REFUSED: Final = (401, 403)
_EXCERPT: Final = 300


class Verdict(Enum):
    """What becomes of the events of a request."""

    DELIVERED = "delivered"
    """They are with PostHog."""

    RETRY = "retry"
    """Nothing is wrong with them: the same again, later."""

    TOO_LARGE = "too large"
    """Smaller requests; one event alone is a dead letter."""

    REFUSED = "refused"
    """At least one of them is poison: find it, set it aside."""

    KEY_REFUSED = "key refused"
    """The project's token is wrong, not the events: hold the project back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A judged answer. `status` is None where none came; `reason` is for people; `retry_after` is in seconds."""

    verdict: Verdict
    status: int | None
    reason: str
    retry_after: float | None = None


def judge(status: int, body: str = "", retry_after: float | None = None) -> Answer:
    """The answer with this status, plain-text body and parsed `Retry-After`, judged."""
    detail = one_line(body, _EXCERPT)
    reason = f"HTTP {status}: {detail}" if detail else f"HTTP {status}"
    return Answer(_verdict(status), status, reason, retry_after)


def no_answer(error: str) -> Answer:
    """The transport failed; whether the server took the events is unknown, so they are sent again."""
    return Answer(Verdict.RETRY, None, one_line(error))


def _verdict(status: int) -> Verdict:
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if status in _KEY_REFUSED:
        return Verdict.KEY_REFUSED
    if status == _TOO_LARGE:
        return Verdict.TOO_LARGE
    # A redirect is a wrong POSTHOG_HOST: no fault of the events, so they wait for it to be mended.
    if status in (_REQUEST_TIMEOUT, _TOO_MANY) or status >= 500 or status < 400:
        return Verdict.RETRY
    return Verdict.REFUSED
