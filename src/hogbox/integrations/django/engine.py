"""hogbox's own connections: an engine that connects to the same database as Django, including test databases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import connections  # type: ignore[import-untyped]
from sqlalchemy import URL, Engine, NullPool, Pool, QueuePool, create_engine

from hogbox._store.dialects import SUPPORTED
from hogbox.errors import UnsupportedDatabase

_DJANGOS_OWN: Final = ("conv", "context", "cursor_factory", "detect_types")
"""Connection parameters with which Django changes how its drivers convert values."""

_PATIENCE: Final = {"timeout": 30}
"""On SQLite: seconds to wait for another writer, unless OPTIONS set it."""


def open_engine(alias: str, *, pooled: bool) -> Engine:
    """An engine for the database of this alias. It reads Django's settings at each connect, and does not connect here.

    With `pooled` it keeps connections, for a worker. Otherwise it keeps none: an open connection would prevent a test
    database from being removed, and captures use Django's connection anyway.

    Raises UnsupportedDatabase if hogbox does not support the database.
    """
    connection = connections[alias]
    opener = _OPENERS.get(connection.vendor)
    if opener is None:
        raise UnsupportedDatabase(
            f"DATABASES[{alias!r}] uses {connection.settings_dict['ENGINE']}, which hogbox does not support: use "
            f"{SUPPORTED}, and set HOGBOX['DATABASE'] to its alias"
        )
    return opener(alias, QueuePool if pooled else NullPool)


def _open_sqlite(alias: str, pool: type[Pool]) -> Engine:
    name = str(connections[alias].settings_dict["NAME"])
    # The URL is not connected to. It only shows whether workers can share the database, unlike one in memory.
    url = URL.create("sqlite", database=":memory:" if "mode=memory" in name else name)
    return create_engine(url, creator=lambda: _connect_sqlite(alias), poolclass=pool)


def _connect_sqlite(alias: str) -> Any:
    connection = connections[alias]
    driver = connection.Database.connect(**_PATIENCE | _parameters(connection))
    for command in filter(None, map(str.strip, connection.init_commands)):
        driver.execute(command)
    return driver


def _open_postgresql(alias: str, pool: type[Pool]) -> Engine:
    name = connections[alias].Database.__name__
    return create_engine(
        f"postgresql+{name}://", creator=lambda: _connect_postgresql(alias), pool_pre_ping=True, poolclass=pool
    )


def _connect_postgresql(alias: str) -> Any:
    connection = connections[alias]
    driver = connection.Database.connect(**_parameters(connection))
    if role := connection.settings_dict["OPTIONS"].get("assume_role"):
        with driver.cursor() as cursor:
            cursor.execute("SELECT set_config('role', %s, false)", [role])
        driver.commit()  # a rollback would reset the role
    return driver


def _open_mysql(alias: str, pool: type[Pool]) -> Engine:
    name = connections[alias].Database.__name__.lower()
    return create_engine(f"mysql+{name}://", creator=lambda: _connect_mysql(alias), pool_pre_ping=True, poolclass=pool)


def _connect_mysql(alias: str) -> Any:
    connection = connections[alias]
    return connection.Database.connect(**_parameters(connection))


def _parameters(connection: Any) -> dict[str, Any]:
    parameters = connection.get_connection_params()
    return {name: value for name, value in parameters.items() if name not in _DJANGOS_OWN}


_OPENERS: Final[Mapping[str, Callable[[str, type[Pool]], Engine]]] = {
    "sqlite": _open_sqlite,
    "postgresql": _open_postgresql,
    "mysql": _open_mysql,
}
"""By the vendor of Django's connection, which MariaDB shares with MySQL."""
