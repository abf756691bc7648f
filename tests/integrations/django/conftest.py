"""Django's site over a database of each test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from django.contrib.auth import get_user_model  # type: ignore[import-untyped]
from django.core.management import call_command  # type: ignore[import-untyped]
from django.test import Client  # type: ignore[import-untyped]

from hogbox.integrations.django.client import current
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.integrations.django.browser import get_async
from tests.integrations.django.site import configure, connected

# Before the tests are imported: Django's models and views can't be imported without settings.
configure()

ORDERS = "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)"
DEFINITIONS = """
INSERT INTO posthog_flag_definitions (project, data, fetched_at, revision) VALUES ('phc_django', '{"flags": []}', 1, 1)
"""


@pytest.fixture(autouse=True)
def _fresh_client() -> Iterator[None]:
    """hogbox's client is made anew for each test."""
    current.forget()
    yield
    current.forget()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables of every app, to be copied."""
    path = tmp_path_factory.mktemp("django") / "migrated.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    with connected(TestDatabase("sqlite", str(engine.url), engine)) as connection:
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(ORDERS)
            cursor.execute(DEFINITIONS)
    engine.dispose()
    return path


@pytest.fixture
def site(migrated_file: Path, tmp_path: Path) -> Iterator[TestDatabase]:
    """The database of the site, SQLite, with all tables; Django is connected to it."""
    with _copied(migrated_file, tmp_path) as database, connected(database):
        yield database


@pytest.fixture
def atomic_site(migrated_file: Path, tmp_path: Path) -> Iterator[TestDatabase]:
    """The same with ATOMIC_REQUESTS."""
    with _copied(migrated_file, tmp_path) as database, connected(database, ATOMIC_REQUESTS=True):
        yield database


@contextmanager
def _copied(migrated_file: Path, folder: Path) -> Iterator[TestDatabase]:
    path = shutil.copy(migrated_file, folder / "site.db")
    engine = sa.create_engine(f"sqlite:///{path}")
    yield TestDatabase("sqlite", str(engine.url), engine)
    engine.dispose()


@pytest.fixture
def client() -> Client:
    """A browser, for which errors are pages."""
    return Client(raise_request_exception=False)


@pytest.fixture
def ada(site: TestDatabase) -> Any:
    """A user."""
    return get_user_model().objects.create_user("ada", "ada@example.com", "secret")


@pytest.fixture(params=["sync", "async"])
def get(request: pytest.FixtureRequest, client: Client) -> Iterator[Any]:
    """A request through the synchronous handler, and through the asynchronous one."""
    if request.param == "async":
        yield lambda path, **options: get_async(path, raise_request_exception=False, **options)
        return

    def get_sync(path: str, headers: dict[str, str] | None = None, user: Any = None) -> Any:
        if user is not None:
            client.force_login(user)
        return client.get(path, headers=headers)

    yield get_sync


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def django_database(request: pytest.FixtureRequest, emptied: SharedDatabases) -> Iterator[TestDatabase]:
    """Each of the shared databases, with a table of the application's; Django is connected to it."""
    database = emptied(request.param)
    database.execute(ORDERS)
    database.execute("DELETE FROM orders")
    with connected(database):
        yield database
