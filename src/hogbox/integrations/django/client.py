"""The process's client, created from the HOGBOX setting at its first use, and its methods in Django's transactions."""

from __future__ import annotations

import threading
from typing import Any, Final

from django.db import connections  # type: ignore[import-untyped]
from sqlalchemy import Engine

from hogbox.bound import BoundPostHog
from hogbox.client import PostHog
from hogbox.errors import UsageError
from hogbox.integrations.django.configuration import Configuration, configuration
from hogbox.integrations.django.engine import open_engine


def make_client(configured: Configuration) -> tuple[PostHog, Engine | None]:
    """A client, and its engine if it uses Django's database. Raises ConfigurationError."""
    engine = None if configured.database_url else open_engine(configured.alias, pooled=False)
    return PostHog(engine or configured.database_url, **configured.arguments), engine


class CurrentClient:
    """The one client of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: PostHog | None = None
        self._engine: Engine | None = None

    def get(self) -> PostHog:
        """The client, created at the first call. Raises ConfigurationError."""
        client = self._client
        if client is None:
            with self._lock:
                client = self._client
                if client is None:
                    client, self._engine = make_client(configuration())
                    self._client = client
        return client

    def forget(self) -> None:
        """Close the client, if there is one; the next use creates another from the settings at that time."""
        with self._lock:
            client, engine = self._client, self._engine
            self._client = self._engine = None
            configuration.cache_clear()
        if client is not None:
            client.shutdown()
        if engine is not None:
            engine.dispose()


current: Final = CurrentClient()


class DjangoPostHog(BoundPostHog):
    """The methods of `PostHog` without `ctx`, in the transaction of one of Django's connections.

    Outside of `atomic`, Django commits every statement, and so an event at once. Inside, an event is committed with the
    outermost block, and rolled back with any block around it.

    Arguments:
        database: The alias of a database, or any handle that `PostHog` takes; default: HOGBOX["DATABASE"].
    """

    def __init__(self, database: Any = None) -> None:
        super().__init__(current.get, self._current_ctx)
        self._handle = database

    def using(self, database: Any) -> DjangoPostHog:
        """The same methods in the transactions of another database, by its alias, or of another handle.

        That database must contain hogbox's tables. Raises UsageError for an alias that is not in DATABASES.
        """
        if isinstance(database, str) and database not in connections.settings:
            known = ", ".join(map(repr, connections.settings))
            raise UsageError(f"there is no database {database!r}: DATABASES contains {known}")
        return DjangoPostHog(database)

    def _current_ctx(self) -> Any:
        handle = configuration().alias if self._handle is None else self._handle
        return connections[handle] if isinstance(handle, str) else handle
