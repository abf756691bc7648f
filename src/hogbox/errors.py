"""Everything hogbox raises, by whose fault it is.

    HogboxError
    ├── UsageError                   yours: mend the call or the configuration
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
    ├── OutboxFull                   the delivery's: it falls behind; no call and no schema is wrong
    ├── UndecryptablePayload         whoever has the key: put it back
    │   └── MisplacedPayload         whoever may write to the tables: a row was changed
    ├── RemoteEvaluationError        PostHog's: it could not be asked for a flag, or did not say
    ├── DefinitionsError             PostHog's: what it sent as flag definitions cannot be used
    │   ├── DefinitionsUnparsable
    │   └── DefinitionsInvalid
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
    """No distinct id: pass distinct_id=..., give PostHog(identify=...), or open hogbox.context.new_context()."""


class InvalidPerson(UsageError, TypeError):
    """The person for whom a flag is evaluated is not described as hogbox expects."""


class ImportUnderWay(UsageError):
    """Another process is importing the same file into this project: let it end, then run the command again."""


class NoContext(UsageError):
    """No context is open here: open one with hogbox.context.new_context(), or an integration's middleware."""


class UnknownFlag(UsageError):
    """The stored flag definitions have no flag of this key."""


class UnknownRevision(UsageError):
    """This revision of the flag definitions is not kept."""


class UnsupportedHandle(UsageError, TypeError):
    """The first argument is not a transaction that hogbox can write in."""


class AsyncHandle(UnsupportedHandle):
    """An asynchronous handle was given to the synchronous client."""


class SyncHandle(UnsupportedHandle):
    """A synchronous handle was given to the asynchronous client."""


class OutboxFull(HogboxError):
    """The outbox is as full as it may be: run more workers, mend what holds events back, or raise the bound."""


class UndecryptablePayload(HogboxError):
    """No key in HOGBOX_ENCRYPTION_KEYS opens this payload: put back the key that it was encrypted with."""


class MisplacedPayload(UndecryptablePayload):
    """The payload was encrypted for another project, shard or lane than its row has: the row was changed or copied."""


class RemoteEvaluationError(HogboxError):
    """PostHog could not be asked for a flag, or did not say what it is."""

    def __init__(self, message: str | None = None, *, reason: str = "unknown_error") -> None:
        super().__init__(message)
        self.reason = reason
        """`timeout`, `connection_error`, `api_error_<status>`, `quota_limited`, `errors_while_computing_flags` or
        `unknown_error`."""


class DefinitionsError(HogboxError, ValueError):
    """These are not flag definitions as PostHog sends them."""


class DefinitionsUnparsable(DefinitionsError):
    """The flag definitions are not JSON."""


class DefinitionsInvalid(DefinitionsError):
    """The flag definitions are JSON, but not an object with a list of flags."""


class TablesError(HogboxError):
    """hogbox's tables in this database cannot be used."""


class TablesMissing(TablesError):
    """hogbox's tables are not in this database: run `hogbox migrate`, or call PostHog.create_tables() once."""


class TablesOutdated(TablesError):
    """hogbox's tables are older than this hogbox: run `hogbox migrate`, or call PostHog.create_tables() once."""


class TablesNewer(TablesError):
    """hogbox's tables were made by a newer hogbox: upgrade this installation."""
