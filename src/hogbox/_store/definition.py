"""Flag definitions: what is stored of a project, and whose turn it is to refresh it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    UpdateBase,
    bindparam,
    case,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from hogbox._events.escape import escape
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.failure import is_too_large, sentence
from hogbox._store.dialects.statement import ByDialect, milliseconds, number, upsert
from hogbox._store.schema.table import Tables

PROJECT: Final = ("wanted",)
"""The parameters of `read_stamp` and `read_text`."""


class DefinitionStatements:
    """One project's definitions, and the refreshing of them."""

    def __init__(self, tables: Tables) -> None:
        self.read_stamp = _read_stamp(tables)
        self.read_text = _read_text(tables)
        self.read_definitions = _read_definitions(tables)
        self.list_projects = _list_projects(tables)
        self.read_revision = _read_revision(tables)
        self.store_definitions = _store_definitions(tables)
        self.claim_refresh = _claim_refresh(tables)
        self.enter_refresh = _enter_refresh(tables)
        self.read_due = _read_due(tables)
        self.move_due = _move_due(tables)
        self.note_refresh = _note_refresh(tables)


def _read_stamp(tables: Tables) -> Select[int, int, str | None]:
    """What tells a project's definitions from all others: a small read, to know whether the text has to be read."""
    stored = tables.flag_definitions.c
    return select(stored.revision, stored.fetched_at, stored.etag).where(stored.project == bindparam("wanted"))


def _read_text(tables: Tables) -> Select[int, int, str | None, str]:
    """A project's definitions with their stamp."""
    stored = tables.flag_definitions.c
    return select(stored.revision, stored.fetched_at, stored.etag, stored.data).where(
        stored.project == bindparam("wanted")
    )


def _read_definitions(tables: Tables) -> Select[str, str | None, int, int]:
    """A project's definitions: text, ETag, revision, and their age."""
    stored, refreshes = tables.flag_definitions, tables.refreshes
    return (
        select(stored.c.data, stored.c.etag, stored.c.revision, definition_age(tables).label("age"))
        .select_from(stored.outerjoin(refreshes, refreshes.c.project == stored.c.project))
        .where(stored.c.project == bindparam("wanted"))
    )


def _list_projects(tables: Tables) -> Select[str]:
    """The projects whose definitions are stored."""
    project = tables.flag_definitions.c.project
    return select(project).order_by(project)


def _read_revision(tables: Tables) -> Select[int]:
    """How often a project's definitions have changed: a small read that says whether the text has to be read again."""
    stored = tables.flag_definitions.c
    return select(stored.revision).where(stored.project == bindparam("wanted"))


def _store_definitions(tables: Tables) -> ByDialect:
    """Put definitions in the place of those of the revision that was read before they were fetched (0: of none).

    Where others were stored in the meantime these are old, and nothing changes.
    """
    stored = tables.flag_definitions.c
    names = ("project", "data", "etag", "revision")
    values: dict[str, Any] = {name: bindparam(name, type_=stored[name].type) for name in names}
    values["fetched_at"] = epoch_ms()
    as_read = stored.revision == number("seen")
    changes = {
        name: case((as_read, values[name]), else_=stored[name])
        # The revision last: MySQL assigns one after the other, and the others compare it with the one that was read.
        for name in ("data", "etag", "fetched_at", "revision")
    }
    return upsert(tables.flag_definitions, values, changes)


def _claim_refresh(tables: Tables) -> Update:
    """Take a project's next refresh where it is due, and say when the one after it is: exactly one process succeeds.

    A refresh that lies more than two intervals ahead counts as due: the interval was longer when it was set, or the
    database's clock was wrong.
    """
    refreshes = tables.refreshes.c
    interval = number("interval")
    due = (refreshes.due_at <= epoch_ms()) | (refreshes.due_at > epoch_ms() + interval + interval)
    return (
        update(tables.refreshes)
        .where(refreshes.project == bindparam("wanted"), due)
        .values(due_at=epoch_ms() + interval, holder=bindparam("claimant"))
    )


def _enter_refresh(tables: Tables) -> ByDialect:
    """Let a project be refreshed for the first time, at once; changes nothing where it is entered already."""
    refreshes = tables.refreshes
    return upsert(refreshes, {"project": bindparam("project"), "due_at": 0}, {"due_at": refreshes.c.due_at})


def _read_due(tables: Tables) -> Select[int]:
    """The milliseconds until a project's next refresh is due."""
    refreshes = tables.refreshes.c
    return select((refreshes.due_at - epoch_ms()).label("wait")).where(refreshes.project == bindparam("wanted"))


def _move_due(tables: Tables) -> ByDialect:
    """Take a project's next refresh whether it is due or not: the one after it is an interval from now."""
    claim = {"due_at": epoch_ms() + number("interval"), "holder": bindparam("claimant")}
    return upsert(tables.refreshes, {"project": bindparam("project"), **claim}, claim)


def _note_refresh(tables: Tables) -> Update:
    """Keep what became of a project's refresh, and count its requests, for those who look.

    Had each of the workers polled for itself, each would have sent as many.
    """
    refreshes = tables.refreshes.c
    status = bindparam("status", type_=refreshes.last_status.type)
    listed = select(func.count()).select_from(tables.workers).scalar_subquery()
    workers = func.coalesce(func.nullif(listed, 0), 1)
    return (
        update(tables.refreshes)
        .where(refreshes.project == bindparam("wanted"))
        .values(
            last_status=status,
            last_reason=bindparam("reason"),
            last_at=epoch_ms(),
            unchanged_at=case((status == bindparam("unchanged"), epoch_ms()), else_=refreshes.unchanged_at),
            polls=func.coalesce(refreshes.polls, 0) + number("requests"),
            polls_alone=func.coalesce(refreshes.polls_alone, 0) + number("requests") * workers,
        )
    )


