"""What goes into one request: events of one project and lane, in order, within the limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Waiting(NamedTuple):
    """An event as read from the outbox. `fault`: why it can't be sent, whatever the server would say."""

    id: int
    shard: int
    project: str
    lane: str
    payload: str
    uuid: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """At most so many events, and so many bytes of them, in one request."""

    events: int
    bytes: int


def group_batches(rows: Iterable[Waiting], limits: BatchLimits) -> list[tuple[Waiting, ...]]:
    """The rows as requests to make one after another.

    Order is kept within each project and lane. No request holds a uuid twice, and an event that is larger than
    the limit travels alone.
    """
    batches: list[tuple[Waiting, ...]] = []
    destinations: dict[tuple[str, str], list[Waiting]] = {}
    for row in rows:
        destinations.setdefault((row.project, row.lane), []).append(row)
    for same in destinations.values():
        batches.extend([tuple(same)] if _fit(same, limits) else _cut(same, limits))
    return batches


def total_bytes(rows: Iterable[Waiting]) -> int:
    """The encoded size of these events in one request, with their commas."""
    return sum(_size(row) for row in rows)


def _fit(rows: Sequence[Waiting], limits: BatchLimits) -> bool:
    """Whether the rows can be one request."""
    few = len(rows) <= limits.events and len({row.uuid for row in rows}) == len(rows)
    return few and (len(rows) == 1 or total_bytes(rows) <= limits.bytes)


def _cut(rows: Sequence[Waiting], limits: BatchLimits) -> Iterable[tuple[Waiting, ...]]:
    """Consecutive parts of one destination's rows, of which there is at least one."""
    batch: list[Waiting] = []
    uuids: set[str] = set()
    size = 0
    for row in rows:
        grown = size + _size(row)
        if batch and (len(batch) >= limits.events or grown > limits.bytes or row.uuid in uuids):
            yield tuple(batch)
            batch, uuids, grown = [], set(), _size(row)
        batch.append(row)
        uuids.add(row.uuid)
        size = grown
    yield tuple(batch)


def _size(row: Waiting) -> int:
    payload = row.payload
    return 1 + (len(payload) if payload.isascii() else len(payload.encode()))
