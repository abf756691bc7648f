"""The verdict on a response of capture v1 (wire protocol 4.4, 4.5; docs/explanation/answers.md).

As with v0, only PostHog's own format counts: a 2xx without results is not one, whatever the protocol says of it, since
proxies and captive portals send such responses too, and the events would be lost.
"""

from __future__ import annotations

from typing import Final

from hogbox._wire.result import read_results
from hogbox._wire.verdict import (
    Answer,
    Verdict,
    foreign_reason,
    json_object,
    stated_reason,
    verdict_of,
)

_OF_AN_EVENT: Final = {
    400: ("request_parsing_error", "missing_event_uuid", "invalid_event_uuid", "duplicate_event_uuid"),
    413: ("payload_too_large",),
}
"""The tags, by status, that an event of the request can be the cause of."""


def judge_analytics(
    status: int, body: str = "", retry_after: float | None = None, content_type: str | None = None
) -> Answer:
    """The verdict on a response with this status, body, parsed `Retry-After` and `Content-Type`."""
    answer = json_object(body)
    if not 200 <= status < 300:
        tag = answer.get("error")
        accuses = tag in _OF_AN_EVENT.get(status, ())
        verdict, recognized = verdict_of(status, accuses=accuses), isinstance(tag, str)
        return Answer(verdict, status, stated_reason(status, body), retry_after, accuses, recognized)
    stated = answer.get("results")
    if not isinstance(stated, dict):
        reason = foreign_reason(status, body, content_type)
        return Answer(Verdict.RETRY, status, reason, retry_after, recognized=False)
    results = read_results(stated)
    complete = not any(one.dropped or one.again for one in results.values())
    verdict = Verdict.DELIVERED if complete else Verdict.PARTIAL
    return Answer(verdict, status, f"HTTP {status}", retry_after, results=results)
