"""Everything at once, by chance: what was tested one by one holds together. A failure names its seed.

To run one again: `HOGBOX_TEST_SEED=72 pytest tests/worker/test_combination.py -k sqlite`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Any

import pytest
import sqlalchemy as sa

from hogbox._store.connections.database import Database
from tests.fixtures.database import TestDatabase
from tests.worker.combination import World
from tests.worker.fleet import clock_in_workers

SEEDS = {"sqlite": 40, "postgresql": 4, "mariadb": 4}
MANY = {"sqlite": 1000, "postgresql": 60, "mariadb": 60}

RESET = (
    "UPDATE posthog_shards SET owner = NULL, lease_expires_at = 0, not_before = 0, attempt = 0, last_error = NULL, "
    "last_error_at = NULL"
)


@pytest.mark.timeout(600)
def test_nothing_is_lost_out_of_order_or_blamed_wrongly_whatever_comes_together(database: TestDatabase) -> None:
    run(database, chosen() or range(SEEDS[database.backend]))


@pytest.mark.nightly(reason="a thousand courses of events take ten minutes")
@pytest.mark.timeout(3600)
def test_nothing_is_lost_out_of_order_or_blamed_wrongly_in_a_thousand_courses(database: TestDatabase) -> None:
    run(database, chosen() or range(1000, 1000 + MANY[database.backend]))


def chosen() -> Iterable[int]:
    """The seed that somebody wants to see again."""
    seed = os.environ.get("HOGBOX_TEST_SEED")
    return [int(seed)] if seed else []


def run(database: TestDatabase, seeds: Iterable[int]) -> None:
    store = Database(database.engine, "posthog_")
    if database.backend == "sqlite":
        for engine in (database.engine, store.engine):
            sa.event.listen(engine, "connect", in_a_hurry)
    # pytest keeps every line of the log, of which a few seeds have thousands.
    logging.disable(logging.ERROR)
    try:
        for seed in seeds:
            empty(database)
            course(seed, database, store)
    finally:
        logging.disable(logging.NOTSET)
        store.close()


def course(seed: int, database: TestDatabase, store: Database) -> None:
    """What follows from one seed."""
    world = World(seed, database, store)
    try:
        with clock_in_workers(world.clock):
            world.run()
    except BaseException as error:
        error.add_note(f"seed {seed} on {database.backend}")
        raise
    finally:
        world.close()


def in_a_hurry(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")


def empty(database: TestDatabase) -> None:
    with database.engine.begin() as connection:
        for table in ("outbox", "dead_letters", "workers", "exposures", "holds"):
            connection.execute(sa.text(f"DELETE FROM posthog_{table}"))
        connection.execute(sa.text(RESET))
