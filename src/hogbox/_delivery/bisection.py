"""Finding poison: which part of a batch to send next, and which event failed alone.

A batch is a stack of parts, sent from the left. A refused part is halved; once its left half is delivered, the right
half is known to hold the poison and is halved without being sent. One bad event among n is found in at most
2·log2(n) + 2 requests, and the events around it arrive in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hogbox._delivery.batch import Waiting
from hogbox._events.event import distinct_id_of
from hogbox._wire.verdict import Verdict

_Origin = tuple[int, str, str | None]
"""Shard, lane and person of an event."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive events of one batch. `guilty_if_left_passes`: the refusal of the whole then rests on this half."""

    rows: tuple[Waiting, ...]
    guilty_if_left_passes: bool = False


@dataclass(frozen=True, slots=True)
class Bisection:
    """What one answer settles, and what is left to send."""

    delivered: tuple[Waiting, ...]
    alone: tuple[Waiting, ...]
    """The event that failed in its own name, if one did."""
    pending: tuple[Part, ...]


def whole(rows: tuple[Waiting, ...]) -> tuple[Part, ...]:
    """A batch of which nothing was sent yet."""
    return (Part(rows),)


def narrowed(rows: tuple[Waiting, ...], width: int) -> tuple[Part, ...]:
    """A batch of a project that fails: at first `width` events at most, of one shard, then more and more."""
    mine = [row for row in rows if row.shard == rows[0].shard][:width]
    chosen = {row.id for row in mine}
    rest = [row for row in rows if row.id not in chosen]
    parts, begin, size = [Part(tuple(mine))], 0, width
    while begin < len(rest):
        parts.append(Part(tuple(rest[begin : begin + size])))
        begin, size = begin + size, 2 * size
    return tuple(parts)


def rotated(rows: Sequence[Waiting], choice: int) -> list[Waiting]:
    """The events of a project that fails, with those of another person and lane in front for each `choice`.

    Of another shard first, then of another person of the same shards: so one bad event does not hide that others pass,
    not even from a worker that holds one shard. Each person's events of a lane stay in their order.
    """
    origin = {row.id: (row.shard, row.lane, distinct_id_of(row.payload)) for row in rows}
    seen: Counter[int] = Counter()
    turns: list[tuple[int, int, _Origin]] = []
    for one in dict.fromkeys(origin.values()):
        turns.append((seen[one[0]], one[0], one))
        seen[one[0]] += 1
    turns.sort(key=lambda turn: turn[:2])
    rank = {one: (number - choice) % len(turns) for number, (_, _, one) in enumerate(turns)}
    return sorted(rows, key=lambda row: rank[origin[row.id]])


def without(pending: tuple[Part, ...], rows: tuple[Waiting, ...]) -> tuple[Part, ...]:
    """The pending parts, of which the first is left with these rows."""
    return (replace(pending[0], rows=rows), *pending[1:]) if rows else pending[1:]


def after(verdict: Verdict, pending: tuple[Part, ...]) -> Bisection:
    """What to do when the first pending part got this verdict, which the events of the part are to blame for."""
    part, *rest = pending
    if verdict is Verdict.DELIVERED:
        return Bisection(part.rows, (), _left_passed(rest))
    if len(part.rows) == 1:
        return Bisection((), part.rows, _left_failed(rest))
    left, right = _halves(part.rows)
    if verdict is not Verdict.TOO_LARGE:
        right = replace(right, guilty_if_left_passes=True)
    return Bisection((), (), (left, right, *_left_failed(rest)))


def _left_passed(rest: list[Part]) -> tuple[Part, ...]:
    """Guilty events are halved at once; a single one is sent, so that it is refused in its own name."""
    if not rest or not rest[0].guilty_if_left_passes:
        return tuple(rest)
    guilty, *others = rest
    if len(guilty.rows) == 1:
        return (Part(guilty.rows), *others)
    left, right = _halves(guilty.rows)
    return (left, replace(right, guilty_if_left_passes=True), *others)


def _left_failed(rest: list[Part]) -> tuple[Part, ...]:
    """With poison found on the left, nothing is known of what follows."""
    if not rest:
        return ()
    return (replace(rest[0], guilty_if_left_passes=False), *rest[1:])


def _halves(rows: tuple[Waiting, ...]) -> tuple[Part, Part]:
    middle = len(rows) // 2
    return Part(rows[:middle]), Part(rows[middle:])
