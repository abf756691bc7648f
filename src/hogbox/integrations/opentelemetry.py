"""OpenTelemetry: spans for requests to PostHog, and hogbox's metrics as instruments.

    instrument(posthog)

A span is created when its work has ended, below the current span: a remote flag evaluation within a request is part of
the request's trace; deliveries and refreshes of a worker are traces of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from hogbox._operations.metrics.collector import MAX_AGE, Collector
from hogbox._operations.metrics.count import counts_of
from hogbox._operations.metrics.family import METRICS, Distribution, Metric, MetricType
from hogbox._wire.library import VERSION
from hogbox.aio import AsyncPostHog
from hogbox.client import PostHog
from hogbox.errors import MissingDependency
from hogbox.telemetry import ANSWERED, DELIVERED, FlagsAsked, Refreshed, RequestDone, Telemetry, TelemetryEvent

try:
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, MeterProvider, Observation, get_meter
    from opentelemetry.metrics import Meter as OpenTelemetryMeter
    from opentelemetry.trace import SpanKind, StatusCode, Tracer, TracerProvider, get_tracer
except ModuleNotFoundError as missing:
    raise MissingDependency(
        "hogbox.integrations.opentelemetry needs OpenTelemetry's API: pip install 'hogbox[opentelemetry]'"
    ) from missing

__all__ = ["Instrumentation", "instrument"]

_Attributes = Mapping[str, str | int | float | bool]

_UNITS: Final = {"_seconds": "s", "_bytes": "By"}
_ERROR: Final = "error"


def instrument(
    posthog: PostHog | AsyncPostHog,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    max_age: float = MAX_AGE,
) -> Instrumentation:
    """Create spans and metrics for this client, its worker and its refreshes from now on. Call it once per client.

    Arguments:
        posthog: The client, synchronous or asynchronous.
        tracer_provider: Default: OpenTelemetry's global one.
        meter_provider: Default: OpenTelemetry's global one.
        max_age: How long values that were read from the database are cached, in seconds.

    Returns an Instrumentation; its `uninstrument` undoes this call.
    """
    tracer = get_tracer("hogbox", VERSION, tracer_provider)
    meter = get_meter("hogbox", VERSION, meter_provider)
    return Instrumentation(
        posthog.telemetry, Collector(posthog._components.database, posthog.telemetry, max_age), tracer, meter
    )


class Instrumentation:
    """A telemetry handler that creates spans and metrics. Returned by `instrument`."""

    def __init__(self, telemetry: Telemetry, collector: Collector, tracer: Tracer, meter: OpenTelemetryMeter) -> None:
        self._telemetry = telemetry
        self._collector = collector
        self._tracer = tracer
        self._instruments: dict[Metric, Counter | Histogram] = {}
        self._ended = False
        for metric in METRICS:
            self._make(metric, meter)
        telemetry.attach(self)

    def __call__(self, event: TelemetryEvent) -> None:
        """Count a telemetry event, and create a span if it was a request."""
        for metric, labels, amount in counts_of(event):
            attributes = dict(zip(metric.labels, labels, strict=True))
            found = self._instruments[metric]
            if isinstance(found, Counter):
                found.add(amount, attributes)
            else:
                found.record(amount, attributes)
        match event:
            case RequestDone():
                self._span(
                    "hogbox deliver", event.seconds, _of_request(event), _unless(DELIVERED, event.verdict, event.reason)
                )
            case Refreshed():
                failed = event.reason or _ERROR if event.status == _ERROR else None
                self._span("hogbox refresh", event.seconds, _of_refresh(event), failed)
            case FlagsAsked():
                attributes = {"hogbox.project": event.project, "hogbox.outcome": event.outcome}
                failed = _unless(ANSWERED, event.outcome, event.outcome)
                self._span("hogbox evaluate flags", event.seconds, attributes, failed)

    def uninstrument(self) -> None:
        """Stop creating spans and reporting values. May be called twice."""
        self._ended = True
        self._telemetry.detach(self)
        self._telemetry.detach(self._collector.meter)

    def _span(self, name: str, seconds: float, attributes: _Attributes, failed: str | None) -> None:
        ended = time.time_ns()
        began = ended - int(seconds * 1e9)
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes, start_time=began)
        if failed is not None:
            span.set_status(StatusCode.ERROR, failed)
        span.end(ended)

    def _make(self, metric: Metric, meter: OpenTelemetryMeter) -> None:
        name, unit = _name_of(metric)
        match metric.kind:
            case MetricType.COUNTER:
                self._instruments[metric] = meter.create_counter(name, unit, metric.help)
            case MetricType.HISTOGRAM:
                self._instruments[metric] = meter.create_histogram(
                    name, unit, metric.help, explicit_bucket_boundaries_advisory=metric.bounds
                )
            case MetricType.GAUGE:
                meter.create_observable_gauge(name, [self._observer(metric)], unit, metric.help)

    def _observer(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """The callback with which OpenTelemetry reads a gauge."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            if self._ended:
                return []
            samples = [one for family in self._collector.collect() if family.metric is metric for one in family.samples]
            return [
                Observation(sample.value, dict(zip(metric.labels, sample.labels, strict=True)))
                for sample in samples
                if not isinstance(sample.value, Distribution)
            ]

        return observe


def _name_of(metric: Metric) -> tuple[str, str]:
    """The metric's name with dots, and its unit: an export to Prometheus restores hogbox's name from them."""
    name = metric.name.removesuffix("_total")
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            return name.removesuffix(ending).replace("_", "."), unit
    return name.replace("_", "."), ""


def _of_request(done: RequestDone) -> _Attributes:
    attributes: dict[str, str | int] = {
        "hogbox.project": done.project,
        "hogbox.verdict": done.verdict,
        "hogbox.events": done.events,
        "http.request.body.size": done.bytes,
    }
    return attributes if done.status is None else {**attributes, "http.response.status_code": done.status}


def _of_refresh(refreshed: Refreshed) -> _Attributes:
    attributes = {"hogbox.project": refreshed.project, "hogbox.status": refreshed.status}
    return attributes if refreshed.reason is None else {**attributes, "hogbox.reason": refreshed.reason}


def _unless(good: str, outcome: str, why: str) -> str | None:
    return None if outcome == good else why
