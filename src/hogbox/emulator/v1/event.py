"""What capture v1 makes of each event: its result, the reason, and the event as it is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from hogbox.emulator.ai_event import AI_EVENTS
from hogbox.emulator.answer import Request
from hogbox.emulator.capture import message_size, over_quota
from hogbox.emulator.document import RawEvent
from hogbox.emulator.record import ReceivedEvent
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.timestamp import correct_skew, parse_rfc3339
from hogbox.emulator.v1.body import RawV1Event
from hogbox.emulator.v1.header import V1RequestHeaders
from hogbox.emulator.v1.option import InvalidV1Options, as_properties

OVER_QUOTA = "billing_limit_exceeded"
PERSONLESS = "person_processing_disabled"

_LONGEST = 200
_ILLEGAL_IDS = frozenset(
    (
        "0",
        "00000000-0000-0000-0000-000000000000",
        "[object object]",
        "anonymous",
        "anonymous-user",
        "backend",
        "distinct_id",
        "distinctid",
        "email",
        "false",
        "guest",
        "id",
        "nan",
        "none",
        "not_authenticated",
        "null",
        "system",
        "true",
        "undefined",
        "user",
    )
)


class V1RequestContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of one request share. `ai_only`: the request came to the AI lane. `size` is its body's."""

    request: Request
    headers: V1RequestHeaders
    settings: Settings
    limits: Limits
    historical_migration: bool
    ai_only: bool
    size: int


class V1Verdict(msgspec.Struct, kw_only=True):
    """The result of one event. Without `stored`, nothing is stored."""

    uuid: str
    result: str
    details: str | None = None
    stored: ReceivedEvent | None = None


def judge(event: RawV1Event, uuid: UUID, context: V1RequestContext) -> V1Verdict:
    """The result of one event, by the server's checks in their order."""
    distinct_id = event.distinct_id.strip()
    time = parse_rfc3339(event.timestamp)
    properties = {} if event.properties is UNSET else event.properties
    details = _fault(event, distinct_id, time, properties)
    if details is not None or time is None:
        return _drop(uuid, details)
    try:
        options = as_properties(event.options)
    except InvalidV1Options:
        return _drop(uuid, "invalid_options")
    if context.ai_only and event.event not in AI_EVENTS:
        return _drop(uuid, "misrouted_event")
    raw = RawEvent(
        event=event.event,
        uuid=str(uuid),
        distinct_id=distinct_id,
        timestamp=event.timestamp,
        properties=_written_back(properties, options, event, context.headers),
    )
    raw.settle()
    stored = _store(raw, time, context)
    if (details := _refusal(raw, stored, properties, context)) is not None:
        return _drop(uuid, details)
    return V1Verdict(
        uuid=stored.uuid, result="ok", details=None if stored.person_processing else PERSONLESS, stored=stored
    )


def _drop(uuid: UUID, details: str | None) -> V1Verdict:
    return V1Verdict(uuid=str(uuid), result="drop", details=details)


def _fault(event: RawV1Event, distinct_id: str, time: datetime | None, properties: Any) -> str | None:
    """The first thing that is wrong with the event itself."""
    faults = (
        (event.event == "$performance_event", "dropped_performance_event"),
        (not event.event, "missing_event_name"),
        (len(event.event.encode()) > _LONGEST, "event_name_too_long"),
        (not distinct_id, "missing_distinct_id"),
        (len(distinct_id.encode()) > _LONGEST, "distinct_id_too_large"),
        (time is None, "invalid_event_timestamp"),
        (not isinstance(properties, dict), "malformed_event_properties"),
    )
    return next((details for found, details in faults if found), None)


def _written_back(
    properties: dict[str, Any], options: dict[str, Any], event: RawV1Event, headers: V1RequestHeaders
) -> dict[str, Any]:
    """The properties with what v1 keeps elsewhere."""
    name, version = headers.sdk or (None, None)
    kept = {"$session_id": event.session_id, "$window_id": event.window_id, "$lib": name, "$lib_version": version}
    return {**properties, **options, **{name: value for name, value in kept.items() if value is not None}}


def _store(raw: RawEvent, time: datetime, context: V1RequestContext) -> ReceivedEvent:
    now = datetime.fromtimestamp(context.request.now, UTC)
    uncorrected = raw.properties.get("$ignore_sent_at") is True
    return ReceivedEvent(
        request=context.request.sequence,
        arrived_at=context.request.arrived_at,
        path=context.request.path,
        token=context.headers.token,
        uuid=str(raw.uuid),
        event=str(raw.event),
        distinct_id=raw.distinct_id,
        timestamp=raw.timestamp,
        time=(time if uncorrected else correct_skew(time, context.headers.sent_at, now)).isoformat(),
        properties=raw.properties,
        historical_migration=context.historical_migration,
        sent_at=context.headers.sent_at_text,
        person_processing=raw.distinct_id.lower() not in _ILLEGAL_IDS,
    )


def _refusal(raw: RawEvent, stored: ReceivedEvent, sent: dict[str, Any], context: V1RequestContext) -> str | None:
    """Why an event that is well-formed is not stored."""
    if over_quota(raw, context.settings.quota):
        return OVER_QUOTA
    limits = context.limits
    if context.ai_only:
        fits = context.size <= limits.ai_event or len(msgspec.json.encode(sent)) <= limits.ai_event
        return None if fits else "ai_event_too_big"
    # An event grows at most eightfold on its way into the message.
    fits = context.size < limits.message // 8 or message_size(raw, stored) <= limits.message
    return None if fits else "event_too_big"
