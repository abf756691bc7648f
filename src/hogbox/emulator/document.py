"""The three forms of JSON that capture accepts: a batch envelope, one bare event, an array of bare events."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from hogbox.emulator.answer import unparsable

_NOT_A_FORM = "data did not match any variant of untagged enum RawRequest"
_DEEPEST = 127  # serde_json refuses the 128th level
_UUID = re.compile(
    r"(?:[0-9a-f]{32}|(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\})",
    re.IGNORECASE,
)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


class RawEvent(msgspec.Struct, kw_only=True):
    """One event as it was sent. Unknown fields are ignored."""

    event: str | UnsetType = UNSET
    token: str | UnsetType | None = UNSET
    dollar_token: str | UnsetType | None = msgspec.field(default=UNSET, name="$token")
    api_key: str | UnsetType | None = UNSET
    distinct_id: Any = UNSET
    dollar_distinct_id: Any = msgspec.field(default=UNSET, name="$distinct_id")
    uuid: str | None = None
    properties: dict[str, Any] = {}
    timestamp: str | None = None
    offset: int | None = None
    set: dict[str, Any] | None = msgspec.field(default=None, name="$set")
    set_once: dict[str, Any] | None = msgspec.field(default=None, name="$set_once")

    def settle(self) -> None:
        """Brings the uuid and the fields with several spellings to one form; raises `Refusal` if it can't."""
        self.token = _only("token", self.token, self.dollar_token, self.api_key)
        self.distinct_id = _only("distinct_id", self.distinct_id, self.dollar_distinct_id)
        if not self.uuid:
            self.uuid = None
            return
        uuid = read_uuid(self.uuid)
        if uuid is None:
            raise unparsable(f"{_NOT_A_FORM} (`uuid` is not a UUID: {self.uuid[:50]!r})")
        self.uuid = str(uuid)

    def own_token(self) -> str | None:
        token = self.properties.get("token") if self.token is None else self.token
        return token if isinstance(token, str) else None

    def own_distinct_id(self) -> Any:
        return self.properties.get("distinct_id") if self.distinct_id is None else self.distinct_id


class Document(msgspec.Struct, kw_only=True):
    """A parsed request. `token` is the envelope's; bare events carry their own."""

    events: list[RawEvent]
    token: str | None = None
    sent_at: str | None = None
    historical_migration: bool = False


class _Envelope(msgspec.Struct, kw_only=True):
    batch: list[RawEvent]
    token: str | UnsetType = UNSET
    api_key: str | UnsetType = UNSET
    sent_at: str | None = None
    historical_migration: bool | None = None


class _Probe(msgspec.Struct):
    batch: msgspec.Raw | UnsetType = UNSET


_probe = msgspec.json.Decoder(_Probe)
_envelope = msgspec.json.Decoder(_Envelope)
_array = msgspec.json.Decoder(list[RawEvent])
_bare = msgspec.json.Decoder(RawEvent)


def parse_document(text: str, *, nameless_event: str | None) -> Document:
    """The request's events; raises `Refusal` for anything that PostHog cannot parse.

    `nameless_event` is the name given to one bare event that has none, as `/engage` does.
    """
    data = text.encode()
    try:
        document = _decode(data)
    except msgspec.ValidationError as error:
        raise unparsable(f"{_NOT_A_FORM} ({error})") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise unparsable(str(error)) from None
    if too_deep(data):
        raise unparsable("recursion limit exceeded")
    _name_events(document, nameless_event)
    for raw in document.events:
        raw.settle()
    return document


def _decode(data: bytes) -> Document:
    if data.lstrip(b" \t\r\n")[:1] == b"[":
        return Document(events=_array.decode(data))
    if _probe.decode(data).batch is UNSET:
        return Document(events=[_bare.decode(data)])
    envelope = _envelope.decode(data)
    return Document(
        events=envelope.batch,
        token=_envelope_token(envelope),
        sent_at=envelope.sent_at,
        historical_migration=bool(envelope.historical_migration),
    )


def _envelope_token(envelope: _Envelope) -> str:
    token = _only("token", envelope.token, envelope.api_key)
    if token is None:
        raise unparsable(f"{_NOT_A_FORM} (a batch needs a string `api_key`)")
    return str(token)


def _name_events(document: Document, nameless_event: str | None) -> None:
    for raw in document.events:
        if raw.event is UNSET:
            if nameless_event is None or document.token is not None or len(document.events) > 1:
                raise unparsable(f"{_NOT_A_FORM} (missing field `event`)")
            raw.event = nameless_event


def read_uuid(text: str) -> UUID | None:
    """The UUID in one of the forms that PostHog reads: simple, hyphenated, in braces, or as a URN."""
    return UUID(text) if _UUID.fullmatch(text) else None


def _only(field: str, *spellings: Any) -> Any:
    """The value of a field with several spellings, of which a request may use one."""
    given = [value for value in spellings if value is not UNSET]
    if len(given) > 1:
        raise unparsable(f"{_NOT_A_FORM} (duplicate field `{field}`)")
    return given[0] if given else None


def too_deep(data: bytes) -> bool:
    """Whether JSON nests more deeply than PostHog reads it."""
    if data.count(b"[") + data.count(b"{") <= _DEEPEST:
        return False
    brackets = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS).translate(_BRACKETS)
    for _ in range(_DEEPEST):  # each pass takes the innermost level away
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True
