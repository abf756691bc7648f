"""Telemetry: hogbox tells what it does, as values, to whoever listens. It is told in one place, and nobody need listen.

    posthog.telemetry.attach(print)

A handler is called in the thread that does the work, with one of the values below, and should take moments. One that
raises is logged once, and harms nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

__all__ = [
    "ANSWERED",
    "DEAD",
    "DELIVERED",
    "INCONCLUSIVE",
    "LOCAL",
    "REMOTE",
    "REPEATED",
    "EventsSettled",
    "FlagsAsked",
    "FlagsEvaluated",
    "Handler",
    "LeasesChanged",
    "Refreshed",
    "RequestDone",
    "Telemetry",
    "TelemetryEvent",
]

log = logging.getLogger("hogbox.telemetry")

DELIVERED: Final = "delivered"
DEAD: Final = "dead"
REPEATED: Final = "repeated"

LOCAL: Final = "local"
INCONCLUSIVE: Final = "inconclusive"
REMOTE: Final = "remote"

ANSWERED: Final = "answered"


class RequestDone(NamedTuple):
    """A request with events has ended. `project` is a shortened token; `status` is None where no answer came."""

    project: str
    status: int | None
    verdict: str
    """`delivered`, `retry`, `too large`, `refused` or `key refused`."""
    reason: str
    seconds: float
    events: int
    bytes: int
    """Of the request's body, as it was sent."""


class EventsSettled(NamedTuple):
    """Events have left the outbox. `outcome` is `delivered`, `dead` or `repeated`; `status` is that of the last answer.

    `repeated`: an exposure that was sent before, and is not sent again.
    """

    project: str
    outcome: str
    events: int
    status: int | None


class LeasesChanged(NamedTuple):
    """A worker of this process holds so many shards now."""

    worker: str
    held: int


class Refreshed(NamedTuple):
    """A refresh of flag definitions has ended. `status` and `reason` are those of `refresh_flag_definitions`."""

    project: str
    status: str
    reason: str | None
    seconds: float


class FlagsEvaluated(NamedTuple):
    """Flags were evaluated, so many with this outcome.

    `local`: decided here; `inconclusive`: not decided here; `remote`: decided by PostHog. A flag that is inconclusive
    here and is then asked for counts twice.
    """

    project: str
    outcome: str
    flags: int


class FlagsAsked(NamedTuple):
    """PostHog was asked for a person's flags. `outcome` is `answered`, or the reason why it was not."""

    project: str
    outcome: str
    seconds: float


TelemetryEvent: TypeAlias = RequestDone | EventsSettled | LeasesChanged | Refreshed | FlagsEvaluated | FlagsAsked

Handler: TypeAlias = Callable[[TelemetryEvent], object]


class Telemetry:
    """Tells handlers. May be shared by clients and workers, and by threads."""

    def __init__(self) -> None:
        self.handlers: Final[list[Handler]] = []
        """Whom it tells, always the same list: what costs something to say is said only where there is one."""
        self._blamed: list[Handler] = []

    def attach(self, handler: Handler) -> None:
        """Tell this handler too, from now on. One that is attached already is not told twice."""
        if handler not in self.handlers:
            self.handlers.append(handler)

    def detach(self, handler: Handler) -> None:
        """Tell it no more. Does nothing where it is not attached."""
        with suppress(ValueError):
            self.handlers.remove(handler)

    def emit(self, event: TelemetryEvent) -> None:
        """Tell all handlers. Raises nothing."""
        for handler in tuple(self.handlers):
            try:
                handler(event)
            except Exception:
                self._blame(handler, event)

    def _blame(self, handler: Handler, event: TelemetryEvent) -> None:
        """Say once that a handler fails; it is told on."""
        if handler not in self._blamed:
            self._blamed.append(handler)
            log.exception("the telemetry handler %r failed at %s; it is not said again", handler, type(event).__name__)
