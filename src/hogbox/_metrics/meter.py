"""Meter: counts what telemetry tells. What is counted is of this process, and begins at nothing."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Final

from hogbox._metrics.family import (
    BATCH_BYTES,
    BATCH_EVENTS,
    EVALUATIONS,
    EVENTS,
    FLAG_REQUEST_SECONDS,
    OF_THIS_PROCESS,
    REFRESH_SECONDS,
    REFRESHES,
    REQUEST_SECONDS,
    WORKER_LEASES,
    Distribution,
    Family,
    Kind,
    Metric,
    Sample,
)
from hogbox.telemetry import (
    Event,
    EventsSettled,
    FlagsAsked,
    FlagsEvaluated,
    LeasesChanged,
    Refreshed,
    RequestDone,
)

_MOST_SERIES: Final = 1000
"""Of one metric: from then on what is new is counted together, as `other`, so that nothing grows without end."""

OTHER: Final = "other"

NO_ANSWER: Final = "none"


class _Buckets:
    """A histogram that is filled."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def read(self) -> Distribution:
        within, count = [], 0
        for one in self._counts:
            count += one
            within.append(count)
        return Distribution(tuple(within[:-1]), count, self._sum)


class Meter:
    """A handler of telemetry: `telemetry.attach(meter)`. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, dict[tuple[str, ...], float]] = {}
        self._buckets: dict[str, dict[tuple[str, ...], _Buckets]] = {}
        self._held: dict[str, int] = {}
        for metric in OF_THIS_PROCESS:
            if metric.kind is Kind.HISTOGRAM:
                self._buckets[metric.name] = {}
            else:
                self._numbers[metric.name] = {}

    def __call__(self, event: Event) -> None:
        """Count this."""
        with self._lock:
            match event:
                case FlagsEvaluated(project, outcome, flags):
                    self._add(EVALUATIONS, (project, outcome), flags)
                case RequestDone():
                    self._count_request(event)
                case EventsSettled(project, outcome, events, _):
                    self._add(EVENTS, (project, outcome), events)
                case LeasesChanged(worker, held):
                    self._held[worker] = held
                case Refreshed(project, status, _, seconds):
                    self._add(REFRESHES, (project, status), 1)
                    self._observe(REFRESH_SECONDS, (project,), seconds)
                case FlagsAsked(project, outcome, seconds):
                    self._observe(FLAG_REQUEST_SECONDS, (project, outcome), seconds)

    def collect(self) -> list[Family]:
        """All metrics of this process, as they are now."""
        with self._lock:
            self._numbers[WORKER_LEASES.name][()] = sum(self._held.values())
            return [Family(metric, self._samples(metric)) for metric in OF_THIS_PROCESS]

    def _samples(self, metric: Metric) -> list[Sample]:
        if metric.kind is Kind.HISTOGRAM:
            return [Sample(labels, buckets.read()) for labels, buckets in self._buckets[metric.name].items()]
        return [Sample(labels, value) for labels, value in self._numbers[metric.name].items()]

    def _count_request(self, done: RequestDone) -> None:
        status = NO_ANSWER if done.status is None else str(done.status)
        self._observe(REQUEST_SECONDS, (done.project, status), done.seconds)
        self._observe(BATCH_EVENTS, (), done.events)
        self._observe(BATCH_BYTES, (), done.bytes)

    def _add(self, metric: Metric, labels: tuple[str, ...], amount: float) -> None:
        series = self._numbers[metric.name]
        if labels not in series and len(series) >= _MOST_SERIES:
            labels = (OTHER,) * len(labels)
        series[labels] = series.get(labels, 0) + amount

    def _observe(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        series = self._buckets[metric.name]
        if labels not in series:
            if len(series) >= _MOST_SERIES:
                labels = (OTHER,) * len(labels)
            series.setdefault(labels, _Buckets(metric.bounds))
        series[labels].add(value)
