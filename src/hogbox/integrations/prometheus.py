"""Prometheus: hogbox's metrics in the application's own registry.

    REGISTRY.register(HogboxCollector(posthog))

It counts this client's telemetry events from then on, and reads the database when it is scraped, at most every
`max_age` seconds. To count several clients of one database together: `other.telemetry.attach(collector)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hogbox._operations.metrics.collector import MAX_AGE, Collector
from hogbox._operations.metrics.family import METRICS, Distribution, Family, Metric, MetricType
from hogbox.aio import AsyncPostHog
from hogbox.client import PostHog
from hogbox.errors import MissingDependency
from hogbox.telemetry import TelemetryEvent

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.metrics_core import Metric as PrometheusMetric
    from prometheus_client.registry import Collector as PrometheusCollector
except ModuleNotFoundError as missing:
    raise MissingDependency(
        "hogbox.integrations.prometheus needs the Prometheus client: pip install 'hogbox[metrics]'"
    ) from missing

__all__ = ["HogboxCollector"]

_INFINITE: Final = "+Inf"


class HogboxCollector(PrometheusCollector):
    """A collector for `prometheus_client`, and a telemetry handler.

    Arguments:
        posthog: The client, synchronous or asynchronous; its telemetry events are counted.
        max_age: How long values that were read from the database are cached, in seconds.

    If the database fails, `hogbox_database_up` is 0 and nothing is raised.
    """

    def __init__(self, posthog: PostHog | AsyncPostHog, *, max_age: float = MAX_AGE) -> None:
        self._collector = Collector(posthog._components.database, posthog.telemetry, max_age)

    def __call__(self, event: TelemetryEvent) -> None:
        """Count a telemetry event of another client."""
        self._collector.meter(event)

    def describe(self) -> Iterable[PrometheusMetric]:
        """The metrics without values, so that registering does not query the database."""
        return [_metric(Family(metric, ())) for metric in METRICS]

    def collect(self) -> Iterator[PrometheusMetric]:
        """Every metric with its values."""
        for family in self._collector.collect():
            yield _metric(family)


def _metric(family: Family) -> PrometheusMetric:
    metric = family.metric
    if metric.kind is MetricType.HISTOGRAM:
        return _histogram(family)
    kind = CounterMetricFamily if metric.kind is MetricType.COUNTER else GaugeMetricFamily
    made = kind(metric.name, metric.help, labels=metric.labels)
    for sample in family.samples:
        if not isinstance(sample.value, Distribution):
            made.add_metric(sample.labels, sample.value)
    return made


def _histogram(family: Family) -> PrometheusMetric:
    made = HistogramMetricFamily(family.metric.name, family.metric.help, labels=family.metric.labels)
    for sample in family.samples:
        if isinstance(sample.value, Distribution):
            made.add_metric(sample.labels, _buckets(family.metric, sample.value), sample.value.sum)
    return made


def _buckets(metric: Metric, value: Distribution) -> list[tuple[str, float]]:
    within = zip(metric.bounds, value.within, strict=True)
    return [*((str(bound), float(count)) for bound, count in within), (_INFINITE, float(value.total))]
