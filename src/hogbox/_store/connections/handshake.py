"""Handshake: connecting to a server, within a bounded time whatever the driver offers for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.engine import Dialect

from hogbox._store.connections.guard import ConnectionGuard
from hogbox._store.dialects import BACKENDS

_GUARD: Final = "hogbox_guard"

_TIMED: Final = ("psycopg", "psycopg2", "pymysql", "mysqldb")
"""Drivers that take a time-out for connecting by the name of connect_timeout."""

_LEAST_SECONDS: Final = 2
"""libpq takes a shorter time for two seconds."""


def bound_connecting(source: Engine, own: Engine, guard: ConnectionGuard) -> None:
    """Bound the time in which `own`, which connects as `source` does, opens a connection; none of the source's own."""
    create: Any = own.pool._invoke_creator

    def creator(connection_record: Any = None) -> Any:
        if connection_record is not None:
            connection_record.info[_GUARD] = guard
        return create(connection_record)

    own.pool._creator = creator
    # The dialect belongs to both engines, and with it the listeners.
    if not event.contains(source, "do_connect", _connect):
        event.listen(source, "do_connect", _connect)


def _connect(dialect: Dialect, record: Any, arguments: Any, parameters: Any) -> Any:
    """Connect, if it is for hogbox; None leaves it to SQLAlchemy."""
    if record is None or _GUARD not in record.info:
        return None
    return connect_in_time(dialect, record, arguments, parameters)


def connect_in_time(dialect: Dialect, record: Any, arguments: Any, parameters: Mapping[str, Any]) -> Any:
    """Connect within the time that the parameters set, or else the backend's; less where the guard is in a hurry."""
    seconds = _seconds(dialect, record, parameters)
    option, lift = _HANDSHAKE.get(dialect.driver, ("", None))
    if option in parameters:
        lift = None
    bounds = {"connect_timeout": seconds} if dialect.driver in _TIMED else {}
    if lift is not None:
        bounds[option] = seconds
    try:
        connection: Any = dialect.connect(*arguments, **{**parameters, **bounds})
    except TimeoutError as error:
        # pg8000's own, which SQLAlchemy would not know for an error of a database.
        raise dialect.loaded_dbapi.OperationalError("the server accepts connections, but does not answer") from error
    if lift is not None:
        lift(connection)
    return connection


def _seconds(dialect: Dialect, record: Any, parameters: Mapping[str, Any]) -> Any:
    usual = BACKENDS[dialect.name].connect_seconds
    chosen = parameters.get("connect_timeout", usual)
    guard: ConnectionGuard | None = None if record is None else record.info.get(_GUARD)
    if guard is None or guard.patience is None or guard.patience >= usual or chosen != usual:
        return chosen
    return max(_LEAST_SECONDS, int(guard.patience))


def _lift_pymysql(connection: Any) -> None:
    connection._read_timeout = None


def _lift_pg8000(connection: Any) -> None:
    connection._usock.settimeout(None)


_HANDSHAKE: Final[Mapping[str, tuple[str, Callable[[Any], None] | None]]] = {
    "pymysql": ("read_timeout", _lift_pymysql),
    "pg8000": ("timeout", _lift_pg8000),
}
"""Drivers that wait for a server's greeting without end: the option that limits it and all that follows, and what lifts
the limit afterwards. The system of a frozen server still completes TCP's handshake, and connect_timeout ends there."""
