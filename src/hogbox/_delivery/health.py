"""Whether a worker is alive, and whether it is ready: what its process answers to those who watch it."""

from __future__ import annotations

from typing import NamedTuple


class Health(NamedTuple):
    """A worker as it is. Durations are in seconds."""

    beat_age: float | None
    """Since its loop last came round; None before the first time."""
    database_fails: bool
    leased: bool
    """Whether it is announced in the database and its leases hold: all that there are for it, which may be none."""
    held: int
    """The shards that it holds."""
    stopping: bool


def illness(health: Health, patience: float) -> str | None:
    """Why the process should be started anew; None where it should not.

    A database that fails is no reason, and neither is a worker that finishes what is under way before it ends.
    """
    if not health.stopping and health.beat_age is not None and health.beat_age > patience:
        return f"the worker has stood still for {health.beat_age:.0f} s"
    return None


def hindrance(health: Health, patience: float) -> str | None:
    """Why the worker delivers nothing now; None where it does."""
    if health.beat_age is None:
        return "the worker has not begun"
    if health.stopping:
        return "the worker is about to end"
    if health.database_fails:
        return "the database fails"
    if not health.leased:
        return "the worker has no valid leases"
    return illness(health, patience)
