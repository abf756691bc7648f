"""What is measured: counted in this process, read from each of the databases."""

from __future__ import annotations

import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine

from hogbox import PostHog
from hogbox._operations.metrics.collector import Collector
from hogbox._operations.metrics.family import METRICS, MetricType
from hogbox._operations.metrics.gauge import Gauges, families_of
from hogbox._operations.metrics.meter import Meter
from hogbox._operations.metrics.text import render
from hogbox._store.connections.database import Database
from hogbox._store.inspection.backlog import ProjectBacklog
from hogbox._store.inspection.measure import Measures, MeasureStore
from hogbox.emulator import Emulator
from hogbox.settings import DeliverySettings
from hogbox.telemetry import (
    EventsSettled,
    FlagsAsked,
    FlagsEvaluated,
    LeasesChanged,
    Refreshed,
    RequestDone,
    Telemetry,
    TelemetryEvent,
)
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]

QUICK = DeliverySettings(request_timeout_seconds=2.0, lease_seconds=6.0, poll_seconds=0.05, retry_base_seconds=0.1)


def values(collector: Collector) -> Values:
    """What Prometheus makes of the page: every sample by its name and labels."""
    page = render(collector.collect())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def collector_of(database: TestDatabase, telemetry: Telemetry | None = None, max_age: float = 0.0) -> Collector:
    return Collector(Database(database.engine, "posthog_"), telemetry or Telemetry(), max_age)


def test_the_database_is_measured(database: TestDatabase) -> None:
    for token, events in (("phc_first_project", 3), ("phc_other_project", 2)):
        posthog = PostHog(project_token=token)
        with database.engine.begin() as connection:
            for number in range(events):
                posthog.capture(connection, "paid", distinct_id=f"u{number}")
            posthog.capture(connection, "$" * 300, distinct_id="u1", properties={"big": "x" * 950_000})
    database.execute("UPDATE posthog_outbox SET created_at = created_at - 60000 WHERE project = 'phc_other_project'")
    database.execute("UPDATE posthog_shards SET owner = 'w', lease_expires_at = 99999999999999 WHERE shard < 10")
    database.execute("UPDATE posthog_shards SET attempt = 3 WHERE shard = 1")
    database.execute(
        "INSERT INTO posthog_workers (id, host, pid, version, started_at, seen_at) VALUES ('w', 'h', 1, '1', 0, 0)"
    )
    database.execute(
        "INSERT INTO posthog_holds (project, held_at, until, attempt, status, reason) "
        "VALUES ('phc_first_project', 0, 0, 1, 503, 'HTTP 503')"
    )
    store(database, "phc_first_project", '{"flags": []}')
    found = values(collector_of(database))
    first, other = (("project", "phc_firs…"),), (("project", "phc_othe…"),)
    assert found["hogbox_database_up", ()] == 1
    assert (found["hogbox_backlog_events", first], found["hogbox_backlog_events", other]) == (3, 2)
    assert found["hogbox_backlog_span_events", ()] == 5
    assert 60 <= found["hogbox_oldest_event_age_seconds", other] < 120
    assert 0 <= found["hogbox_oldest_event_age_seconds", first] < 60
    assert found["hogbox_dead_letters", first] == found["hogbox_dead_letters", other] == 1
    assert (found["hogbox_leases_held", ()], found["hogbox_leases_free", ()]) == (10, 54)
    assert (found["hogbox_shards_retrying", ()], found["hogbox_workers", ()]) == (1, 1)
    assert found["hogbox_projects_put_off", ()] == 1
    assert found["hogbox_definitions_age_seconds", first] > 1000


def test_a_database_with_nothing_in_it_is_measured(database: TestDatabase) -> None:
    found = values(collector_of(database))
    assert (found["hogbox_backlog_span_events", ()], found["hogbox_leases_free", ()]) == (0, 64)
    assert not [name for name, _ in found if name in ("hogbox_backlog_events", "hogbox_dead_letters")]


def test_a_project_whose_backlog_is_gone_is_told_with_0(sqlite_database: TestDatabase) -> None:
    collector = collector_of(sqlite_database)
    with sqlite_database.engine.begin() as connection:
        PostHog(project_token="phc_test").capture(connection, "paid", distinct_id="u1")
    labels = (("project", "phc_test"),)
    assert values(collector)["hogbox_backlog_events", labels] == 1
    sqlite_database.execute("DELETE FROM posthog_outbox")
    found = values(collector)
    assert (found["hogbox_backlog_events", labels], found["hogbox_oldest_event_age_seconds", labels]) == (0, 0)


def test_a_large_backlog_is_counted_up_to_a_limit_and_spanned_beyond_it(database: TestDatabase) -> None:
    rows = [
        {"shard": n % 64, "project": "phc_test", "lane": "main", "payload": "{}", "created_at": n}
        for n in range(21_000)
    ]
    tables = Database(database.engine, "posthog_").tables
    with database.engine.begin() as connection:
        connection.execute(tables.outbox.insert(), rows)
    found = values(collector_of(database))
    assert found["hogbox_backlog_events", (("project", "phc_test"),)] == 20_000
    assert found["hogbox_backlog_span_events", ()] == 21_000


