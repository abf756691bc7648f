"""Whether a worker is alive, and whether it is ready: what its process answers to those who watch it."""

from __future__ import annotations

from typing import Final, NamedTuple

LONGEST_OUTAGE: Final = 300.0
"""Seconds of a failing database after which starting the process again is worth a try."""


class WorkerHealth(NamedTuple):
    """A worker as it is. Durations are in seconds."""

    beat_age: float | None
    """Since its loop last came round; None before the first time."""
    failing_for: float | None
    """Since when the database fails; None while it answers."""
    leased: bool
    """Whether it is announced in the database and its leases hold: all that there are for it, which may be none."""
    held: int
    """The shards that it holds."""
    stopping: bool


def illness(health: WorkerHealth, patience: float) -> str | None:
    """Why the process should be started anew; None where it should not.

    A database that fails is a reason only after five minutes: a new process may find it where this one does not. A
    worker that finishes what is under way before it ends is none.
    """
    if not health.stopping and health.failing_for is not None and health.failing_for > LONGEST_OUTAGE:
        return f"the database has failed for {health.failing_for:.0f} s"
    if not health.stopping and health.beat_age is not None and health.beat_age > patience:
        return f"the worker has stood still for {health.beat_age:.0f} s"
    return None


def hindrance(health: WorkerHealth, patience: float) -> str | None:
    """Why the worker delivers nothing now; None where it does."""
    if health.beat_age is None:
        return "the worker has not begun"
    if health.stopping:
        return "the worker is about to end"
    if health.failing_for is not None:
        return "the database fails"
    if not health.leased:
        return "the worker has no valid leases"
    return illness(health, patience)
