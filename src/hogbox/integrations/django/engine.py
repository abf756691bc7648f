"""hogbox's own connections: an engine that connects where and how Django does, test databases included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import connections  # type: ignore[import-untyped]
from sqlalchemy import URL, Engine, NullPool, Pool, QueuePool, create_engine

from hogbox._store.dialects import SUPPORTED
from hogbox.errors import UnsupportedDatabase

_DJANGOS_OWN: Final = ("conv", "context", "cursor_factory", "detect_types")
"""Parameters by which Django has its drivers read values as it likes them."""

_PATIENCE: Final = {"timeout": 30}
"""On SQLite: seconds to wait for another writer, where OPTIONS do not say."""


def open_engine(alias: str, *, pooled: bool) -> Engine:
    """An engine on the database of this alias. It reads Django's settings whenever it connects; nothing is yet.

    With `pooled` it keeps connections, for a worker. Otherwise it keeps none: one that stays open keeps a test database
    from being removed, and captures use Django's connection.

    Raises UnsupportedDatabase where hogbox keeps no tables in such a database.
    """
    connection = connections[alias]
    opener = _OPENERS.get(connection.vendor)
    if opener is None:
        raise UnsupportedDatabase(
            f"hogbox keeps no tables in {connection.settings_dict['ENGINE']}, which DATABASES[{alias!r}] is: use "
            f"{SUPPORTED}, and name its alias in HOGBOX['DATABASE']"
        )
    return opener(alias, QueuePool if pooled else NullPool)


def _open_sqlite(alias: str, pool: type[Pool]) -> Engine:
    name = str(connections[alias].settings_dict["NAME"])
    # Only looked at, to see whether workers can share it: not the memory that connections of one process share.
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
        driver.commit()
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
