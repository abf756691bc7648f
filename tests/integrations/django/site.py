"""Django, configured once for the process of the tests, with connections that lead to the databases of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import django  # type: ignore[import-untyped]
import pymysql
from django.conf import settings  # type: ignore[import-untyped]
from django.db import connections  # type: ignore[import-untyped]
from django.db.utils import ConnectionHandler  # type: ignore[import-untyped]

from tests.fixtures.database import TestDatabase

ENGINES = {"sqlite": "sqlite3", "postgresql": "postgresql", "mariadb": "mysql"}

SETTINGS: dict[str, Any] = {
    "SECRET_KEY": "for tests",
    "ALLOWED_HOSTS": ["testserver"],
    "USE_TZ": True,
    "INSTALLED_APPS": [
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "hogbox.integrations.django",
    ],
    "MIDDLEWARE": [
        "hogbox.integrations.django.middleware.PostHogMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    "ROOT_URLCONF": "tests.integrations.django.urls",
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "nowhere/app.db"}},
    "LOGGING_CONFIG": None,
    "HOGBOX": {"PROJECT_TOKEN": "phc_django"},
}


def configure() -> None:
    """Configure Django for this process, the first time; PyMySQL stands in for a mysqlclient that is not there."""
    if settings.configured:
        return
    if find_spec("MySQLdb") is None:
        pymysql.install_as_MySQLdb()
    settings.configure(**SETTINGS)
    django.setup()


def connection_settings(database: TestDatabase, **more: Any) -> dict[str, Any]:
    """What DATABASES says of this database, complete."""
    url = database.engine.url
    given = {
        "ENGINE": f"django.db.backends.{ENGINES[database.backend]}",
        "NAME": url.database,
        "USER": url.username or "",
        "PASSWORD": url.password or "",
        "HOST": url.host or "",
        "PORT": url.port or "",
        **more,
    }
    complete: dict[str, Any] = ConnectionHandler({"default": given}).settings["default"]
    return complete


@contextmanager
def connected(database: TestDatabase, alias: str = "default", **more: Any) -> Iterator[Any]:
    """Django's connection of this alias, to this database for as long as the block lasts."""
    configure()
    before = connections.settings.get(alias)
    # One that this thread has already, which another block may have opened.
    outer = next((one for one in connections.all(initialized_only=True) if one.alias == alias), None)
    connections.settings[alias] = connection_settings(database, **more)
    connection = connections[alias] = connections.create_connection(alias)
    try:
        yield connection
    finally:
        connection.close()
        del connections[alias]
        del connections.settings[alias]
        if before is not None:
            connections.settings[alias] = before
        if outer is not None:
            connections[alias] = outer
