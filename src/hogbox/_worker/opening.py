"""Opening: the events that were read, with their payloads as they are sent: decrypted, in UTF-8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hogbox._delivery.batch import Waiting
from hogbox._events.escape import unescape
from hogbox._events.event import uuid_of
from hogbox.encryption import Cipher, is_sealed
from hogbox.errors import UndecryptablePayload


class Opened(NamedTuple):
    """What can be sent, in order; what none of the keys opens; and the shards that wait for a worker with keys."""

    rows: list[Waiting]
    unreadable: list[Waiting]
    locked: frozenset[int]


def open_events(rows: Sequence[Waiting], cipher: Cipher) -> Opened:
    """Decrypt what is encrypted, and undo what made it ASCII: PostHog's limits are of UTF-8.

    A worker without any keys gives no event up: it was started wrongly, and another one can send them. Of each shard
    it sends what comes before the first encrypted event, for the order's sake.
    """
    rows = [row._replace(payload=unescape(row.payload)) if "\\u" in row.payload else row for row in rows]
    if not any(is_sealed(row.payload) for row in rows):
        return Opened(rows, [], frozenset())
    if not cipher.has_keys:
        return _without_keys(rows)
    opened: list[Waiting] = []
    unreadable: list[Waiting] = []
    for row in rows:
        try:
            payload = cipher.open(row.payload)
        except UndecryptablePayload:
            unreadable.append(row)
        else:
            opened.append(row._replace(payload=payload, uuid=uuid_of(payload)))
    return Opened(opened, unreadable, frozenset())


def _without_keys(rows: Sequence[Waiting]) -> Opened:
    locked: set[int] = set()
    plain: list[Waiting] = []
    for row in rows:
        if is_sealed(row.payload):
            locked.add(row.shard)
        elif row.shard not in locked:
            plain.append(row)
    return Opened(plain, [], frozenset(locked))
