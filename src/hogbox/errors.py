"""The exceptions that hogbox raises, grouped by who can fix the problem.

    HogboxError
    ├── UsageError                   the caller: fix the call or the configuration
    │   ├── ConfigurationError
    │   │   ├── UnsupportedDatabase
    │   │   └── MissingDependency
    │   ├── InvalidEvent
    │   │   └── MissingDistinctId
    │   ├── InvalidPerson
    │   ├── ImportUnderWay
    │   ├── NoContext
    │   ├── UnknownFlag
    │   ├── UnknownRevision
    │   └── UnsupportedHandle
    │       ├── AsyncHandle
    │       └── SyncHandle
    ├── OutboxFull                   the operator: delivery falls behind; the call and the schema are correct
    ├── UndecryptablePayload         the operator: restore the encryption key
    │   └── MisplacedPayload         whoever can write to the tables: a row was changed
    ├── RemoteEvaluationError        PostHog: it could not be reached, or returned no value for the flag
    ├── DefinitionsError             PostHog: the flag definitions that it sent cannot be used
    │   ├── DefinitionsUnparsable
    │   └── DefinitionsInvalid
    └── TablesError                  the operator: migrate the tables
        ├── TablesMissing
        ├── TablesOutdated
        └── TablesNewer

A class's docstring is its default message. PostHog's response to a delivery is a value (a verdict), not an exception.
"""

from __future__ import annotations


class HogboxError(Exception):
    """hogbox could not complete the operation."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class UsageError(HogboxError):
    """The call or the configuration has to be changed."""


class ConfigurationError(UsageError):
    """A setting is missing or cannot be used."""


class UnsupportedDatabase(ConfigurationError):
    """This database is not supported: use SQLite, PostgreSQL, MariaDB or MySQL."""


class MissingDependency(ConfigurationError):
    """A package that this database or command needs is not installed."""


class InvalidEvent(UsageError, ValueError):
    """The event is invalid and cannot be captured."""


class MissingDistinctId(InvalidEvent):
    """No distinct id: pass distinct_id=..., give PostHog(identify=...), or open hogbox.context.new_context()."""


class InvalidPerson(UsageError, TypeError):
    """An argument that describes the person for a flag evaluation is invalid."""


class ImportUnderWay(UsageError):
    """Another process is importing the same file into this project: wait for it to end, then run the command again."""


class NoContext(UsageError):
    """No context is open here: open one with hogbox.context.new_context(), or an integration's middleware."""


class UnknownFlag(UsageError):
    """The stored flag definitions contain no flag with this key."""


class UnknownRevision(UsageError):
    """This revision of the flag definitions is not stored."""


class UnsupportedHandle(UsageError, TypeError):
    """The first argument is not a transaction that hogbox can write to."""


class AsyncHandle(UnsupportedHandle):
    """An asynchronous handle was given to the synchronous client."""


class SyncHandle(UnsupportedHandle):
    """A synchronous handle was given to the asynchronous client."""


class OutboxFull(HogboxError):
    """The outbox is full: run more workers, fix what delays delivery, or raise the limit."""


class UndecryptablePayload(HogboxError):
    """No key in HOGBOX_ENCRYPTION_KEYS decrypts this payload: restore the key that it was encrypted with."""


class MisplacedPayload(UndecryptablePayload):
    """The payload was encrypted for a different project, shard or lane: its row was changed or copied."""


class RemoteEvaluationError(HogboxError):
    """PostHog could not be reached for a flag, or returned no value for it."""

    def __init__(self, message: str | None = None, *, reason: str = "unknown_error") -> None:
        super().__init__(message)
        self.reason = reason
        """`timeout`, `connection_error`, `api_error_<status>`, `quota_limited`, `errors_while_computing_flags`,
        `unknown_error`; for remote config also `encrypted` and `no_key`."""


class DefinitionsError(HogboxError, ValueError):
    """These are not flag definitions in PostHog's format."""


class DefinitionsUnparsable(DefinitionsError):
    """The flag definitions are not JSON."""


class DefinitionsInvalid(DefinitionsError):
    """The flag definitions are JSON, but not an object with a list of flags."""


class TablesError(HogboxError):
    """hogbox's tables in this database cannot be used."""


class TablesMissing(TablesError):
    """hogbox's tables do not exist in this database: run `hogbox migrate`, or call PostHog.create_tables() once."""


class TablesOutdated(TablesError):
    """hogbox's tables are of an older version: run `hogbox migrate`, or call PostHog.create_tables() once."""


class TablesNewer(TablesError):
    """hogbox's tables were created by a newer version: upgrade hogbox."""
