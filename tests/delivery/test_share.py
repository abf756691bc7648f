"""Who holds which shards."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hogbox._delivery.share import Lease, Move, choose_shards

SHARDS = 64
WORKERS = "abcdefgh"


class Fleet:
    """Workers over one table of leases, acting one after another in any order, each with what it sees at its turn."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.owners: dict[int, str | None] = dict.fromkeys(range(SHARDS))
        self.alive: list[str] = []

    def crash(self, worker: str) -> None:
        """Its leases run out, with its name still on them."""
        self.alive.remove(worker)

    def leave(self, worker: str) -> None:
        self.crash(worker)
        self.owners = {shard: None if owner == worker else owner for shard, owner in self.owners.items()}

    def leases(self) -> list[Lease]:
        return [Lease(shard, owner, 30 if owner in self.alive else -1) for shard, owner in self.owners.items()]

    def turn(self) -> bool:
        """Everybody acts once; whether anything moved."""
        moved = False
        for worker in self.random.sample(self.alive, len(self.alive)):
            move = choose_shards(worker, self.alive, self.leases())
            moved = moved or bool(move.claim or move.give_back)
            for shard in move.give_back:
                assert self.owners[shard] == worker
                self.owners[shard] = None
            for shard in move.claim:
                assert self.owners[shard] not in self.alive, "a held shard was taken"
                self.owners[shard] = worker
        return moved

    def settle(self) -> None:
        for _ in range(4):
            if not self.turn():
                return
        pytest.fail("shards move on and on")

    def held(self) -> list[int]:
        counts = Counter(self.owners.values())
        return [counts[worker] for worker in self.alive]


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.lists(st.tuples(st.sampled_from(WORKERS), st.booleans()), min_size=1, max_size=12))
def test_p2_whoever_comes_and_goes_all_shards_come_to_be_held_and_fairly(
    seed: int, changes: list[tuple[str, bool]]
) -> None:
    fleet = Fleet(seed)
    for worker, crashes in changes:
        if worker not in fleet.alive:
            fleet.alive.append(worker)
        elif crashes:
            fleet.crash(worker)
        else:
            fleet.leave(worker)
        fleet.settle()
        if fleet.alive:
            assert sum(fleet.held()) == SHARDS
            assert max(fleet.held()) <= math.ceil(SHARDS / len(fleet.alive))


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 63, 64, 65, 100])
def test_workers_that_start_together_share_all_shards(workers: int) -> None:
    fleet = Fleet(seed=workers)
    fleet.alive = [f"worker-{number}" for number in range(workers)]
    fleet.settle()
    assert sum(fleet.held()) == SHARDS
    assert max(fleet.held()) == math.ceil(SHARDS / workers)


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_workers_that_start_together_reach_for_different_shards(workers: int) -> None:
    alive = [f"worker-{number}" for number in range(workers)]
    free = [Lease(shard, None, 0) for shard in range(SHARDS)]
    reached = [shard for worker in alive for shard in choose_shards(worker, alive, free).claim]
    assert sorted(reached) == list(range(SHARDS))


def test_what_one_has_too_many_of_is_given_back_before_anything_is_claimed() -> None:
    leases = [Lease(0, "a", 30), Lease(1, "a", 30), Lease(2, "a", 30), Lease(3, None, 0)]
    assert choose_shards("a", ["a", "b"], leases) == Move((), (2,))


def test_a_lease_that_ran_out_may_be_claimed_but_not_from_oneself() -> None:
    leases = [Lease(0, "gone", 0), Lease(1, "a", -5), Lease(2, "b", 0.1)]
    assert choose_shards("a", ["a"], leases) == Move((0,), ())


def test_one_that_nobody_knows_yet_counts_itself() -> None:
    leases = [Lease(shard, None, 0) for shard in range(4)]
    assert len(choose_shards("new", ["old"], leases).claim) == 2


def test_without_shards_there_is_nothing_to_do() -> None:
    assert choose_shards("a", [], []) == Move((), ())


@pytest.mark.parametrize(
    ("owner", "seconds_left", "free"),
    [(None, 0, True), (None, 30, True), ("a", 0, True), ("a", -1, True), ("a", 0.001, False)],
)
def test_a_shard_is_free_without_an_owner_or_once_the_lease_ran_out(
    owner: str | None, seconds_left: float, free: bool
) -> None:
    assert Lease(0, owner, seconds_left).free is free
