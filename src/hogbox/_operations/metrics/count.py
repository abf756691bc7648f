"""What each event of telemetry adds to which metric. Gauges are not added to: they are read."""

from __future__ import annotations

from typing import Final, NamedTuple

from hogbox._operations.metrics.family import (
    BATCH_BYTES,
    BATCH_EVENTS,
    EVALUATIONS,
    EVENT_RESULTS,
    EVENTS,
    FLAG_REQUEST_SECONDS,
    RATE_LIMIT_WARNINGS,
    REFRESH_SECONDS,
    REFRESHES,
    REQUEST_SECONDS,
    Metric,
)
from hogbox.telemetry import (
    EventsSettled,
    FlagsAsked,
    FlagsEvaluated,
    LeasesChanged,
    Refreshed,
    RequestDone,
    ResultsStated,
    TelemetryEvent,
)

NO_ANSWER: Final = "none"
"""The status of a request that got no answer."""


class Count(NamedTuple):
    """So much more of a counter, or one value more of a histogram."""

    metric: Metric
    labels: tuple[str, ...]
    amount: float


def counts_of(event: TelemetryEvent) -> tuple[Count, ...]:
    """What the event adds."""
    # Not one of the cases: a flag is read in a microsecond, and matching takes as long.
    if isinstance(event, FlagsEvaluated):
        return (Count(EVALUATIONS, (event.project, event.outcome), event.flags),)
    match event:
        case EventsSettled(project, outcome, events, _):
            return (Count(EVENTS, (project, outcome), events),)
        case ResultsStated(project, result, details, events):
            return (Count(EVENT_RESULTS, (project, result, details), events),)
        case RequestDone():
            status = NO_ANSWER if event.status is None else str(event.status)
            return (
                Count(REQUEST_SECONDS, (event.project, status), event.seconds),
                *((Count(RATE_LIMIT_WARNINGS, (event.project,), 1),) if event.near_limit else ()),
                Count(BATCH_EVENTS, (), event.events),
                Count(BATCH_BYTES, (), event.bytes),
            )
        case Refreshed(project, status, _, seconds):
            return (Count(REFRESHES, (project, status), 1), Count(REFRESH_SECONDS, (project,), seconds))
        case FlagsAsked(project, outcome, seconds):
            return (Count(FLAG_REQUEST_SECONDS, (project, outcome), seconds),)
        case LeasesChanged():
            return ()
