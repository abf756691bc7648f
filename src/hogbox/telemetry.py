"""Telemetry: values that describe what hogbox does, for the handlers that an application attaches.

    posthog.telemetry.attach(print)

A handler is called with one of the values below in the thread that does the work, and should return quickly. An
exception in a handler is logged once per handler and has no other effect.
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
    "ResultsStated",
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
    """A request with events has ended. `project` is a shortened token; `status` is None without a response."""

    project: str
    status: int | None
    verdict: str
    """`delivered`, `partial`, `retry`, `too large`, `refused` or `key refused`."""
    reason: str
    seconds: float
    events: int
    bytes: int
    """The size of the request's body, as it was sent."""
    near_limit: bool = False
    """Whether PostHog warns that it is about to refuse requests, because there are too many."""


class ResultsStated(NamedTuple):
    """PostHog's result for events of a request, with capture v1. `events` is the number with this result.

    `result` is `ok`, `warning`, `limited`, `drop`, `retry` or `unknown`; `details` is PostHog's reason, or empty.
    """

    project: str
    result: str
    details: str
    events: int


class EventsSettled(NamedTuple):
    """Events have left the outbox. `outcome` is `delivered`, `dead` or `repeated`; `status` is the last HTTP status.

    `repeated`: an exposure that was sent before and is not sent again.
    """

    project: str
    outcome: str
    events: int
    status: int | None


class LeasesChanged(NamedTuple):
    """The number of shards that a worker of this process holds (`held`) has changed."""

    worker: str
    held: int


class Refreshed(NamedTuple):
    """A refresh of flag definitions has ended. `status` and `reason` are those of `refresh_flag_definitions`."""

    project: str
    status: str
    reason: str | None
    seconds: float


class FlagsEvaluated(NamedTuple):
    """Flags were evaluated; `flags` is the number with this outcome.

    `local`: evaluated in this process; `inconclusive`: could not be evaluated locally; `remote`: evaluated by PostHog.
    A flag that is inconclusive and then evaluated remotely counts twice.
    """

    project: str
    outcome: str
    flags: int


class FlagsAsked(NamedTuple):
    """A remote evaluation of a person's flags has ended. `outcome` is `answered`, or the reason of the failure."""

    project: str
    outcome: str
    seconds: float


TelemetryEvent: TypeAlias = (
    RequestDone | ResultsStated | EventsSettled | LeasesChanged | Refreshed | FlagsEvaluated | FlagsAsked
)

Handler: TypeAlias = Callable[[TelemetryEvent], object]


class Telemetry:
    """Calls the attached handlers. Can be shared by clients, workers and threads."""

    def __init__(self) -> None:
        self.handlers: Final[list[Handler]] = []
        """The attached handlers, always the same list: costly events are only made if it is not empty."""
        self._blamed: list[Handler] = []

    def attach(self, handler: Handler) -> None:
        """Call this handler for every event from now on. Does nothing if it is attached already."""
        if handler not in self.handlers:
            self.handlers.append(handler)

    def detach(self, handler: Handler) -> None:
        """Stop calling this handler. Does nothing if it is not attached."""
        with suppress(ValueError):
            self.handlers.remove(handler)

    def emit(self, event: TelemetryEvent) -> None:
        """Call all handlers with this event. Never raises."""
        # A copy: a handler may detach itself, and another thread may attach one.
        for handler in tuple(self.handlers):
            try:
                handler(event)
            except Exception:
                self._blame(handler, event)

    def _blame(self, handler: Handler, event: TelemetryEvent) -> None:
        """Log a handler's first error; the handler stays attached."""
        if handler not in self._blamed:
            self._blamed.append(handler)
            log.exception(
                "telemetry handler %r failed on %s (its further errors are not logged)", handler, type(event).__name__
            )
