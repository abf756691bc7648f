"""`captured_events`: what was captured, as the test's own transaction sees it, committed or not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from hogbox._events.identity import resolve
from hogbox._settings.client import ClientSettings, require_prefix
from hogbox._store.connections.database import Database
from hogbox._store.handles.async_handle import AsyncWriter
from hogbox._store.handles.handle import Writer, find_named
from hogbox._store.handles.portable import Portable, Rows
from hogbox._store.inspection.content import ContentStatements
from hogbox._store.schema.table import Tables
from hogbox.errors import AsyncHandle, SyncHandle
from hogbox.testing.row import CapturedEvent, DeadLetter, to_dead_letter, to_event

E = TypeVar("E", bound=CapturedEvent)

_SOURCES: Final = dict.fromkeys(
    (
        "builtins.NoneType",
        "builtins.str",
        "sqlalchemy.engine.base.Engine",
        "sqlalchemy.ext.asyncio.engine.AsyncEngine",
    ),
    True,
)
"""The classes of what is no transaction, but says where the database is."""

_SHOWN: Final = 20
"""Events in a message, at most."""


class Wanted(NamedTuple):
    """Which events to look at."""

    event: str | None
    distinct_id: str | None
    since: int

    @classmethod
    def given(cls, event: str | None, distinct_id: str | int | UUID | None, since: int) -> Wanted:
        """The filters of a call."""
        return cls(event, None if distinct_id is None else resolve(None, distinct_id), since)

    def of(self, events: Iterable[E]) -> list[E]:
        """Those that match, in their order."""
        return [
            one
            for one in events
            if self.event in (None, one.event) and self.distinct_id in (None, one.distinct_id) and one.id > self.since
        ]

    def only(self, events: list[CapturedEvent]) -> CapturedEvent:
        """The one that matches. AssertionError where there is none, or more than one, with those that there are."""
        __tracebackhide__ = True
        found = self.of(events)
        if len(found) == 1:
            return found[0]
        shown = found or events
        lines = [f"  {one!r}" for one in shown[:_SHOWN]]
        more = [f"  and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
        head = (
            f"expected one {self}, and there are {len(found)}"
            if found
            else f"no {self}; there are {len(events)} events"
        )
        raise AssertionError("\n".join([f"{head}:" if lines else head, *lines, *more]))

    def __str__(self) -> str:
        name = "event" if self.event is None else f"event {self.event!r}"
        person = "" if self.distinct_id is None else f" of {self.distinct_id!r}"
        return f"{name}{person}" + (f" since {self.since}" if self.since else "")


class _Tables:
    """The queries over one set of tables, and how they run where there is no transaction."""

    def __init__(self, prefix: str) -> None:
        self._prefix = require_prefix(prefix)
        statements = ContentStatements(Tables(self._prefix))
        self.outbox = Portable(statements.read_outbox, ())
        self.dead_letters = Portable(statements.read_dead_letters, ())

    def read_committed(self, source: Any, statement: Portable) -> Rows:
        """The rows that are committed in this database; where None is given, in that of `HOGBOX_DATABASE_URL`."""
        if source is None:
            source = ClientSettings.load(os.environ, token_needed=False).database_url
        with closing(Database(source, self._prefix)) as database, database.engine.connect() as connection:
            return Writer().read(connection, statement, ())


class CapturedEvents:
    """Reads the outbox and the dead letters.

    All methods take `ctx` first, and may be given filters:

        ctx: The transaction to look from, as `PostHog.capture` takes it: it sees what it captured itself, whether that
            will be committed or not, and not what a savepoint has undone. A URL or a SQLAlchemy Engine reads what is
            committed; None the same, of `HOGBOX_DATABASE_URL`.
        event: Only events of this name.
        distinct_id: Only events of this person.
        since: Only events whose `id` is larger.

    Nothing is remembered between calls, and nothing is left out: what was in the tables before the test is seen too.
    Raises UnsupportedHandle, AsyncHandle, TablesError, ConfigurationError, or what the database raises.
    """

    def __init__(self, table_prefix: str = "posthog_") -> None:
        self._tables = _Tables(table_prefix)
        self._writer = Writer()

    def __call__(
        self, ctx: Any, *, event: str | None = None, distinct_id: str | int | UUID | None = None, since: int = 0
    ) -> list[CapturedEvent]:
        """The events that wait to be sent, in the order in which they were captured."""
        return Wanted.given(event, distinct_id, since).of(map(to_event, self._read(ctx, self._tables.outbox)))

    def only(
        self, ctx: Any, *, event: str | None = None, distinct_id: str | int | UUID | None = None, since: int = 0
    ) -> CapturedEvent:
        """The one event. Raises AssertionError, which shows what there is, unless there is exactly one."""
        __tracebackhide__ = True
        return Wanted.given(event, distinct_id, since).only([*map(to_event, self._read(ctx, self._tables.outbox))])

    def dead_letters(
        self, ctx: Any, *, event: str | None = None, distinct_id: str | int | UUID | None = None, since: int = 0
    ) -> list[DeadLetter]:
        """The events that will not be sent, each with the reason."""
        return Wanted.given(event, distinct_id, since).of(
            map(to_dead_letter, self._read(ctx, self._tables.dead_letters))
        )

    def _read(self, ctx: Any, statement: Portable) -> Rows:
        if find_named(ctx, _SOURCES):
            return self._tables.read_committed(ctx, statement)
        try:
            return self._writer.read(ctx, statement, ())
        except AsyncHandle as error:
            raise AsyncHandle(f"a {_name(ctx)} is asynchronous: use async_captured_events, and await it") from error


class AsyncCapturedEvents:
    """The same as `CapturedEvents`, awaited: for asynchronous transactions, as `AsyncPostHog.capture` takes them."""

    def __init__(self, table_prefix: str = "posthog_") -> None:
        self._tables = _Tables(table_prefix)
        self._writer = AsyncWriter()

    async def __call__(
        self, ctx: Any, *, event: str | None = None, distinct_id: str | int | UUID | None = None, since: int = 0
    ) -> list[CapturedEvent]:
        """The events that wait to be sent, in the order in which they were captured."""
        return Wanted.given(event, distinct_id, since).of(map(to_event, await self._read(ctx, self._tables.outbox)))

    async def only(
        self, ctx: Any, *, event: str | None = None, distinct_id: str | int | UUID | None = None, since: int = 0
    ) -> CapturedEvent:
        """The one event. Raises AssertionError, which shows what there is, unless there is exactly one."""
        __tracebackhide__ = True
        return Wanted.given(event, distinct_id, since).only(
            [*map(to_event, await self._read(ctx, self._tables.outbox))]
        )

    async def dead_letters(
        self, ctx: Any, *, event: str | None = None, distinct_id: str | int | UUID | None = None, since: int = 0
    ) -> list[DeadLetter]:
        """The events that will not be sent, each with the reason."""
        rows = await self._read(ctx, self._tables.dead_letters)
        return Wanted.given(event, distinct_id, since).of(map(to_dead_letter, rows))

    async def _read(self, ctx: Any, statement: Portable) -> Rows:
        if find_named(ctx, _SOURCES):
            return await asyncio.to_thread(self._tables.read_committed, ctx, statement)
        try:
            return await self._writer.read(ctx, statement, ())
        except SyncHandle as error:
            raise SyncHandle(f"a {_name(ctx)} is synchronous: use captured_events, without await") from error


def _name(handle: object) -> str:
    return f"{type(handle).__module__}.{type(handle).__qualname__}"
