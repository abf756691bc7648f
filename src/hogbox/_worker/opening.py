"""Opening: events as they are sent, decrypted and in UTF-8, and those that can't be sent set apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from hogbox._delivery.batch import Waiting
from hogbox._encryption import Cipher, is_sealed
from hogbox._events.escape import unescape
from hogbox._events.event import is_object, uuid_of
from hogbox.errors import UndecryptablePayload

_NO_OBJECT: Final = "the payload is not one JSON object, and would spoil the request that it is in"


class Opened(NamedTuple):
    """What can be sent, in order; what can't, each with its fault; and the shards that wait for a worker with keys."""

    rows: list[Waiting]
    unreadable: list[Waiting]
    locked: frozenset[int]


def open_events(rows: Sequence[Waiting], cipher: Cipher) -> Opened:
    """Decrypt what is encrypted, undo what made it ASCII, and look whether each payload is one event.

    PostHog's limits are of UTF-8.

    A worker without any keys gives no event up: it was started wrongly, and another one can send them. Of each shard
    it sends what comes before the first encrypted event, for the order's sake.
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
    # What can't be sent is set aside as it is stored.
    return row._replace(fault=one.fault) if one.fault else one


def _in_utf8(row: Waiting) -> Waiting:
    return row._replace(payload=unescape(row.payload)) if "\\u" in row.payload else row


def _examine(row: Waiting) -> Waiting:
    return row if row.fault or is_object(row.payload) else row._replace(fault=_NO_OBJECT)
