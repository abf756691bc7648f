"""The settings of delivery."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from hogbox._settings.setting import POSITIVE, POSITIVE_WHOLE, WHOLE, ValueType, read_all, rows, setting
from hogbox._wire.compression import AUTOMATIC, encoder
from hogbox._wire.mode import CaptureMode
from hogbox.errors import ConfigurationError

log = logging.getLogger("hogbox.delivery")


def _read_compression(text: str, variable: str) -> str:
    """The word, or `auto` with a warning if it can't be used: official clients share the variable and do the same."""
    word = text.lower()
    try:
        encoder(word)
    except ConfigurationError as error:
        log.warning("%s=%r is ignored, and %s is used: %s", variable, text, AUTOMATIC, error)
        return AUTOMATIC
    return word


def _require_compression(label: str, word: Any) -> str:
    if not isinstance(word, str):
        raise ConfigurationError(f"{label} must be a text, not {word!r}")
    encoder(word)
    return word


def _read_mode(text: str, variable: str) -> str:
    """The word, or the default with a warning if it is unknown: official clients share the variable and do the same."""
    try:
        return CaptureMode.read(text).value
    except ConfigurationError as error:
        log.warning("%s=%r is ignored, and %s is used: %s", variable, text, _MODE.value, error)
        return _MODE.value


def _require_mode(label: str, word: Any) -> str:
    if not isinstance(word, str):
        raise ConfigurationError(f"{label} must be a text, not {word!r}")
    return CaptureMode.read(word).value


_MODE: Final = CaptureMode.V0
_COMPRESSION: Final = ValueType("text", (str,), _read_compression, _require_compression)
_CAPTURE_MODE: Final = ValueType("`auto`, `v0` or `v1`", (str,), _read_mode, _require_mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """The settings of a worker. Each field is also an environment variable, by the table of settings.

    Raises ConfigurationError for an invalid value.
    """

    batch_events: int = setting(1000, POSITIVE_WHOLE, "HOGBOX_BATCH_EVENTS")
    """The most events in one request."""
    batch_bytes: int = setting(5 * 1024 * 1024, POSITIVE_WHOLE, "HOGBOX_BATCH_BYTES")
    """The most bytes of events in one request, before compression; a larger event is sent alone."""
    senders: int = setting(4, POSITIVE_WHOLE, "HOGBOX_SENDERS")
    """Concurrent requests of one worker; at most two on SQLite, where only one transaction can write at a time."""
    request_timeout_seconds: float = setting(15.0, POSITIVE, "HOGBOX_REQUEST_TIMEOUT_SECONDS")
    """The longest time for a request, from connecting to the complete response."""
    lease_seconds: float = setting(30.0, POSITIVE, "HOGBOX_LEASE_SECONDS")
    """How long a worker that crashed keeps its shards; at least 1.5 times `request_timeout_seconds`."""
    poll_seconds: float = setting(0.5, POSITIVE, "HOGBOX_POLL_SECONDS")
    """The time between two polls of the outbox, without a notification of new events in the same process."""
    retry_base_seconds: float = setting(1.0, POSITIVE, "HOGBOX_RETRY_BASE_SECONDS")
    """The longest delay of the first retry; doubles with every attempt."""
    retry_cap_seconds: float = setting(60.0, POSITIVE, "HOGBOX_RETRY_CAP_SECONDS")
    """The longest delay of any retry."""
    key_refused_cap_seconds: float = setting(300.0, POSITIVE, "HOGBOX_KEY_REFUSED_CAP_SECONDS")
    """The longest delay between retries for a project with a refused token, and for an event that fails alone."""
    max_attempts: int = setting(0, WHOLE, "HOGBOX_MAX_ATTEMPTS")
    """The number of failures alone after which an event becomes a dead letter; 0 means no limit."""
    dead_letter_days: int = setting(90, WHOLE, "HOGBOX_DEAD_LETTER_DAYS")
    """Days after which dead letters are removed; 0 means never."""
    capture_compression: str = setting(AUTOMATIC, _COMPRESSION, "POSTHOG_CAPTURE_COMPRESSION")
    """The encoding of requests: `auto` (gzip from 1 KiB), `none`, `identity`, `gzip`, `deflate`, `zstd` or `br`."""
    capture_mode: str = setting(_MODE.value, _CAPTURE_MODE, "POSTHOG_CAPTURE_MODE")
    """PostHog's protocol: `v0`, `v1`, or `auto`, which is v1 where the host speaks it."""
    exposure_seconds: float = setting(86400.0, POSITIVE, "HOGBOX_EXPOSURE_SECONDS")
    """How long an exposure is remembered: after that, the same value for the same person is captured and sent again."""

    def __post_init__(self) -> None:
        for row in rows(type(self)):
            value, label = getattr(self, row.name), f"{row.name} ({row.variables[0]})"
            row.check(value, label)
            # Reading a variable converts it, but an argument is taken as it is.
            if row.kind.types == (int,) and not isinstance(value, int):
                raise ConfigurationError(f"{label} must be a whole number, not {value!r}")
        if self.lease_seconds < 1.5 * self.request_timeout_seconds:
            raise ConfigurationError(
                f"lease_seconds ({self.lease_seconds:g}) must be at least 1.5 times request_timeout_seconds "
                f"({self.request_timeout_seconds:g}): a worker sends only while its lease outlasts the request"
            )

    @classmethod
    def load(cls, environment: Mapping[str, str], **arguments: float | str | None) -> Self:
        """Settings from the arguments, else from the environment, else the defaults.

        Raises ConfigurationError, with the variable's name, for an invalid value.
        """
        return cls(**read_all(cls, environment, arguments))


DeliverySettings.__module__ = "hogbox"
