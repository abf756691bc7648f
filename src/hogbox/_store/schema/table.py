"""The tables, as the newest migration leaves them. Integers and text only, times in epoch milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, SmallInteger, String, Table, Text
from sqlalchemy.schema import SchemaItem

from hogbox._store.dialects.element import LongText

SCHEMA_VERSION: Final = 4
"""The number of the newest migration."""

OLDEST_COMPATIBLE: Final = 2
"""The oldest version of hogbox's tables whose processes can go on beside these: what was added since, they ignore."""

IDENTITY: Final = BigInteger().with_variant(Integer, "sqlite")
LONG_TEXT: Final = LongText()
MYSQL_OPTIONS: Final = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}

T = TypeVar("T")


class Tables:
    """hogbox's tables under one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.metadata = MetaData()
        self.schema = self._schema()
        self.outbox = self._outbox()
        self.shards = self._shards()
        self.workers = self._workers()
        self.dead_letters = self._dead_letters()
        self.flag_definitions = self._flag_definitions()
        self.refreshes = self._refreshes()
        self.exposures = self._exposures()
        self.holds = self._holds()
        self.flag_history = self._flag_history()
        self.imports = self._imports()
        self._made: dict[object, object] = {}

    def once(self, make: Callable[[Tables], T]) -> T:
        """What this makes of the tables, such as statements, made only once: to write them takes longer than to run."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast(T, self._made[make])

    def _table(self, name: str, *items: SchemaItem, never_reuse_ids: bool = False) -> Table:
        options: dict[str, Any] = {**MYSQL_OPTIONS, "sqlite_autoincrement": never_reuse_ids}
        return Table(self.prefix + name, self.metadata, *items, **options)

    def _schema(self) -> Table:
        return self._table(
            "schema",
            Column("version", Integer, primary_key=True, autoincrement=False),
            Column("applied_at", BigInteger, nullable=False),
            Column("oldest_compatible", Integer),
        )

    def _outbox(self) -> Table:
        return self._table(
            "outbox",
            *_event_columns(),
            Index(f"{self.prefix}outbox_shard_id", "shard", "id"),
            never_reuse_ids=True,
        )

    def _shards(self) -> Table:
        return self._table(
            "shards",
            Column("shard", SmallInteger, primary_key=True, autoincrement=False),
            Column("owner", String(64)),
            Column("fence", BigInteger, nullable=False),
            Column("lease_expires_at", BigInteger, nullable=False),
            Column("not_before", BigInteger, nullable=False),
            Column("attempt", Integer, nullable=False),
            Column("last_error", Text),
            Column("last_error_at", BigInteger),
            Column("read_from", BigInteger),
        )

    def _workers(self) -> Table:
        return self._table(
            "workers",
            Column("id", String(64), primary_key=True),
            Column("host", String(255), nullable=False),
            Column("pid", Integer, nullable=False),
            Column("version", String(32), nullable=False),
            Column("started_at", BigInteger, nullable=False),
            Column("seen_at", BigInteger, nullable=False),
            Column("delivered", BigInteger),
            Column("dead", BigInteger),
            Column("per_minute", Integer),
        )

    def _dead_letters(self) -> Table:
        return self._table(
            "dead_letters",
            *_event_columns(),
            Column("event_uuid", String(36), nullable=False),
            Column("reason", Text, nullable=False),
            Column("status", Integer),
            Column("died_at", BigInteger, nullable=False),
            Index(f"{self.prefix}dead_letters_event_uuid", "event_uuid"),
            Index(f"{self.prefix}dead_letters_died_at", "died_at"),
            never_reuse_ids=True,
        )

    def _flag_definitions(self) -> Table:
        return self._table(
            "flag_definitions",
            Column("project", String(64), primary_key=True),
            Column("data", LONG_TEXT, nullable=False),
            Column("etag", Text),
            Column("fetched_at", BigInteger, nullable=False),
            Column("revision", BigInteger, nullable=False),
        )

    def _refreshes(self) -> Table:
        return self._table(
            "refreshes",
            Column("project", String(64), primary_key=True),
            Column("due_at", BigInteger, nullable=False),
            Column("holder", String(64)),
            Column("last_status", String(16)),
            Column("last_reason", String(32)),
            Column("last_at", BigInteger),
            Column("unchanged_at", BigInteger),
            Column("polls", BigInteger),
            Column("polls_alone", BigInteger),
        )

    def _exposures(self) -> Table:
        return self._table(
            "exposures",
            Column("id", String(64), primary_key=True),
            Column("expires_at", BigInteger, nullable=False),
            Index(f"{self.prefix}exposures_expires_at", "expires_at"),
        )

    def _holds(self) -> Table:
        return self._table(
            "holds",
            Column("project", String(64), primary_key=True),
            Column("held_at", BigInteger, nullable=False),
            Column("until", BigInteger, nullable=False),
            Column("attempt", Integer, nullable=False),
            Column("status", Integer),
            Column("reason", Text, nullable=False),
        )

    def _flag_history(self) -> Table:
        return self._table(
            "flag_history",
            Column("project", String(64), primary_key=True),
            Column("revision", BigInteger, primary_key=True, autoincrement=False),
            Column("data", LONG_TEXT, nullable=False),
            Column("fetched_at", BigInteger, nullable=False),
        )

    def _imports(self) -> Table:
        return self._table(
            "imports",
            Column("id", String(64), primary_key=True),
            Column("name", String(255), nullable=False),
            Column("position", BigInteger, nullable=False),
            Column("events", BigInteger, nullable=False),
            Column("changed_at", BigInteger, nullable=False),
        )


def _event_columns() -> list[Column[Any]]:
    """The columns of a stored event: a row of the outbox becomes a dead letter as it is."""
    return [
        Column("id", IDENTITY, primary_key=True),
        Column("shard", SmallInteger, nullable=False),
        Column("project", String(64), nullable=False),
        Column("lane", String(16), nullable=False),
        Column("payload", LONG_TEXT, nullable=False),
        Column("created_at", BigInteger, nullable=False),
    ]
