"""Elements: SQL functions and types that each database spells in its own way; the spellings are in its module."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class epoch_ms(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """Now, by the database's clock, in milliseconds since 1970 UTC."""

    type = BigInteger()
    inherit_cache = True


class octets(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """The size of a text in bytes."""

    type = Integer()
    inherit_cache = True


class used_bytes(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """The bytes that a SQLite database uses: its file without the pages that new rows will fill. NULL elsewhere."""

    type = BigInteger()
    inherit_cache = True


class hexadecimal(FunctionElement[str]):  # noqa: N801 - reads as the SQL function that it is
    """The bytes of a value, in hexadecimal, whatever they are."""

    type = Text()
    inherit_cache = True


class with_marks(FunctionElement[bool]):  # noqa: N801 - reads as the condition that it is
    """A condition where there are marks, on PostgreSQL; true elsewhere."""

    type = Boolean()
    inherit_cache = True


class table_exists(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function that it is
    """Whether statements would find a table of this name. It fails no transaction, as they would where there is none.

    The name is a text in SQL, of a table that needs no quotes.
    """

    type = Boolean()
    inherit_cache = True


class serializable(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function that it is
    """Whether a read in this transaction locks what it reads, or may make it fail because another one writes there."""

    type = Boolean()
    inherit_cache = True


class writable(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function that it is
    """Whether this transaction may write; on PostgreSQL one that may not is ended by the attempt. True elsewhere."""

    type = Boolean()
    inherit_cache = True


class LongText(Text):
    """Text of any length: MySQL's and MariaDB's TEXT ends at 64 KiB."""


@compiles(octets)
def _octets(element: octets, compiler: SQLCompiler, **kw: Any) -> str:
    return f"OCTET_LENGTH({compiler.process(element.clauses, **kw)})"


@compiles(used_bytes)
def _used_bytes(_: used_bytes, _compiler: SQLCompiler, **_options: Any) -> str:
    return "NULL"


@compiles(hexadecimal)
def _hexadecimal(element: hexadecimal, compiler: SQLCompiler, **kw: Any) -> str:
    return f"hex({compiler.process(element.clauses, **kw)})"


@compiles(with_marks)
def _with_marks(_: with_marks, _compiler: SQLCompiler, **_options: Any) -> str:
    return "1 = 1"


@compiles(serializable)
def _serializable(_: serializable, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(1 = 0)"


@compiles(writable)
def _writable(_: writable, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(1 = 1)"


@compiles(LongText)
def _long_text(_: LongText, compiler: Any, **_options: Any) -> str:
    return str(compiler.visit_TEXT(Text()))
