"""Opening: decrypts events and converts them to UTF-8, as they are sent; separates those that can't be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from hogbox._delivery.batch import Waiting
from hogbox._encryption import Cipher, is_sealed
from hogbox._events.escape import unescape
from hogbox._events.event import is_object, uuid_of
from hogbox.errors import UndecryptablePayload

_NO_OBJECT: Final = "the payload is not a JSON object and would make its whole request invalid"


class Opened(NamedTuple):
    """Events to send, in order; events that can't be sent, with the fault; shards that wait for a worker with keys."""

    rows: list[Waiting]
    unreadable: list[Waiting]
    locked: frozenset[int]


def open_events(rows: Sequence[Waiting], cipher: Cipher) -> Opened:
    """Decrypt encrypted payloads, undo the ASCII escapes, and check that each payload is one event.

    The escapes are undone because PostHog's size limits apply to UTF-8.

    A worker without keys gives no event up: it was misconfigured, and another worker can send them. From each shard it
    sends only the events before the first encrypted one, to keep the order.
    """
    locked: set[int] = set()
    opened: list[Waiting] = []
    unreadable: list[Waiting] = []
    for row in rows:
        sealed = is_sealed(row.payload)
        if sealed and not cipher.has_keys:
            locked.add(row.shard)
        if row.shard in locked:
            continue
        one = _open(row, cipher) if sealed else _examine(_in_utf8(row))
        (unreadable if one.fault else opened).append(one)
    return Opened(opened, unreadable, frozenset(locked))


def _open(row: Waiting, cipher: Cipher) -> Waiting:
    try:
        payload = cipher.open(row.payload, row)
    except UndecryptablePayload as error:
        return row._replace(fault=str(error))
    one = _examine(row._replace(payload=payload, uuid=uuid_of(payload)))
    # An event that can't be sent becomes a dead letter with its payload as stored.
    return row._replace(fault=one.fault) if one.fault else one


def _in_utf8(row: Waiting) -> Waiting:
    return row._replace(payload=unescape(row.payload)) if "\\u" in row.payload else row


def _examine(row: Waiting) -> Waiting:
    return row if row.fault or is_object(row.payload) else row._replace(fault=_NO_OBJECT)
