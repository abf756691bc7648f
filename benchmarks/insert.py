"""What `capture` adds to the INSERT that it makes, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from unittest.mock import patch

import psycopg

from benchmarks.measure import in_turns, micro, seconds_each
from benchmarks.place import Setup, database
from benchmarks.result import Result
from benchmarks.sample import NAME, PEOPLE, PROPERTIES, TOKEN
from hogbox import PostHog

GOAL = 1.3
_EVENTS = 500


def run(setup: Setup) -> Iterator[Result]:
    """A capture against the very statement that it runs, with the row at hand."""
    if "postgresql" not in setup.backends:
        yield Result("a capture against its bare INSERT on PostgreSQL", "none", "no PostgreSQL on this machine")
        return
    with database("postgresql") as url, PostHog(url, project_token=TOKEN) as posthog:
        with closing(psycopg.connect(url)) as connection:
            sql, row = _statement(posthog, connection)

            def captures() -> float:
                cost = seconds_each(
                    lambda number: posthog.capture(
                        connection, NAME, distinct_id=PEOPLE[number % len(PEOPLE)], properties=PROPERTIES
                    ),
                    _EVENTS,
                )
                connection.rollback()
                return cost

            def inserts() -> float:
                cost = seconds_each(lambda _: connection.execute(sql, row), _EVENTS)
                connection.rollback()
                return cost

            cost = in_turns({"capture": captures, "insert": inserts}, setup.repetitions)
    behind = f"{micro(cost['capture'])} against {micro(cost['insert'])}"
    yield Result.at_most(
        "a capture against its bare INSERT on PostgreSQL", cost["capture"] / cost["insert"], GOAL, behind
    )


def _statement(posthog: PostHog, connection: psycopg.Connection[Any]) -> tuple[Any, Any]:
    """The text and the values that a capture runs on this connection."""
    with patch.object(psycopg.Cursor, "execute", autospec=True, side_effect=psycopg.Cursor.execute) as execute:
        posthog.capture(connection, NAME, distinct_id=PEOPLE[0], properties=PROPERTIES)
    connection.rollback()
    _, sql, row = execute.call_args.args
    return sql, row
