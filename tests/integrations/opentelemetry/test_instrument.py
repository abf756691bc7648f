"""Spans and metrics, as OpenTelemetry's own exporters get them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from hogbox import PostHog
from hogbox._operations.metrics.family import METRICS
from hogbox.emulator import Emulator
from hogbox.errors import RemoteEvaluationError
from hogbox.integrations.opentelemetry import Instrumentation, instrument
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase

QUICK = DeliverySettings(request_timeout_seconds=2.0, lease_seconds=6.0, poll_seconds=0.05, retry_base_seconds=0.1)


class Observed(NamedTuple):
    """What OpenTelemetry's exporters got."""

    traces: TracerProvider
    metrics: MeterProvider
    reader: InMemoryMetricReader
    exporter: InMemorySpanExporter

    def instrument(self, posthog: PostHog) -> Instrumentation:
        return instrument(posthog, tracer_provider=self.traces, meter_provider=self.metrics, max_age=0)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def points(self) -> dict[str, list[Any]]:
        """The data points of every metric."""
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


@pytest.fixture
def observed() -> Iterator[Observed]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces, metrics = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    yield Observed(traces, metrics, reader, exporter)
    traces.shutdown()
    metrics.shutdown()


@pytest.fixture
def posthog(sqlite_database: TestDatabase, emulator: Emulator) -> Iterator[PostHog]:
    with PostHog(sqlite_database.engine, project_token="phc_test", host=emulator.url, delivery=QUICK) as posthog:
        yield posthog


def test_each_request_with_events_is_a_span(posthog: PostHog, emulator: Emulator, observed: Observed) -> None:
    observed.instrument(posthog)
    posthog.capture(None, "paid", distinct_id="u1")
    emulator.fault(status=503, times=1)
    posthog.deliver()
    failed, delivered = observed.spans("hogbox deliver")
    assert dict(failed.attributes or {}) == {
        "hogbox.project": "phc_test",
        "hogbox.verdict": "retry",
        "hogbox.events": 1,
        "http.request.body.size": (failed.attributes or {})["http.request.body.size"],
        "http.response.status_code": 503,
    }
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.status.description or "").startswith("HTTP 503")
    assert delivered.status.status_code is StatusCode.UNSET
    assert delivered.start_time
    assert delivered.end_time
    assert 0 < delivered.end_time - delivered.start_time < 5e9
    assert delivered.parent is None


def test_a_question_to_posthog_is_part_of_the_trace_that_asks(
    posthog: PostHog, emulator: Emulator, observed: Observed
) -> None:
    observed.instrument(posthog)
    with observed.traces.get_tracer("shop").start_as_current_span("GET /checkout") as request:
        posthog.evaluate_flag(None, "new", distinct_id="u1")
        emulator.configure(known_tokens=["phc_another"])
        with pytest.raises(RemoteEvaluationError):
            posthog.evaluate_flag(None, "new", distinct_id="u1")
    answered, refused = observed.spans("hogbox evaluate flags")
    assert answered.parent
    assert answered.parent.span_id == request.get_span_context().span_id
    assert answered.status.status_code is StatusCode.UNSET
    assert refused.status.status_code is StatusCode.ERROR


def test_a_refresh_is_a_span(sqlite_database: TestDatabase, observed: Observed) -> None:
    with PostHog(
        sqlite_database.engine, project_token="phc_test", personal_api_key="phs_secret", host="http://127.0.0.1:9"
    ) as posthog:
        observed.instrument(posthog)
        result = posthog.refresh_flag_definitions()
    (span,) = observed.spans("hogbox refresh")
    assert dict(span.attributes or {})["hogbox.status"] == result.status == "error"
    assert span.status.status_code is StatusCode.ERROR
    assert "phs_secret" not in span.to_json()


def test_metrics_are_those_of_prometheus_with_dots(posthog: PostHog, observed: Observed) -> None:
    observed.instrument(posthog)
    for number in range(3):
        posthog.capture(None, "paid", distinct_id=f"u{number}")
    before = observed.points()
    assert [point.value for point in before["hogbox.backlog.events"]] == [3]
    posthog.deliver()
    points = observed.points()
    (events,) = points["hogbox.events"]
    assert (events.value, dict(events.attributes)) == (3, {"project": "phc_test", "outcome": "delivered"})
    (duration,) = points["hogbox.request.duration"]
    assert (duration.count, dict(duration.attributes)) == (1, {"project": "phc_test", "status": "200"})
    assert duration.explicit_bounds[0] == 0.01
    assert [point.value for point in points["hogbox.backlog.events"]] == [0]
    assert [point.value for point in points["hogbox.database.up"]] == [1]
    assert {name.replace(".", "_") for name in points} <= {_bare(metric.name) for metric in METRICS}


def _bare(name: str) -> str:
    return name.removesuffix("_total").removesuffix("_seconds").removesuffix("_bytes")


def test_what_it_returns_undoes_it(posthog: PostHog, observed: Observed) -> None:
    instrumentation = observed.instrument(posthog)
    instrumentation.uninstrument()
    instrumentation.uninstrument()
    posthog.capture(None, "paid", distinct_id="u1")
    posthog.deliver()
    assert observed.exporter.get_finished_spans() == ()
    assert observed.points() == {}
    assert posthog.telemetry.handlers == []


def test_without_an_sdk_it_costs_nothing_and_harms_nothing(posthog: PostHog, emulator: Emulator) -> None:
    """The API alone does nothing, as in an application that has not set up OpenTelemetry."""
    instrument(posthog)
    posthog.capture(None, "paid", distinct_id="u1")
    assert posthog.deliver() == (1, 0, 0)


def test_without_the_api_the_extra_is_named() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None\nimport hogbox.integrations.opentelemetry"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        "MissingDependency: hogbox.integrations.opentelemetry needs OpenTelemetry's API: "
        "pip install 'hogbox[opentelemetry]'" in done.stderr
    )
