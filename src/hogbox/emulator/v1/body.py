"""The body of a request to capture v1: unpacked, parsed, and refused as a whole where the server refuses it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from hogbox.emulator.compression import BrokenData, CodecMissing, DataTooLarge, decompress
from hogbox.emulator.document import read_uuid, too_deep
from hogbox.emulator.timestamp import parse_rfc3339
from hogbox.emulator.v1.answer import V1Refusal


class RawV1Event(msgspec.Struct, kw_only=True):
    """One event as it was sent. Unknown fields are ignored."""

    event: str
    uuid: str
    distinct_id: str
    timestamp: str
    session_id: str | None = None
    window_id: str | None = None
    options: Any = None
    properties: Any = UNSET


class RawV1Batch(msgspec.Struct, kw_only=True):
    created_at: str
    batch: list[RawV1Event]
    historical_migration: bool = False


_decoder = msgspec.json.Decoder(RawV1Batch)


def read_text(body: bytes, encoding: str | None, limit: int) -> str:
    """The JSON text of a body; raises `V1Refusal` for one that is empty, too large or broken."""
    if not body:
        raise V1Refusal(400, "empty_body", "request body is empty")
    try:
        return (body if encoding is None else decompress(body, encoding, limit)).decode()
    except DataTooLarge:
        raise V1Refusal(413, "payload_too_large", f"decompressed payload exceeds {limit} bytes") from None
    except CodecMissing as missing:
        raise V1Refusal(415, "unsupported_encoding", str(missing)) from None
    except (BrokenData, UnicodeDecodeError):
        raise V1Refusal(400, "request_decoding_error", "Failed to decode request body.") from None


def read_batch(text: str) -> RawV1Batch:
    """The batch; raises `V1Refusal` for anything else."""
    data = text.encode()
    try:
        batch = _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise V1Refusal(400, "request_parsing_error", f"Failed to parse request body. ({error})") from None
    if too_deep(data):
        raise V1Refusal(400, "request_parsing_error", "Failed to parse request body. (recursion limit exceeded)")
    if not batch.batch:
        raise V1Refusal(400, "empty_batch", "request batch is empty")
    if parse_rfc3339(batch.created_at) is None:
        raise V1Refusal(400, "invalid_batch", f"invalid batch: created_at is not valid RFC 3339: {batch.created_at}")
    return batch


def read_uuids(batch: RawV1Batch) -> list[UUID]:
    """The uuids of the events, in order; raises `V1Refusal` unless each has one of its own."""
    uuids: dict[UUID, None] = {}
    for event in batch.batch:
        text = event.uuid.strip()
        if not text:
            raise V1Refusal(400, "missing_event_uuid", "event submitted without a uuid")
        uuid = read_uuid(text)
        if uuid is None:
            raise V1Refusal(400, "invalid_event_uuid", f"event submitted with an invalid uuid: {text}")
        if uuid in uuids:
            raise V1Refusal(400, "duplicate_event_uuid", f"duplicate event uuid: {text}")
        uuids[uuid] = None
    return list(uuids)
