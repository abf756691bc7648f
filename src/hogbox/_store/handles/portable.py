"""Portable statements: written once, compiled for each dialect that they meet, to run on any driver's connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from sqlalchemy import Select, UpdateBase
from sqlalchemy.engine import Dialect

from hogbox._store.dialects.statement import ByDialect

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class DriverDialect:
    """What a driver's own connection speaks, and how it takes parameters. The dialect is imported when it is needed.

    Each is equal to itself alone: it is a key in every capture, and a hash of its texts would be made anew each time.
    """

    name: str
    paramstyle: str

    def load(self) -> Dialect:
        """The dialect."""
        dialect: Dialect = import_module(f"sqlalchemy.dialects.{self.name}").dialect(paramstyle=self.paramstyle)
        return dialect


@dataclass(frozen=True, slots=True)
class Text:
    """A statement in one dialect: SQL, and the names of its parameters where it takes them by name."""

    sql: str
    names: tuple[str, ...] | None


class Portable:
    """A statement that runs on any handle: compiled once for each dialect that it meets."""

    def __init__(self, statement: UpdateBase | Select[*tuple[Any, ...]] | ByDialect, names: Sequence[str]) -> None:
        self._statement = statement
        self._names = tuple(names)
        self._texts: dict[Dialect | DriverDialect, Text] = {}

    def text(self, dialect: Dialect | DriverDialect) -> Text:
        """This statement for the dialect; positional parameters are in the order of the names given."""
        text = self._texts.get(dialect)
        if text is None:
            if len(self._texts) >= _MOST_DIALECTS:
                self._texts.clear()
            text = self._texts[dialect] = self._compile(
                dialect.load() if isinstance(dialect, DriverDialect) else dialect
            )
        return text

    def _compile(self, dialect: Dialect) -> Text:
        written = self._statement[dialect.name] if isinstance(self._statement, ByDialect) else self._statement
        compiled = written.compile(dialect=dialect)
        if not dialect.positional:
            return Text(str(compiled), self._names)
        order = getattr(compiled, "positiontup", None)
        if tuple(order or ()) != self._names:
            raise RuntimeError(f"{dialect.name} takes {order}, not {self._names}: reorder the statement's columns")
        return Text(str(compiled), None)


_MOST_DIALECTS: Final = 32
"""Each engine has a dialect of its own; an application that makes engines without end must not fill the memory."""


SQLITE: Final = DriverDialect("sqlite", "qmark")
POSTGRESQL: Final = DriverDialect("postgresql", "format")
POSTGRESQL_NUMBERED: Final = DriverDialect("postgresql", "numeric_dollar")
MYSQL: Final = DriverDialect("mysql", "format")
