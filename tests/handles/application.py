"""What an application opens once and keeps: its event loop, its asynchronous engines and pools, its client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar, cast

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hogbox import AsyncPostHog, PostHog
from tests.fixtures.database import TestDatabase
from tests.handles.opened import postgresql_url

T = TypeVar("T")

TOKEN = "phc_handles"

NewClient = Callable[..., PostHog]
"""Makes a client; its arguments are those of the class."""

DRIVERS = {
    "aiosqlite": "sqlite",
    "asyncpg": "postgresql",
    "psycopg": "postgresql",
    "asyncmy": "mariadb",
    "aiomysql": "mariadb",
}
"""SQLAlchemy's asynchronous drivers, and the database of each."""


class Application:
    """An asynchronous application that does one thing after the other, as it is told."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._engines: dict[tuple[str, str], AsyncEngine] = {}
        self._pools: dict[str, Any] = {}
        self._clients: dict[tuple[object, ...], PostHog] = {}

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine comes to."""
        return self._runner.run(coroutine)

    def running(self, function: Callable[..., Awaitable[T]]) -> Callable[..., T]:
        """The asynchronous function as one that is carried out at once."""

        async def wait(*arguments: Any, **options: Any) -> T:
            return await function(*arguments, **options)

        def call(*arguments: Any, **options: Any) -> T:
            return self.run(wait(*arguments, **options))

        return call

    @contextmanager
    def entered(self, block: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """The asynchronous block as a synchronous one."""
        leave = self.running(block.__aexit__)
        entered = self.running(block.__aenter__)()
        try:
            yield entered
        except BaseException as error:
            if not leave(type(error), error, error.__traceback__):
                raise
        else:
            leave(None, None, None)

    def engine(self, database: TestDatabase, driver: str) -> AsyncEngine:
        """The engine on this database with this driver."""
        key = (database.url, driver)
        if key not in self._engines:
            url = asynchronous_url(database, driver)
            self._engines[key] = create_async_engine(url)
        return self._engines[key]

    async def pool(self, database: TestDatabase) -> Any:
        """asyncpg's pool of connections to this database."""
        if database.url not in self._pools:
            self._pools[database.url] = await asyncpg.create_pool(postgresql_url(database), min_size=1, max_size=2)
        return self._pools[database.url]

    def new_client(self, *, asynchronous: bool) -> NewClient:
        """Makes clients of this colour; each coroutine of an asynchronous one is carried out at once."""
        if not asynchronous:
            return lambda **settings: PostHog(**{"project_token": TOKEN, **settings})
        return lambda **settings: cast(PostHog, _Awaited(AsyncPostHog(**{"project_token": TOKEN, **settings}), self))

    def client(self, *, asynchronous: bool, **settings: Any) -> PostHog:
        """The client of this colour and with these settings; made once, for it takes longer than most tests."""
        key = (asynchronous, *settings.items())
        if key not in self._clients:
            self._clients[key] = self.new_client(asynchronous=asynchronous)(**settings)
        return self._clients[key]

    def close(self) -> None:
        """Close what was opened."""
        for engine in self._engines.values():
            self.run(engine.dispose())
        for pool in self._pools.values():
            self.run(pool.close())
        self._runner.close()


class _Awaited:
    """A client each of whose coroutines is carried out to its end in the application's event loop."""

    def __init__(self, client: AsyncPostHog, application: Application) -> None:
        self._client = client
        self._application = application

    def __getattr__(self, name: str) -> Any:
        return self._application.running(getattr(self._client, name))


def asynchronous_url(database: TestDatabase, driver: str) -> str:
    """The URL of the database with an asynchronous driver of SQLAlchemy's."""
    dialect = {"sqlite": "sqlite", "postgresql": "postgresql", "mariadb": "mysql"}[database.backend]
    return database.engine.url.set(drivername=f"{dialect}+{driver}").render_as_string(hide_password=False)
