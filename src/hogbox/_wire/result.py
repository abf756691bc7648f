"""Results: what an answer of capture v1 says of each event (wire protocol 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hogbox._wire.identifier import canonical_uuid
from hogbox._wire.printable import one_line

DROP: Final = "drop"
RETRY: Final = "retry"

_LONGEST: Final = 100
_DROPPED: Final = "dropped by PostHog: "

_UNKNOWN: Final = "unknown"
_KNOWN: Final = ("ok", "warning", "limited", DROP, RETRY)

_MEANINGS: Final = {
    "dropped_performance_event": "PostHog takes no events of this name",
    "missing_event_name": "its name is empty",
    "event_name_too_long": "its name has more than 200 bytes",
    "missing_distinct_id": "its distinct id is empty",
    "distinct_id_too_large": "its distinct id has more than 200 bytes",
    "invalid_event_timestamp": "its timestamp is not RFC 3339",
    "malformed_event_properties": "its properties are not an object",
    "invalid_options": "an option has a value of a wrong type",
    "cookieless_mode_required": "its distinct id requires $cookieless_mode",
    "misrouted_event": "it is not an AI event, and was sent to an endpoint for AI events",
    "billing_limit_exceeded": "the project's quota is used up",
    "exceptions_over_quota": "the project's quota of exceptions is used up",
    "survey_responses_over_quota": "the project's quota of survey responses is used up",
    "llm_events_over_quota": "the project's quota of AI events is used up",
    "event_restriction_drop": "PostHog's operators have restricted such events",
    "event_too_big": "it is too large",
    "ai_event_too_big": "it is too large",
}


def is_over_quota(reason: str) -> bool:
    """Whether the reason of a dead letter is that a quota is used up."""
    details = reason.removeprefix(_DROPPED).partition(" ")[0]
    return reason.startswith(_DROPPED) and (details == "billing_limit_exceeded" or details.endswith("over_quota"))


class EventResult(NamedTuple):
    """What PostHog says of one event. `details` is empty where it says no more."""

    result: str
    details: str = ""

    @property
    def dropped(self) -> bool:
        """Whether PostHog refuses the event permanently."""
        return self.result == DROP

    @property
    def again(self) -> bool:
        """Whether PostHog has not stored the event and asks for it again."""
        return self.result == RETRY

    @property
    def reason(self) -> str:
        """The same for people: the reason of a dead letter, or of a wait."""
        said = "PostHog asks to send it again" if self.again else "dropped by PostHog"
        meaning = _MEANINGS.get(self.details)
        return ": ".join(filter(None, (said, self.details))) + (f" ({meaning})" if meaning else "")

    @property
    def word(self) -> str:
        """The result; `unknown` for a word of a newer server."""
        return self.result if self.result in _KNOWN else _UNKNOWN


def read_results(results: Mapping[str, Any]) -> dict[str, EventResult]:
    """The results by uuid, in PostHog's form. Details are for people: they differ between versions of the server."""
    return {canonical_uuid(uuid): _read(result) for uuid, result in results.items()}


def _read(given: Any) -> EventResult:
    if not isinstance(given, dict):
        return EventResult(one_line(given, _LONGEST))
    details = given.get("details")
    return EventResult(one_line(given.get("result"), _LONGEST), "" if details is None else one_line(details, _LONGEST))
