"""Finding poison: which part of a refused batch to send next, and which event to set aside.

A batch is a stack of parts, sent from the left. A refused part is halved; once its left half is delivered, the right
half is known to hold the poison and is halved without being sent. One bad event among n is found in at most
2·log2(n) + 2 requests, and the events around it arrive in their order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hogbox._delivery.batch import Waiting
from hogbox._wire.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive events of one batch. `guilty_if_left_passes`: the refusal of the whole then rests on this half."""

    rows: tuple[Waiting, ...]
    guilty_if_left_passes: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What one answer settles, and what is left to send."""

    delivered: tuple[Waiting, ...]
    dead: tuple[Waiting, ...]
    pending: tuple[Part, ...]


def whole(rows: tuple[Waiting, ...]) -> tuple[Part, ...]:
    """A batch of which nothing was sent yet."""
    return (Part(rows),)


def after(verdict: Verdict, pending: tuple[Part, ...]) -> Step:
    """What to do when the first pending part got this verdict: one of DELIVERED, REFUSED and TOO_LARGE."""
    part, *rest = pending
    if verdict is Verdict.DELIVERED:
        return Step(part.rows, (), _left_passed(rest))
    if len(part.rows) == 1:
        return Step((), part.rows, _left_failed(rest))
    left, right = _halves(part.rows)
    if verdict is Verdict.REFUSED:
        right = replace(right, guilty_if_left_passes=True)
    return Step((), (), (left, right, *_left_failed(rest)))


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
