"""PostHog's v0 capture rules (`/batch/`, its siblings and the AI lane): a request in, an answer and stored events out.

Nothing here waits, reads a clock or touches the world. The order of the checks is the server's, because the
first one that fails decides the answer: payload, JSON, emptiness, key, quota, then every event in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from hogbox.emulator.ai_event import AI_EVENTS
from hogbox.emulator.answer import (
    BAD_COOKIELESS_MODE,
    MIXED_TOKENS,
    NO_AI_EVENT,
    NO_CONTENT,
    NO_DISTINCT_ID,
    NO_EVENT,
    NO_EVENT_NAME,
    NO_TOKEN,
    NOT_ALLOWED,
    OK,
    EmulatorResponse,
    Outcome,
    Refusal,
    Request,
    bad_token,
    too_large,
)
from hogbox.emulator.document import Document, RawEvent, parse_document
from hogbox.emulator.payload import parse_query, read_payload
from hogbox.emulator.record import ReceivedEvent
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.timestamp import event_time, parse_query_sent_at, parse_sent_at

PATHS = ("/batch", "/i/v0/e", "/e", "/capture", "/track", "/engage")
AI_PATH = "/i/v0/ai/batch"

_LONGEST_TOKEN = 64
_LONGEST_DISTINCT_ID = 200
_SURVEYS = frozenset(("survey sent", "survey shown", "survey dismissed"))
_stringify = msgspec.json.Encoder(order="deterministic").encode
_encode = msgspec.json.Encoder().encode


def capture(request: Request, settings: Settings, limits: Limits, random: Random) -> Outcome:
    """PostHog's response to a capture request, and the events that it stores."""
    if request.method == "OPTIONS":
        return Outcome(answer=OK)
    if request.method not in ("GET", "POST", "HEAD"):
        return Outcome(answer=NOT_ALLOWED)
    query = parse_query(request.query)
    payload: str | None = None
    try:
        payload = read_payload(request, query, limits)
        nameless = "$identify" if request.path.startswith("/engage") else None
        document = parse_document(payload, nameless_event=nameless)
        if not document.events:
            raise Refusal(400, NO_EVENT)
        token, events, refusal = _take(request, document, query.get("_"), settings, limits, len(payload), random)
    except Refusal as refused:
        return Outcome(answer=refused.answer, payload=payload)
    accepted = NO_CONTENT if query.get("beacon") == "1" else OK
    return Outcome(answer=refusal or accepted, token=token, events=events, payload=payload)


