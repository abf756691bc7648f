"""Meter: counts what telemetry tells. What is counted is of this process, and begins at nothing."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Collection
from typing import Final

from hogbox._operations.metrics.count import Count, counts_of
from hogbox._operations.metrics.family import (
    OF_THIS_PROCESS,
    WORKER_LEASES,
    Distribution,
    Family,
    Metric,
    MetricType,
    Sample,
)
from hogbox.telemetry import LeasesChanged, TelemetryEvent

MOST_SERIES: Final = 1000
"""Of one metric: from then on what is new is counted together, as `other`, so that nothing grows without end."""

OTHER: Final = "other"


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
        within, total = [], 0
        for one in self._counts:
            total += one
            within.append(total)
        return Distribution(tuple(within[:-1]), total, self._sum)


class Meter:
    """A handler of telemetry: `telemetry.attach(meter)`. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[Metric, dict[tuple[str, ...], float]] = {}
        self._buckets: dict[Metric, dict[tuple[str, ...], _Buckets]] = {}
        self._held: dict[str, int] = {}
        for metric in OF_THIS_PROCESS:
            if metric.kind is MetricType.HISTOGRAM:
                self._buckets[metric] = {}
            else:
                self._numbers[metric] = {}

    def __call__(self, event: TelemetryEvent) -> None:
        """Count this."""
        counts = counts_of(event)
        with self._lock:
            if isinstance(event, LeasesChanged):
                self._held[event.worker] = event.held
            for count in counts:
                self._add(count)

    def collect(self) -> list[Family]:
        """All metrics of this process, as they are now."""
        with self._lock:
            self._numbers[WORKER_LEASES][()] = sum(self._held.values())
            return [Family(metric, self._samples(metric)) for metric in OF_THIS_PROCESS]

    def _samples(self, metric: Metric) -> list[Sample]:
        if metric.kind is MetricType.HISTOGRAM:
            return [Sample(labels, buckets.read()) for labels, buckets in self._buckets[metric].items()]
        return [Sample(labels, value) for labels, value in self._numbers[metric].items()]

    def _add(self, count: Count) -> None:
        metric, labels, amount = count
        if metric.kind is MetricType.HISTOGRAM:
            buckets = self._buckets[metric]
            buckets.setdefault(_bounded(labels, buckets), _Buckets(metric.bounds)).add(amount)
        else:
            numbers = self._numbers[metric]
            labels = _bounded(labels, numbers)
            numbers[labels] = numbers.get(labels, 0) + amount


def _bounded(labels: tuple[str, ...], series: Collection[tuple[str, ...]]) -> tuple[str, ...]:
    return labels if labels in series or len(series) < MOST_SERIES else (OTHER,) * len(labels)
