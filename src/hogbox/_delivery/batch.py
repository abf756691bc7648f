"""What goes into one request: events of one project and lane, in order, within the limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from hogbox._wire.identifier import canonical_uuid

_NO_REQUESTS: Final[Mapping[int, object]] = MappingProxyType({})


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


def group_batches(
    rows: Iterable[Waiting], limits: BatchLimits, requests: Mapping[int, object] = _NO_REQUESTS
) -> list[tuple[Waiting, ...]]:
    """The rows as requests to make one after another.

    Order is kept within each project and lane. No request holds a uuid twice, however it is written, and an event that
    is larger than the limit travels alone. `requests` are those that events were in before, by their ids: events of
    different ones are not mixed, so that the same request can be made again.
    """
    batches: list[tuple[Waiting, ...]] = []
    destinations: dict[tuple[str, str], list[Waiting]] = {}
    for row in rows:
        destinations.setdefault((row.project, row.lane), []).append(row)
    for same in destinations.values():
        whole = _fit(same, limits) and len({requests.get(row.id) for row in same} if requests else ()) <= 1
        batches.extend([tuple(same)] if whole else _cut(same, limits, requests))
    return batches


def total_bytes(rows: Iterable[Waiting]) -> int:
    """The encoded size of these events in one request, with their commas."""
    return sum(_size(row) for row in rows)


def _fit(rows: Sequence[Waiting], limits: BatchLimits) -> bool:
    """Whether the rows can be one request."""
    few = len(rows) <= limits.events and len({canonical_uuid(row.uuid) for row in rows}) == len(rows)
    return few and (len(rows) == 1 or total_bytes(rows) <= limits.bytes)


def _cut(rows: Sequence[Waiting], limits: BatchLimits, requests: Mapping[int, object]) -> Iterable[tuple[Waiting, ...]]:
    """Consecutive parts of one destination's rows, of which there is at least one."""
    batch: list[Waiting] = []
    uuids: set[str] = set()
    size = 0
    for row in rows:
        grown = size + _size(row)
        uuid = canonical_uuid(row.uuid)
        full = len(batch) >= limits.events or grown > limits.bytes or uuid in uuids
        if batch and (full or requests.get(row.id) is not requests.get(batch[0].id)):
            yield tuple(batch)
            batch, uuids, grown = [], set(), _size(row)
        batch.append(row)
        uuids.add(uuid)
        size = grown
    yield tuple(batch)


def _size(row: Waiting) -> int:
    payload = row.payload
    return 1 + (len(payload) if payload.isascii() else len(payload.encode()))