class _Context(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of one request share."""

    request: Request
    token: str
    now: datetime
    sent_at: datetime | None
    sent_at_text: str | None
    historical_migration: bool
    random: Random


def _take(
    request: Request,
    document: Document,
    query_sent_at: str | None,
    settings: Settings,
    limits: Limits,
    payload_size: int,
    random: Random,
) -> tuple[str | None, tuple[ReceivedEvent, ...], EmulatorResponse | None]:
    raws = [raw for raw in document.events if raw.event != "$performance_event"]
    if not raws:
        return None, (), None
    token = read_token(document.token, raws, settings.known_tokens)
    ai_only = request.path.startswith(AI_PATH)
    if ai_only and any(raw.event not in AI_EVENTS for raw in raws):
        raise Refusal(400, NO_AI_EVENT)
    raws = [raw for raw in raws if not over_quota(raw, settings.quota)]
    context = _Context(
        request=request,
        token=token,
        now=datetime.fromtimestamp(request.now, UTC),
        sent_at=parse_sent_at(document.sent_at) or parse_query_sent_at(query_sent_at),
        sent_at_text=document.sent_at,
        historical_migration=document.historical_migration,
        random=random,
    )
    events = tuple(read_event(raw, context) for raw in raws)
    if ai_only:
        _check_ai_sizes(raws, limits.ai_event, payload_size)
        return token, events, None
    fitting = len(events) if payload_size < limits.message // 8 else _fitting(raws, events, limits.message)
    refusal = None if fitting == len(events) else too_large("Event rejected by kafka during send").answer
    return token, events[:fitting], refusal


def _check_ai_sizes(raws: Sequence[RawEvent], limit: int, payload_size: int) -> None:
    """Raises `Refusal` if any AI event is too large."""
    if payload_size > limit and any(len(_encode(raw.properties)) > limit for raw in raws):
        raise too_large(f"AI event exceeds {limit} bytes")


def read_token(envelope_token: str | None, raws: Sequence[RawEvent], known: Sequence[str] | None) -> str:
    """The project key of a request, in good shape; raises `Refusal` otherwise."""
    token = envelope_token
    if token is None:
        tokens = {own for raw in raws if (own := raw.own_token()) is not None}
        if not tokens:
            raise Refusal(401, NO_TOKEN)
        if len(tokens) > 1:
            raise Refusal(401, MIXED_TOKENS)
        token = tokens.pop()
    token = token.strip()
    if reason := token_fault(token):
        raise bad_token(reason)
    if known is not None and token not in known:
        raise bad_token("unknown")
    return token


def token_fault(token: str) -> str | None:
    """PostHog's word for what is wrong with the shape of a project key."""
    if not token:
        return "empty"
    if len(token.encode()) > _LONGEST_TOKEN:
        return "too_long"
    if not token.isascii():
        return "not_ascii"
    if token.startswith("phx_"):
        return "personal_api_key"
    return "null_byte" if "\0" in token else None


def over_quota(raw: RawEvent, quota: Sequence[str]) -> bool:
    """Whether an event silently vanishes because its resource is over the billing quota."""
    if not quota:
        return False
    if "events" in quota:
        return True
    name = str(raw.event)
    if name == "$exception":
        return "exceptions" in quota
    if name in _SURVEYS:
        return "surveys" in quota and "$product_tour_id" not in raw.properties
    return name.startswith("$ai_") and "llm_events" in quota


def read_event(raw: RawEvent, context: _Context) -> ReceivedEvent:
    """One event as it is stored; raises `Refusal` for one that takes the whole request with it."""
    if not raw.event:
        raise Refusal(400, NO_EVENT_NAME)
    distinct_id = read_distinct_id(raw.own_distinct_id())
    if not isinstance(raw.properties.get("$cookieless_mode", False), bool):
        raise Refusal(400, BAD_COOKIELESS_MODE)
    time = event_time(
        raw.timestamp,
        offset=raw.offset,
        sent_at=context.sent_at,
        ignore_sent_at=raw.properties.get("$ignore_sent_at") is True,
        now=context.now,
    )
    return ReceivedEvent(
        request=context.request.sequence,
        arrived_at=context.request.arrived_at,
        path=context.request.path,
        token=context.token,
        uuid=raw.uuid or make_uuid(time, context.random),
        event=str(raw.event),
        distinct_id=distinct_id,
        timestamp=raw.timestamp,
        time=time.isoformat(),
        properties=raw.properties,
        set=raw.set,
        set_once=raw.set_once,
        historical_migration=context.historical_migration,
        sent_at=context.sent_at_text,
    )


def read_distinct_id(value: Any) -> str:
    """The stored distinct id: text, at most 200 characters, no NUL; raises `Refusal` if it is missing."""
    if value is None:
        raise Refusal(400, NO_DISTINCT_ID)
    text = value if isinstance(value, str) else _stringify(value).decode()
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not text.strip():
        raise Refusal(400, NO_DISTINCT_ID)
    return text[:_LONGEST_DISTINCT_ID]


def make_uuid(time: datetime, random: Random) -> str:
    """A version 7 uuid for the time of an event that came without one."""
    milliseconds = max(0, int(time.timestamp() * 1000))
    high = milliseconds << 16 | 0x7000 | random.getrandbits(12)
    return str(UUID(int=high << 64 | 0b10 << 62 | random.getrandbits(62)))


def _fitting(raws: Sequence[RawEvent], events: Sequence[ReceivedEvent], limit: int) -> int:
    """How many events, from the first, the message bus takes before one is too large for it."""
    for index, (raw, event) in enumerate(zip(raws, events, strict=True)):
        if message_size(raw, event) > limit:
            return index
    return len(events)


def message_size(raw: RawEvent, event: ReceivedEvent) -> int:
    """Bytes of the message that carries an event: it holds the event's JSON as an escaped string."""
    fields = {
        "token": raw.token,
        "distinct_id": raw.distinct_id,
        "uuid": raw.uuid,
        "event": raw.event,
        "properties": raw.properties,
        "timestamp": raw.timestamp,
        "offset": raw.offset,
        "$set": raw.set,
        "$set_once": raw.set_once,
    }
    kept = {name: value for name, value in fields.items() if value is not None or name == "uuid"}
    message = {
        "uuid": event.uuid,
        "distinct_id": event.distinct_id,
        "ip": "127.0.0.1",
        "data": _encode(kept).decode(),
        "now": event.time,
        "sent_at": event.sent_at,
        "token": event.token,
        "event": event.event,
        "timestamp": event.time,
    }
    return len(_encode(message))
