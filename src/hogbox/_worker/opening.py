"""Opening: the events that were read, with their payloads decrypted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hogbox._delivery.batch import Waiting
from hogbox._events.event import uuid_of
from hogbox.encryption import Cipher, is_sealed
from hogbox.errors import UndecryptablePayload


class Opened(NamedTuple):
    """What can be sent, in order; what can't be opened, and why; and the shards that wait for a worker with keys."""

    rows: list[Waiting]
    unreadable: list[tuple[Waiting, str]]
    locked: frozenset[int]


def open_events(rows: Sequence[Waiting], cipher: Cipher) -> Opened:
    """Decrypt what is encrypted.

    A worker without any keys gives no event up: it was started wrongly, and another one can send them. Of each shard
    it sends what comes before the first encrypted event, for the order's sake.
    """
    if not any(is_sealed(row.payload) for row in rows):
        return Opened([*rows], [], frozenset())
    if not cipher.has_keys:
        return _without_keys(rows)
    opened: list[Waiting] = []
    unreadable: list[tuple[Waiting, str]] = []
    for row in rows:
        try:
            payload = cipher.open(row.payload, row)
        except UndecryptablePayload as error:
            unreadable.append((row, str(error)))
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
