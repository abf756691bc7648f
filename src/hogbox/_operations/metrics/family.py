"""The catalogue of metrics, and their values. Names, units and labels follow Prometheus' conventions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple


class MetricType(Enum):
    """What a value means."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric, one of those below. `bounds` are those of a histogram's buckets, without the infinite one."""

    name: str
    kind: MetricType
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


class Distribution(NamedTuple):
    """The value of a histogram: how many were within each bound, and any; and their sum."""

    within: tuple[int, ...]
    total: int
    sum: float


class Sample(NamedTuple):
    """A value under its labels, in the metric's order of them."""

    labels: tuple[str, ...]
    value: float | Distribution


class Family(NamedTuple):
    """A metric with all of its values."""

    metric: Metric
    samples: Sequence[Sample]


_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_COUNTS: Final = (1.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0)
_BYTES: Final = (1e3, 1e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6, 1e7)

EVENTS: Final = Metric(
    "hogbox_events_total",
    MetricType.COUNTER,
    "Events that left the outbox: delivered, dead, or repeated exposures.",
    ("project", "outcome"),
)
REQUEST_SECONDS: Final = Metric(
    "hogbox_request_duration_seconds",
    MetricType.HISTOGRAM,
    "Requests with events, by the status of the answer; none where no answer came.",
    ("project", "status"),
    _SECONDS,
)
RATE_LIMIT_WARNINGS: Final = Metric(
    "hogbox_rate_limit_warnings_total",
    MetricType.COUNTER,
    "Answers in which PostHog warns that it is about to refuse requests, because there are too many.",
    ("project",),
)
EVENT_RESULTS: Final = Metric(
    "hogbox_event_results_total",
    MetricType.COUNTER,
    "PostHog's results for single events, with capture v1.",
    ("project", "result", "details"),
)
BATCH_EVENTS: Final = Metric("hogbox_batch_events", MetricType.HISTOGRAM, "Events in one request.", (), _COUNTS)
BATCH_BYTES: Final = Metric(
    "hogbox_batch_size_bytes", MetricType.HISTOGRAM, "Size of the body of one request with events, as sent.", (), _BYTES
)
WORKER_LEASES: Final = Metric("hogbox_worker_leases", MetricType.GAUGE, "Shards that the workers of this process hold.")
REFRESHES: Final = Metric(
    "hogbox_refreshes_total",
    MetricType.COUNTER,
    "Refreshes of flag definitions, by what became of them.",
    ("project", "status"),
)
REFRESH_SECONDS: Final = Metric(
    "hogbox_refresh_duration_seconds", MetricType.HISTOGRAM, "Refreshes of flag definitions.", ("project",), _SECONDS
)
EVALUATIONS: Final = Metric(
    "hogbox_flag_evaluations_total",
    MetricType.COUNTER,
    "Flags evaluated: local, inconclusive here, or by PostHog (remote).",
    ("project", "outcome"),
)
FLAG_REQUEST_SECONDS: Final = Metric(
    "hogbox_flag_request_duration_seconds",
    MetricType.HISTOGRAM,
    "Questions to PostHog for a person's flags, with their retries: answered, or why not.",
    ("project", "outcome"),
    _SECONDS,
)

DATABASE_UP: Final = Metric("hogbox_database_up", MetricType.GAUGE, "1 where the gauges below could be read, else 0.")
BACKLOG: Final = Metric(
    "hogbox_backlog_events",
    MetricType.GAUGE,
    "Events that wait, counted among the oldest 20,000.",
    ("project",),
)
BACKLOG_SPAN: Final = Metric(
    "hogbox_backlog_span_events",
    MetricType.GAUGE,
    "The newest id that waits minus the oldest, plus 1: no more events wait, however many they are.",
)
OLDEST_AGE: Final = Metric(
    "hogbox_oldest_event_age_seconds",
    MetricType.GAUGE,
    "Age of the oldest event that waits, among the oldest 20,000.",
    ("project",),
)
DEAD_LETTERS: Final = Metric(
    "hogbox_dead_letters", MetricType.GAUGE, "Dead letters, counted among the newest 20,000.", ("project",)
)
LEASES_HELD: Final = Metric("hogbox_leases_held", MetricType.GAUGE, "Shards that some worker holds.")
LEASES_FREE: Final = Metric("hogbox_leases_free", MetricType.GAUGE, "Shards that no worker holds.")
SHARDS_RETRYING: Final = Metric("hogbox_shards_retrying", MetricType.GAUGE, "Shards with an event that fails alone.")
PROJECTS_PUT_OFF: Final = Metric(
    "hogbox_projects_put_off",
    MetricType.GAUGE,
    "Projects whose requests fail or are refused, and are tried again later.",
)
WORKERS: Final = Metric("hogbox_workers", MetricType.GAUGE, "Workers that are listed in the database.")
DEFINITIONS_AGE: Final = Metric(
    "hogbox_definitions_age_seconds",
    MetricType.GAUGE,
    "Since PostHog last said that the stored flag definitions are right.",
    ("project",),
)

OF_THIS_PROCESS: Final = (
    EVENTS,
    EVENT_RESULTS,
    REQUEST_SECONDS,
    RATE_LIMIT_WARNINGS,
    BATCH_EVENTS,
    BATCH_BYTES,
    WORKER_LEASES,
    REFRESHES,
    REFRESH_SECONDS,
    EVALUATIONS,
    FLAG_REQUEST_SECONDS,
)
"""What the process itself did since it began."""

OF_THE_DATABASE: Final = (
    DATABASE_UP,
    BACKLOG,
    BACKLOG_SPAN,
    OLDEST_AGE,
    DEAD_LETTERS,
    LEASES_HELD,
    LEASES_FREE,
    SHARDS_RETRYING,
    PROJECTS_PUT_OFF,
    WORKERS,
    DEFINITIONS_AGE,
)
"""What the database says: the same in all processes."""

METRICS: Final = OF_THIS_PROCESS + OF_THE_DATABASE
