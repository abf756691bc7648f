"""The event that every benchmark sends, and backlogs of it."""

from __future__ import annotations

import io
import sqlite3
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import psycopg
from sqlalchemy import make_url

from hogbox import PostHog

TOKEN: Final = "phc_the_benchmarks_of_hogbox_0123456789"
NAME: Final = "order_placed"
PROPERTIES: Final[dict[str, Any]] = {
    "order": "A-10293",
    "plan": "pro",
    "total": 49.9,
    "currency": "EUR",
    "items": 3,
    "coupon": None,
    "returning": True,
    "source": "newsletter",
}
PEOPLE: Final = tuple(f"customer-{number:04d}" for number in range(1000))

_COLUMNS: Final = "shard, project, lane, payload, created_at"
_CHUNK: Final = 10_000


class Row(NamedTuple):
    """A row of the outbox."""

    shard: int
    project: str
    lane: str
    payload: str
    created_at: int


def fill(database_url: str, rows: int) -> None:
    """Put so many events into the outbox, as fast as the database takes them."""
    url = make_url(database_url)
    numbered = backlog(rows)
    if url.get_backend_name() == "sqlite":
        _fill_sqlite(Path(url.database or ""), numbered)
    else:
        _fill_postgresql(url.set(drivername="postgresql").render_as_string(hide_password=False), numbered)


def backlog(rows: int) -> Iterator[Row]:
    """So many real rows, each with a uuid of its own, for a thousand people in turn."""
    templates = [_template(row) for row in _captured()]
    now = time.time_ns() // 1_000_000
    for number in range(rows):
        shard, project, lane, before, after = templates[number % len(templates)]
        yield Row(shard, project, lane, f"{before}01890000-0000-7000-8000-{number:012x}{after}", now)


def _captured() -> list[Row]:
    """One captured event of each person, as hogbox wrote it."""
    with TemporaryDirectory(prefix="hogbox-bench-") as folder:
        database = Path(folder, "sample.db")
        with PostHog(f"sqlite:///{database}", project_token=TOKEN) as posthog:
            posthog.create_tables()
            with sqlite3.connect(database) as connection:
                for person in PEOPLE:
                    posthog.capture(connection, NAME, distinct_id=person, properties=PROPERTIES)
            rows = connection.execute(f"SELECT {_COLUMNS} FROM posthog_outbox ORDER BY id").fetchall()
            connection.close()
    return [Row(*row) for row in rows]


def _template(row: Row) -> tuple[int, str, str, str, str]:
    """The row with its payload in two parts: before and after the uuid."""
    before, key, rest = row.payload.partition('"uuid":"')
    return row.shard, row.project, row.lane, before + key, rest[36:]


def _fill_sqlite(database: Path, rows: Iterator[Row]) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.executemany(f"INSERT INTO posthog_outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()


def _fill_postgresql(url: str, rows: Iterator[Row]) -> None:
    with psycopg.connect(url) as connection:
        with connection.cursor() as cursor, cursor.copy(f"COPY posthog_outbox ({_COLUMNS}) FROM STDIN") as copy:
            while chunk := list(islice(rows, _CHUNK)):
                copy.write(_copy_text(chunk))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE posthog_outbox")


def _copy_text(rows: Iterable[Row]) -> str:
    text = io.StringIO()
    for row in rows:
        escaped = row.payload.replace("\\", "\\\\")
        text.write(f"{row.shard}\t{row.project}\t{row.lane}\t{escaped}\t{row.created_at}\n")
    return text.getvalue()
