"""Everything hogbox raises, by whose fault it is.

    HogboxError
    ├── UsageError                   yours: mend the call or the configuration
    │   ├── ConfigurationError
    │   │   ├── UnsupportedDatabase
    │   │   └── MissingDependency
    │   ├── InvalidEvent
    │   │   └── MissingDistinctId
    │   └── UnsupportedHandle
    │       └── AsyncHandle
    └── TablesError                  the database's: mend the schema
        ├── TablesMissing
        ├── TablesOutdated
        └── TablesNewer

A class's docstring is its default message. What PostHog answers to a delivery is a value (a verdict), not an exception.
"""

from __future__ import annotations


class HogboxError(Exception):
    """hogbox cannot do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class UsageError(HogboxError):
    """The call or the configuration has to be changed."""


class ConfigurationError(UsageError):
    """A setting is missing or cannot be used."""


class UnsupportedDatabase(ConfigurationError):
    """hogbox keeps its tables in SQLite, PostgreSQL, MariaDB or MySQL."""


class MissingDependency(ConfigurationError):
    """A package that this database or command needs is not installed."""


class InvalidEvent(UsageError, ValueError):
    """The event cannot be captured as it was given."""


class MissingDistinctId(InvalidEvent):
    """No distinct id: pass distinct_id=..., or give PostHog(identify=...) a callback that returns one."""


class UnsupportedHandle(UsageError, TypeError):
    """The first argument is not a transaction that hogbox can write in."""


class AsyncHandle(UnsupportedHandle):
    """An asynchronous handle was given to the synchronous client."""


class TablesError(HogboxError):
    """hogbox's tables in this database cannot be used."""


class TablesMissing(TablesError):
    """hogbox's tables are not in this database: run `hogbox migrate`, or call PostHog.create_tables() once."""


class TablesOutdated(TablesError):
    """hogbox's tables are older than this hogbox: run `hogbox migrate`, or call PostHog.create_tables() once."""


class TablesNewer(TablesError):
    """hogbox's tables were made by a newer hogbox: upgrade this installation."""
