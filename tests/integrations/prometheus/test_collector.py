"""hogbox's metrics in an application's own registry."""

from __future__ import annotations

import subprocess
import sys

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from hogbox import AsyncPostHog, PostHog
from hogbox._operations.metrics.family import METRICS
from hogbox._operations.metrics.text import render
from hogbox.emulator import Emulator
from hogbox.integrations.prometheus import HogboxCollector
from tests.fixtures.database import TestDatabase


def samples(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels, the bounds of buckets as one spells them."""
    return {
        (sample.name, tuple((name, _spelt(name, value)) for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def _spelt(name: str, value: str) -> str:
    return str(float(value)) if name == "le" else value


def test_an_applications_registry_has_its_own_metrics_and_hogboxs(database: TestDatabase, emulator: Emulator) -> None:
    registry = CollectorRegistry(auto_describe=True)
    Counter("shop_orders", "Orders.", registry=registry).inc()
    with PostHog(database.engine, project_token="phc_test", host=emulator.url) as posthog:
        registry.register(HogboxCollector(posthog, max_age=0))
        posthog.capture(None, "paid", distinct_id="u1")
        waiting = samples(generate_latest(registry).decode())
        posthog.deliver()
        done = samples(generate_latest(registry).decode())
    project = ("project", "phc_test")
    assert waiting["shop_orders_total", ()] == 1
    assert (waiting["hogbox_backlog_events", (project,)], done["hogbox_backlog_events", (project,)]) == (1, 0)
    assert done["hogbox_events_total", (("outcome", "delivered"), project)] == 1
    assert done["hogbox_request_duration_seconds_bucket", (("le", "inf"), project, ("status", "200"))] == 1


def test_a_registry_says_the_same_as_a_workers_own_page(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    registry = CollectorRegistry()
    with PostHog(sqlite_database.engine, project_token="phc_test", host=emulator.url) as posthog:
        collector = HogboxCollector(posthog)
        registry.register(collector)
        posthog.capture(None, "paid", distinct_id="u1")
        posthog.deliver()
        theirs = samples(generate_latest(registry).decode())
        ours = samples(render(collector._collector.collect()))
    assert theirs == ours


def test_to_be_registered_asks_no_database(sqlite_database: TestDatabase) -> None:
    asked: list[str] = []
    event.listen(sqlite_database.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    with PostHog(sqlite_database.engine, project_token="phc_test") as posthog:
        collector = HogboxCollector(posthog)
        CollectorRegistry(auto_describe=True).register(collector)
    assert asked == []
    assert {metric.name for metric in collector.describe()} == {one.name.removesuffix("_total") for one in METRICS}


def test_clients_of_one_database_are_counted_together(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    registry = CollectorRegistry()
    clients = [
        PostHog(sqlite_database.engine, project_token=f"phc_{name}", host=emulator.url) for name in ("one", "two")
    ]
    collector = HogboxCollector(clients[0])
    registry.register(collector)
    clients[1].telemetry.attach(collector)
    for client in clients:
        client.capture(None, "paid", distinct_id="u1")
        client.deliver()
        client.shutdown()
    found = samples(generate_latest(registry).decode())
    for name in ("one", "two"):
        assert found["hogbox_events_total", (("outcome", "delivered"), ("project", f"phc_{name}"))] == 1


def test_the_asynchronous_client_is_measured_too(sqlite_database: TestDatabase) -> None:
    registry = CollectorRegistry()
    registry.register(HogboxCollector(AsyncPostHog(sqlite_database.url, project_token="phc_test")))
    assert samples(generate_latest(registry).decode())["hogbox_database_up", ()] == 1


def test_without_the_prometheus_client_the_extra_is_named() -> None:
    code = "import sys; sys.modules['prometheus_client'] = None\nimport hogbox.integrations.prometheus"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        "MissingDependency: hogbox.integrations.prometheus needs the Prometheus client: pip install 'hogbox[metrics]'"
        in done.stderr
    )
