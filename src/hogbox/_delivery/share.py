"""Which shards a worker should hold: its fair share of all, among the workers alive."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """One shard's ownership as the database has it. `seconds_left` is by the database's clock."""

    shard: int
    owner: str | None
    seconds_left: float

    @property
    def free(self) -> bool:
        """Nobody's, or its owner let the lease run out."""
        return self.owner is None or self.seconds_left <= 0


@dataclass(frozen=True, slots=True)
class Move:
    """What to claim and what to give back, in that many shards."""

    claim: tuple[int, ...]
    give_back: tuple[int, ...]


def choose_shards(me: str, alive: Collection[str], leases: Collection[Lease]) -> Move:
    """What worker `me` should claim or give back, so that all shards are held and nobody has more than its share.

    The share is all shards divided by the workers alive, rounded up. Workers prefer free shards of their own
    residue, so that several that start together seldom reach for the same ones.
    """
    names = sorted({*alive, me})
    share = -(-len(leases) // len(names))
    mine = sorted(lease.shard for lease in leases if lease.owner == me)
    if len(mine) > share:
        return Move((), tuple(mine[share:]))
    rank = names.index(me)
    free = [lease.shard for lease in leases if lease.free and lease.owner != me]
    free.sort(key=lambda shard: ((shard - rank) % len(names), shard))
    return Move(tuple(sorted(free[: share - len(mine)])), ())
