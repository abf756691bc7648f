"""The shared parts of the commands: error messages, logging, and the configured database."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError

from hogbox._operations.console import log_to_stderr
from hogbox._store.connections.database import Database
from hogbox._store.dialects.failure import is_drivers, sentence
from hogbox._wire.printable import printable
from hogbox.errors import HogboxError, TablesMissing, TablesOutdated
from hogbox.integrations.django.configuration import Configuration
from hogbox.integrations.django.engine import open_engine


class HogboxCommand(BaseCommand):  # type: ignore[misc]
    """The base class of hogbox's commands."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; errors of hogbox, the database and files become CommandErrors with a message."""
        log_to_terminal(options["verbosity"])
        try:
            return super().execute(*args, **options)  # type: ignore[no-any-return]
        except (TablesMissing, TablesOutdated) as error:
            raise CommandError("hogbox's tables are missing or too old: run manage.py migrate hogbox") from error
        except (HogboxError, SQLAlchemyError, OSError, UnicodeError) as error:
            raise CommandError(printable(sentence(error))) from error
        except Exception as error:
            if not is_drivers(error):
                raise
            raise CommandError(printable(sentence(error))) from error


@contextmanager
def open_database(configured: Configuration) -> Iterator[Database]:
    """hogbox's own access to the configured database. Raises ConfigurationError."""
    engine = None if configured.database_url else open_engine(configured.alias, pooled=True)
    database = Database(engine or configured.database_url, configured.settings().table_prefix)
    try:
        yield database
    finally:
        database.close()
        if engine is not None:
            engine.dispose()


def log_to_terminal(verbosity: int) -> None:
    """Log to the terminal, unless LOGGING configures hogbox's logger."""
    if verbosity and not logging.getLogger("hogbox").hasHandlers():
        log_to_stderr(requests=verbosity > 1)
