"""What every statement and column owes to the drivers: no binding of SQLAlchemy's, one spelling per dialect."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect

from hogbox._store.capacity import CapacityStatements
from hogbox._store.capture import DEAD_LETTER_VALUES, EVENT_VALUES, CaptureStatements
from hogbox._store.dead_letter import DeadLetterStatements
from hogbox._store.definition import PROJECT, DefinitionStatements
from hogbox._store.delivery import DeliveryStatements
from hogbox._store.dialects.element import octets, table_exists
from hogbox._store.dialects.statement import ByDialect
from hogbox._store.event_reader import EventStatements
from hogbox._store.exposure import EXPOSURE, NEW_EXPOSURE, ExposureStatements
from hogbox._store.handles.portable import Portable
from hogbox._store.history import HistoryStatements
from hogbox._store.hold import HoldStatements
from hogbox._store.importing import ImportStatements
from hogbox._store.inspection.backlog import BacklogStatements
from hogbox._store.inspection.content import ContentStatements
from hogbox._store.inspection.measure import MeasureStatements
from hogbox._store.inspection.search import SearchStatements
from hogbox._store.inspection.status import StatusStatements
from hogbox._store.outbox import OutboxStatements
from hogbox._store.person import PersonStatements
from hogbox._store.schema.table import Tables
from hogbox._store.shards.lease import LeaseStatements
from tests.fixtures.database import TestDatabase

TABLES = Tables("posthog_")
CAPTURE = CaptureStatements(TABLES)
DEFINITIONS = DefinitionStatements(TABLES)
EXPOSURES = ExposureStatements(TABLES)
CONTENT = ContentStatements(TABLES)
ALL: list[object] = [
    CAPTURE,
    DEFINITIONS,
    EXPOSURES,
    CONTENT,
    *(
        kind(TABLES)
        for kind in (
            DeadLetterStatements,
            DeliveryStatements,
            EventStatements,
            HistoryStatements,
            HoldStatements,
            ImportStatements,
            LeaseStatements,
            BacklogStatements,
            MeasureStatements,
            OutboxStatements,
            PersonStatements,
            CapacityStatements,
            SearchStatements,
            StatusStatements,
        )
    ),
]
"""All but those of marks, which are for PostgreSQL."""


def dialect_of(url: str) -> Dialect:
    return sa.make_url(url).get_dialect()()


DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(),
    "aiosqlite": dialect_of("sqlite+aiosqlite://"),
    "psycopg": dialect_of("postgresql+psycopg://"),
    "asyncpg": dialect_of("postgresql+asyncpg://"),
    "raw postgresql": postgresql.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
    "pymysql": dialect_of("mysql+pymysql://"),
    "mariadb": dialect_of("mariadb+pymysql://"),
    "raw mysql": mysql.dialect(paramstyle="format"),
}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize(
    "column", [*TABLES.outbox.c, *TABLES.dead_letters.c, *TABLES.flag_definitions.c, *TABLES.exposures.c], ids=str
)
def test_no_column_that_a_driver_writes_needs_bind_processing(column: sa.Column[Any], dialect: Dialect) -> None:
    kind = column.type.dialect_impl(dialect)
    assert kind.bind_processor(dialect) is None
    assert isinstance(column.type, (sa.Integer, sa.String))


def assert_spelt(statement: Any, dialect: Dialect) -> None:
    spelt = statement[dialect.name] if isinstance(statement, ByDialect) else statement
    for one in spelt if isinstance(spelt, tuple) else (spelt,):
        assert str(one.compile(dialect=dialect))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize(
    ("statements", "name"),
    [pytest.param(one, name, id=f"{type(one).__name__}-{name}") for one in ALL for name in sorted(vars(one))],
)
def test_every_statement_has_a_spelling_in_every_dialect(statements: object, name: str, dialect: Dialect) -> None:
    assert_spelt(getattr(statements, name), dialect)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (CAPTURE.insert_event, EVENT_VALUES),
        (CAPTURE.insert_dead_letter, DEAD_LETTER_VALUES),
        (DEFINITIONS.read_stamp, PROJECT),
        (DEFINITIONS.read_text, PROJECT),
        (EXPOSURES.read_exposure, EXPOSURE),
        (EXPOSURES.note_exposure, NEW_EXPOSURE),
        (CONTENT.read_outbox, ()),
        (CONTENT.read_dead_letters, ()),
        (CONTENT.find_definitions, ()),
    ],
    ids=[
        "event",
        "dead letter",
        "stamp",
        "text",
        "exposure",
        "new exposure",
        "outbox",
        "dead letters",
        "table",
    ],
)
def test_what_drivers_run_takes_its_values_in_the_order_of_the_names(
    statement: Any, names: tuple[str, ...], dialect: Dialect
) -> None:
    text = Portable(statement, names).text(dialect)
    assert text.names == (None if dialect.positional else names)
    assert "RETURNING" not in text.sql


def test_a_statement_is_spelt_once_for_each_dialect() -> None:
    portable = Portable(CAPTURE.insert_event, EVENT_VALUES)
    assert portable.text(DIALECTS["sqlite"]) is portable.text(DIALECTS["sqlite"])


def test_names_in_another_order_than_the_columns_are_refused() -> None:
    portable = Portable(CAPTURE.insert_event, tuple(reversed(EVENT_VALUES)))
    with pytest.raises(RuntimeError, match="reorder the statement's columns"):
        portable.text(DIALECTS["sqlite"])


def test_sqlite_counts_the_bytes_of_a_text() -> None:
    sql = sa.select(octets(sa.literal_column("?"))).compile(dialect=DIALECTS["sqlite"])
    connection = sqlite3.connect(":memory:")
    assert connection.execute(str(sql), ("\N{PILE OF POO}é",)).fetchone() == (6,)
    connection.close()


def test_a_table_is_found_or_not_and_the_transaction_goes_on(database: TestDatabase) -> None:
    with database.engine.begin() as connection:
        for name, there in (("posthog_outbox", True), ("posthog_outboxes", False)):
            found = connection.scalar(sa.select(table_exists(sa.literal_column(f"'{name}'"))))
            assert bool(found) is there
        assert connection.scalar(sa.text("SELECT count(*) FROM posthog_outbox")) == 0
