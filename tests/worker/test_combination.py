"""Everything at once, by chance: what was tested one by one holds together. A failure names its seed."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from hogbox._store.database import Database
from tests.fixtures.database import TestDatabase
from tests.worker.combination import World, clock_in_workers

SEEDS = {"sqlite": 40, "postgresql": 5, "mariadb": 5}


def course(seed: int, database: TestDatabase, store: Database) -> None:
    """What follows from one seed."""
    world = World(seed, database, store)
    try:
        with clock_in_workers(world.clock):
            world.run()
    except BaseException as error:
        error.add_note(f"seed {seed} on {database.backend}")
        raise


def run(database: TestDatabase, seeds: range) -> None:
    store = Database(database.engine, "posthog_")
    if database.backend == "sqlite":
        for engine in (database.engine, store.engine):
            sa.event.listen(engine, "connect", in_a_hurry)
    try:
        for seed in seeds:
            empty(database)
            course(seed, database, store)
    finally:
        store.close()


def in_a_hurry(connection: object, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")  # type: ignore[attr-defined]
    connection.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]


def empty(database: TestDatabase) -> None:
    with database.engine.begin() as connection:
        for table in ("outbox", "dead_letters", "workers", "exposures", "holds"):
            connection.execute(sa.text(f"DELETE FROM posthog_{table}"))
        connection.execute(
            sa.text(
                "UPDATE posthog_shards SET owner = NULL, lease_expires_at = 0, not_before = 0, attempt = 0, "
                "last_error = NULL, last_error_at = NULL"
            )
        )


def test_nothing_is_lost_reordered_or_blamed_wrongly_whatever_comes_together(database: TestDatabase) -> None:
    first = int(os.environ.get("HOGBOX_TEST_SEED", "0"))
    run(database, range(first, first + int(os.environ.get("N", SEEDS[database.backend]))))