def definition_age(tables: Tables) -> ColumnElement[int]:
    """The milliseconds since PostHog last said that a project's definitions are right.

    That is when they were fetched, or later, when PostHog answered that they had not changed.
    """
    stored, refreshes = tables.flag_definitions.c, tables.refreshes.c
    later = refreshes.unchanged_at > stored.fetched_at
    return epoch_ms() - case((later, refreshes.unchanged_at), else_=stored.fetched_at)


_ESCAPED: Final = ('"', "'", "\\", "\n", "\r")
"""What drivers write as two characters."""

_AROUND: Final = 64 * 1024
"""Bytes for what a statement has besides the definitions."""


class TooLarge(Exception):
    """The database does not take so long a text."""

    def __init__(self, size: int, why: str) -> None:
        super().__init__(
            f"the database does not take definitions of {size / 1_000_000:.1f} MB ({why}): raise its limit, such as "
            "max_allowed_packet of MariaDB and MySQL"
        )


class StoredDefinitions(NamedTuple):
    """A project's definitions. `age` is in seconds, since PostHog last said that they are right."""

    data: str
    etag: str | None
    revision: int
    age: float


def read_projects(database: Database) -> list[str]:
    """The tokens of the projects whose definitions are stored, in order."""
    with autocommit(database.engine).connect() as connection:
        return [*connection.scalars(database.tables.once(DefinitionStatements).list_projects)]


class DefinitionStore:
    """What processes do with one project's definitions. Safe to use from several threads."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._statements = database.tables.once(DefinitionStatements)
        self._project = project

    def read(self) -> StoredDefinitions | None:
        """The definitions, or None where none were ever stored."""
        with self._connect() as connection:
            row = connection.execute(self._statements.read_definitions, {"wanted": self._project}).one_or_none()
        return None if row is None else StoredDefinitions(row.data, row.etag, row.revision, row.age / 1000)

    def read_revision(self) -> int:
        """How often the definitions have changed; 0 where none were ever stored."""
        with self._connect() as connection:
            return connection.scalar(self._statements.read_revision, {"wanted": self._project}) or 0

    def store(self, data: str, etag: str | None, over: StoredDefinitions | None) -> None:
        """Store definitions that were fetched after `over` was read; counts the revision where the text differs.

        Where another process has stored others in the meantime, those stay: they may be newer than these. Raises
        TooLarge where the database does not take so long a text.
        """
        data = escape(data)
        seen = over.revision if over else 0
        revision = seen + (over is None or over.data != data)
        row = {"project": self._project, "data": data, "etag": _ascii(etag), "revision": revision, "seen": seen}
        self._require_room(data)
        try:
            self._run(self._by_dialect(self._statements.store_definitions), row)
        except DBAPIError as error:
            if is_too_large(error):
                raise TooLarge(len(data), sentence(error)) from error
            raise

    def _require_room(self, data: str) -> None:
        """Raise TooLarge for what exceeds a packet of MySQL or MariaDB: they end the connection that sends more."""
        if self._database.engine.dialect.name not in ("mysql", "mariadb"):
            return
        with self._connect() as connection:
            longest = int(connection.scalar(text("SELECT @@max_allowed_packet")) or 0)
        if len(data) + sum(map(data.count, _ESCAPED)) + _AROUND > longest:
            raise TooLarge(len(data), f"max_allowed_packet is {longest:,} bytes")

    def claim(self, holder: str, interval: float) -> bool:
        """Take the next refresh where it is due; the one after it is due so many seconds from now.

        Of all processes that try, one is told True.
        """
        claim = {"wanted": self._project, "claimant": holder, "interval": milliseconds(interval)}
        return self._run(self._statements.claim_refresh, claim) == 1

    def enter(self) -> None:
        """Let the project be refreshed for the first time, at once."""
        self._run(self._by_dialect(self._statements.enter_refresh), {"project": self._project})

    def read_wait(self) -> float | None:
        """The seconds until the next refresh is due, below zero where it is; None before the project was entered."""
        with self._connect() as connection:
            wait = connection.scalar(self._statements.read_due, {"wanted": self._project})
        return None if wait is None else wait / 1000

    def move_due(self, holder: str, interval: float) -> None:
        """Take the next refresh whether it is due or not; the one after it is due so many seconds from now."""
        claim = {"project": self._project, "claimant": holder, "interval": milliseconds(interval)}
        self._run(self._by_dialect(self._statements.move_due), claim)

    def note(self, status: str, reason: str | None, *, unchanged: str, requests: int = 1) -> None:
        """Keep what became of a refresh that took so many requests.

        `unchanged` is the status that says that what is stored is still right.
        """
        outcome = {"status": status, "reason": reason, "unchanged": unchanged, "requests": requests}
        self._run(self._statements.note_refresh, {"wanted": self._project, **outcome})

    def _by_dialect(self, statement: ByDialect) -> UpdateBase:
        return statement[self._database.engine.dialect.name]

    def _connect(self) -> Connection:
        return autocommit(self._database.engine).connect()

    def _run(self, statement: UpdateBase, values: Mapping[str, Any]) -> int:
        """Run one statement, committed by itself; the number of rows that it changed."""
        # Committed in words too: an application's engine may begin transactions whatever the isolation level says.
        with autocommit(self._database.engine).begin() as connection:
            return connection.execute(statement, values).rowcount


def _ascii(etag: str | None) -> str | None:
    """The ETag, unless it could come back changed: then the next request goes without one."""
    return etag if etag is not None and etag.isascii() else None
