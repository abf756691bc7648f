"""The settings of delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from hogbox._settings.setting import POSITIVE, POSITIVE_WHOLE, WHOLE, read_all, rows, setting
from hogbox.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """How a worker delivers. Each field is also an environment variable: `HOGBOX_` and its name in capitals."""

    batch_events: int = setting(1000, POSITIVE_WHOLE, "HOGBOX_BATCH_EVENTS")
    """Events in one request, at most."""
    batch_bytes: int = setting(5 * 1024 * 1024, POSITIVE_WHOLE, "HOGBOX_BATCH_BYTES")
    """Bytes of events in one request, before compression, at most; a larger event travels alone."""
    senders: int = setting(4, POSITIVE_WHOLE, "HOGBOX_SENDERS")
    """Requests under way at once, in one worker; on SQLite two at most, since only one can settle at a time."""
    request_timeout_seconds: float = setting(15.0, POSITIVE, "HOGBOX_REQUEST_TIMEOUT_SECONDS")
    """How long to wait for the server to connect, to take and to answer."""
    lease_seconds: float = setting(30.0, POSITIVE, "HOGBOX_LEASE_SECONDS")
    """How long a worker that died keeps its shards; must outlast the request's time-out."""
    poll_seconds: float = setting(0.5, POSITIVE, "HOGBOX_POLL_SECONDS")
    """How often the outbox is looked at while nothing hints at new events."""
    retry_base_seconds: float = setting(1.0, POSITIVE, "HOGBOX_RETRY_BASE_SECONDS")
    """The bound of the first retry's delay; doubles with every attempt."""
    retry_cap_seconds: float = setting(60.0, POSITIVE, "HOGBOX_RETRY_CAP_SECONDS")
    """The bound of any retry's delay."""
    key_refused_cap_seconds: float = setting(300.0, POSITIVE, "HOGBOX_KEY_REFUSED_CAP_SECONDS")
    """The bound of the delay between tries for a project whose token is refused, and for an event that fails alone."""
    max_attempts: int = setting(0, WHOLE, "HOGBOX_MAX_ATTEMPTS")
    """Failures alone after which an event becomes a dead letter; 0 means that there is no limit."""
    dead_letter_days: int = setting(90, WHOLE, "HOGBOX_DEAD_LETTER_DAYS")
    """Days after which dead letters are removed; 0 means never."""
    exposure_seconds: float = setting(86400.0, POSITIVE, "HOGBOX_EXPOSURE_SECONDS")
    """How long an exposure is remembered: after that the same read of the same person is captured and sent again."""

    def __post_init__(self) -> None:
        for row in rows(type(self)):
            value, label = getattr(self, row.name), f"{row.name} ({row.variables[0]})"
            row.check(value, label)
            if row.kind.types == (int,) and not isinstance(value, int):
                raise ConfigurationError(f"{label} must be a whole number, not {value!r}")
        if self.lease_seconds < 1.5 * self.request_timeout_seconds:
            raise ConfigurationError(
                f"lease_seconds ({self.lease_seconds:g}) must be at least 1.5 times request_timeout_seconds "
                f"({self.request_timeout_seconds:g}): a worker sends only while its lease outlasts the request"
            )

    @classmethod
    def load(cls, environment: Mapping[str, str], **arguments: float | None) -> Self:
        """The arguments that are given, else the environment's `HOGBOX_…` values, else the defaults.

        Raises ConfigurationError, naming the variable, for a value that can't be read or used.
        """
        return cls(**read_all(cls, environment, arguments))


DeliverySettings.__module__ = "hogbox"