def test_a_database_that_fails_is_a_metric_and_one_line_of_the_log(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = Telemetry()
    engine = create_engine(f"sqlite:///{tmp_path}/not/there.db")
    collector = Collector(Database(engine, "posthog_"), telemetry, 0.0)
    telemetry.emit(EventsSettled("phc_test", "delivered", 7, 200))
    found = [values(collector) for _ in range(3)][-1]
    assert found["hogbox_database_up", ()] == 0
    assert found["hogbox_events_total", (("outcome", "delivered"), ("project", "phc_test"))] == 7
    assert len(caplog.records) == 1
    engine.dispose()


def test_the_database_is_asked_at_most_once_in_so_many_seconds(sqlite_database: TestDatabase) -> None:
    now = [100.0]
    gauges = Gauges(MeasureStore(Database(sqlite_database.engine, "posthog_")), 10.0, lambda: now[0])
    first = gauges.collect()
    now[0] = 109.9
    assert gauges.collect() is first
    now[0] = 110.0
    assert gauges.collect() is not first


def test_a_delivery_is_counted(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    with PostHog(sqlite_database.engine, project_token="phc_test", host=emulator.url, delivery=QUICK) as posthog:
        collector = collector_of(sqlite_database, posthog.telemetry)
        uuids = [posthog.capture(None, "paid", distinct_id="u1") for _ in range(3)]
        emulator.fault(status=503, times=1)
        emulator.fault(status=400, uuid=uuids[2])
        began = time.monotonic()
        posthog.deliver()
        took = time.monotonic() - began
    found = values(collector)
    project = ("project", "phc_test")
    assert found["hogbox_events_total", (("outcome", "delivered"), project)] == 2
    assert found["hogbox_events_total", (("outcome", "dead"), project)] == 1
    by_status = {
        status: found["hogbox_request_duration_seconds_count", (project, ("status", status))]
        for status in ("200", "400", "503")
    }
    assert by_status["503"] == 1
    assert sum(by_status.values()) == len(emulator.requests()) == found["hogbox_batch_events_count", ()]
    spent = sum(value for (name, _), value in found.items() if name == "hogbox_request_duration_seconds_sum")
    assert 0 < spent < took
    assert found["hogbox_batch_size_bytes_sum", ()] > 0


def test_the_meter_counts_every_event_of_telemetry_and_buckets_add_up() -> None:
    meter = Meter()
    told: list[TelemetryEvent] = [
        RequestDone("phc_test", None, "retry", "ConnectError", 0.02, 500, 20_000),
        EventsSettled("phc_test", "delivered", 500, 200),
        LeasesChanged("one", 32),
        LeasesChanged("two", 32),
        Refreshed("phc_test", "updated", None, 0.1),
        FlagsEvaluated("phc_test", "local", 12),
        FlagsAsked("phc_test", "answered", 120.0),
    ]
    for event in told:
        meter(event)
        meter(event)
    page = render(meter.collect())
    assert 'hogbox_request_duration_seconds_bucket{project="phc_test",status="none",le="0.01"} 0\n' in page
    assert 'hogbox_request_duration_seconds_bucket{project="phc_test",status="none",le="0.025"} 2\n' in page
    assert 'hogbox_request_duration_seconds_bucket{project="phc_test",status="none",le="+Inf"} 2\n' in page
    assert 'hogbox_request_duration_seconds_sum{project="phc_test",status="none"} 0.04\n' in page
    assert 'hogbox_batch_events_bucket{le="250"} 0\nhogbox_batch_events_bucket{le="500"} 2\n' in page
    assert "hogbox_worker_leases 64\n" in page
    assert 'hogbox_refreshes_total{project="phc_test",status="updated"} 2\n' in page
    assert 'hogbox_flag_evaluations_total{project="phc_test",outcome="local"} 24\n' in page
    assert 'hogbox_flag_request_duration_seconds_bucket{project="phc_test",outcome="answered",le="60"} 0\n' in page


def test_labels_do_not_grow_without_end() -> None:
    meter = Meter()
    for number in range(3000):
        meter(FlagsEvaluated(f"phc_{number}", "local", 1))
        meter(FlagsAsked(f"phc_{number}", "answered", 0.1))
    page = render(meter.collect())
    assert page.count("hogbox_flag_evaluations_total{") == 1001
    assert 'hogbox_flag_evaluations_total{project="other",outcome="other"} 2000\n' in page
    assert page.count("hogbox_flag_request_duration_seconds_count{") == 1001


def test_projects_that_look_the_same_when_shortened_are_one() -> None:
    backlog = [ProjectBacklog("phc_same_1", 3, 5.0), ProjectBacklog("phc_same_2", 4, 9.0)]
    nothing = Measures(backlog, 7, {}, 64, 0, 0, 0, 0, {})
    page = render(families_of(nothing, ()))
    assert 'hogbox_backlog_events{project="phc_same…"} 7\n' in page
    assert 'hogbox_oldest_event_age_seconds{project="phc_same…"} 9\n' in page


def test_a_label_is_escaped() -> None:
    meter = Meter()
    meter(FlagsEvaluated('a"b\\c\nd', "local", 1))
    (family,) = [
        one for one in text_string_to_metric_families(render(meter.collect())) if one.name == "hogbox_flag_evaluations"
    ]
    assert family.samples[0].labels["project"] == 'a"b\\c\nd'


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions_of_prometheus(metric: Any) -> None:
    assert metric.name.startswith("hogbox_")
    assert metric.name.endswith("_total") == (metric.kind is MetricType.COUNTER)
    assert metric.help.endswith(".")
    assert (metric.kind is MetricType.HISTOGRAM) == bool(metric.bounds)
    assert list(metric.bounds) == sorted(metric.bounds)
