"""What joining a client to an app does to both, without a worker: tasks, schedule, headers, tasks that run at once."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, signals  # type: ignore[import-untyped]
from celery.beat import Service  # type: ignore[import-untyped]

from hogbox import PostHog
from hogbox.context import Context, get_context, new_context
from hogbox.emulator import Emulator
from hogbox.errors import ConfigurationError, MissingDistinctId
from hogbox.integrations.celery import HogboxCelery
from tests.fixtures.database import TestDatabase

TOKEN = "phc_celery"
DISTINCT_ID, SESSION_ID, TAGS = "X-POSTHOG-DISTINCT-ID", "X-POSTHOG-SESSION-ID", "X-POSTHOG-CONTEXT-TAGS"

Join = Callable[..., HogboxCelery]


@pytest.fixture
def app() -> Iterator[Any]:
    """An app whose broker is in this process."""
    with Celery("shop", broker="memory://", set_as_current=False) as app:
        yield app


@pytest.fixture
def posthog(sqlite_database: TestDatabase) -> Iterator[PostHog]:
    """A client of the test's database."""
    with PostHog(sqlite_database.url, project_token=TOKEN, host="http://127.0.0.1:9") as posthog:
        yield posthog


@pytest.fixture
def join(app: Any, posthog: PostHog) -> Iterator[Join]:
    """Joins both; they are parted afterwards."""
    joined: list[HogboxCelery] = []

    def do(**options: Any) -> HogboxCelery:
        joined.append(HogboxCelery(app, posthog, **options))
        return joined[-1]

    yield do
    for one in joined:
        one.disconnect()


def published(app: Any, **options: Any) -> dict[str, Any]:
    """The headers of a message, as a worker gets it."""
    app.send_task("any", **options)
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        message = queue.get(block=False)
        message.ack()
        return dict(message.headers)


def traced(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name.lower().startswith("x-posthog")}


def find_context(app: Any) -> Any:
    """A task that returns the context that it runs in."""

    @app.task(shared=False)
    def find_context() -> Context | None:
        return get_context()

    return find_context


# Tasks and schedule


def test_the_app_gets_two_tasks_and_the_beat_sends_them(app: Any, join: Join) -> None:
    join()
    assert not app.configured
    assert {"hogbox.deliver", "hogbox.refresh"} <= set(app.tasks)
    entries = {name: (entry["task"], entry["schedule"]) for name, entry in app.conf.beat_schedule.items()}
    assert entries == {name: (name, 10.0) for name in ("hogbox.deliver", "hogbox.refresh")}
    assert {"hogbox.deliver", "hogbox.refresh"}.isdisjoint(Celery("other", set_as_current=False).tasks)


def test_the_beat_looks_for_a_refresh_several_times_an_interval(
    app: Any, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS", "3")
    join(deliver_every=2, queue="analytics")
    schedule = app.conf.beat_schedule
    assert [schedule[name]["schedule"] for name in ("hogbox.deliver", "hogbox.refresh")] == [2.0, 0.5]
    assert {entry["options"]["queue"] for entry in schedule.values()} == {"analytics"}


@pytest.mark.parametrize("configured", [False, True])
def test_the_entries_stand_beside_those_of_a_configuration_that_is_read_later(
    app: Any, join: Join, configured: bool
) -> None:
    if configured:
        assert app.conf.beat_schedule == {}
    join()
    app.config_from_object({"beat_schedule": {"own": {"task": "own", "schedule": 60}}})
    assert sorted(app.conf.beat_schedule) == ["hogbox.deliver", "hogbox.refresh", "own"]


def test_without_a_beat_the_schedule_is_left_alone(app: Any, join: Join) -> None:
    join(beat=False)
    assert app.conf.beat_schedule == {}


@pytest.mark.parametrize(("own_beat", "warned"), [(True, True), (False, False)])
def test_a_beat_says_where_its_schedule_was_replaced(
    app: Any, join: Join, caplog: pytest.LogCaptureFixture, own_beat: bool, warned: bool
) -> None:
    join(beat=own_beat)
    assert app.conf.broker_url
    app.conf.beat_schedule = {"hogbox.refresh": {"task": "hogbox.refresh", "schedule": 60}}
    signals.beat_init.send(sender=Service(app))
    assert ("lacks hogbox.deliver: add to" in caplog.text) is warned


def test_the_tasks_deliver_and_refresh(app: Any, sqlite_database: TestDatabase, emulator: Emulator) -> None:
    posthog = PostHog(sqlite_database.url, project_token=TOKEN, host=emulator.url)
    joined = HogboxCelery(app, posthog)
    try:
        posthog.capture(None, "order placed", distinct_id="ada")
        assert joined.deliver.apply().get() == {"delivered": 1, "dead": 0, "waiting": 0}
        posthog.capture(None, "order placed", distinct_id="ada")
        assert joined.deliver.apply(kwargs={"timeout": 0}).get()["waiting"] == 1
        assert joined.refresh.apply().get() == "skipped/missing-keys"
    finally:
        joined.disconnect()
        posthog.shutdown()
    assert len(emulator.events()) == 1


# Headers


def test_a_message_tells_of_the_context(app: Any, join: Join) -> None:
    join()
    with new_context(distinct_id="ada", session_id="s-1", tags={"plan": "größer"}):
        told = traced(published(app))
    assert told == {DISTINCT_ID: "ada", SESSION_ID: "s-1", TAGS: '{"plan": "gr\\u00f6\\u00dfer"}'}


def test_without_anything_to_tell_there_are_no_headers(app: Any, join: Join) -> None:
    join()
    assert traced(published(app)) == {}
    with new_context():
        assert traced(published(app)) == {}


def test_headers_that_the_sender_gives_win(app: Any, join: Join) -> None:
    join()
    with new_context(distinct_id="ada", session_id="s-1"):
        told = traced(published(app, headers={DISTINCT_ID.lower(): "bob"}))
    assert told == {DISTINCT_ID.lower(): "bob", SESSION_ID: "s-1"}


def test_headers_inside_of_the_headers_are_told_too_and_left_to_their_owner(app: Any, join: Join) -> None:
    join()
    constant = {"trace": "t-1"}
    with new_context(distinct_id="ada"):
        headers = published(app, headers={"headers": constant})
    assert headers["headers"] == {"trace": "t-1", DISTINCT_ID: "ada"}
    assert headers[DISTINCT_ID] == "ada"
    assert constant == {"trace": "t-1"}


def test_p8_a_tag_that_json_cannot_say_breaks_nothing(app: Any, join: Join, caplog: pytest.LogCaptureFixture) -> None:
    join()
    with new_context(distinct_id="ada", tags={"good": 1, "bad": float("nan"), "worse": object()}):
        told = traced(published(app))
    assert told[TAGS] == '{"good": 1, "bad": null, "worse": null}'
    assert "property 'bad': nan has no JSON form" in caplog.text


@pytest.mark.parametrize("text", ["{", "[1]", "null", 7, b"{}", '{"a":' + "[" * 50_000])
def test_a_header_of_tags_that_is_no_json_object_is_dropped(
    app: Any, join: Join, caplog: pytest.LogCaptureFixture, text: object
) -> None:
    join()
    context = find_context(app).apply(headers={DISTINCT_ID: "ada", TAGS: text}).get()
    assert (context.distinct_id, context.tags) == ("ada", {})
    assert "it is not a JSON object" in caplog.text


def test_a_distinct_id_that_posthog_would_garble_counts_as_none(app: Any, join: Join) -> None:
    join()
    context = find_context(app).apply(headers={DISTINCT_ID: "null", SESSION_ID: " s-1\x00 "}).get()
    assert (context.distinct_id, context.session_id) == (None, "s-1")


def test_messages_of_posthogs_own_client_are_understood(app: Any, join: Join) -> None:
    from posthog import contexts
    from posthog.integrations.celery import PosthogCeleryIntegration

    official = PosthogCeleryIntegration(capture_exceptions=False, capture_task_lifecycle_events=False)
    official.instrument()
    try:
        with contexts.new_context(fresh=True, capture_exceptions=False):
            contexts.identify_context("ada")
            contexts.set_context_session("s-1")
            contexts.tag("plan", "pro")
            headers = published(app)
    finally:
        official.uninstrument()
    join()
    context = find_context(app).apply(headers=headers).get()
    assert (context.distinct_id, context.session_id, context.tags) == ("ada", "s-1", {"plan": "pro"})


# Tasks that run where they are called


def test_a_task_that_runs_at_once_has_a_context_like_one_that_was_sent(app: Any, join: Join) -> None:
    join()
    app.conf.task_always_eager = True
    with new_context(distinct_id="ada", tags={"plan": "pro"}, properties={"$current_url": "/orders"}) as outer:
        inner = find_context(app).delay().get()
        assert get_context() is outer
    assert inner is not outer
    assert (inner.distinct_id, inner.tags) == ("ada", {"plan": "pro"})
    assert sorted(inner.properties) == ["celery_retry_count", "celery_task_id", "celery_task_name"]


def test_tasks_of_other_apps_are_left_alone(join: Join) -> None:
    join()
    other = Celery("other", broker="memory://", set_as_current=False)
    with new_context(distinct_id="ada") as outer:
        assert find_context(other).apply().get() is outer


def test_a_task_of_nobody_is_an_error_where_that_is_asked_for(app: Any, posthog: PostHog, join: Join) -> None:
    join(personless=False)
    with pytest.raises(MissingDistinctId):
        sweep(app, posthog).apply(throw=True)


def test_p8_a_task_of_nobody_captures_without_a_person(
    app: Any, posthog: PostHog, sqlite_database: TestDatabase, join: Join
) -> None:
    join()
    sweep(app, posthog).apply(throw=True)
    (event,) = sqlite_database.events()
    assert event["properties"]["$process_person_profile"] is False


def sweep(app: Any, posthog: PostHog) -> Any:
    """A task that captures without a distinct id."""

    @app.task(shared=False)
    def sweep() -> None:
        posthog.capture(None, "swept")

    return sweep


def test_p8_what_cannot_be_captured_leaves_the_tasks_own_error(
    app: Any, sqlite_database: TestDatabase, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    join()
    sqlite_database.execute("DROP TABLE posthog_outbox")

    @app.task(shared=False)
    def fail() -> None:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        fail.apply().get()
    assert "could not be captured" in caplog.text


def test_exceptions_may_be_left_to_others(app: Any, sqlite_database: TestDatabase, join: Join) -> None:
    join(capture_exceptions=False)

    @app.task(shared=False)
    def fail() -> None:
        raise ValueError

    assert fail.apply().failed()
    assert sqlite_database.events() == []


def test_after_disconnect_nothing_is_seen_to(app: Any, join: Join) -> None:
    join().disconnect()
    with new_context(distinct_id="ada") as outer:
        assert traced(published(app)) == {}
        assert find_context(app).apply().get() is outer


# Mistakes


@pytest.mark.parametrize(
    ("options", "said"),
    [({"deliver_every": 0}, "deliver_every must be"), ({"refresh_every": float("nan")}, "refresh_every must be")],
)
def test_seconds_are_positive(join: Join, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        join(**options)


def test_an_app_and_a_client_are_what_they_should_be(app: Any, posthog: PostHog) -> None:
    with pytest.raises(ConfigurationError, match="app must be a Celery app, not PostHog"):
        HogboxCelery(posthog, app)
    with pytest.raises(ConfigurationError, match="not str"):
        HogboxCelery(app, "posthog")  # type: ignore[arg-type]


def test_without_celery_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['celery'] = None; import hogbox.integrations.celery"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingDependency: hogbox.integrations.celery needs Celery: pip install 'hogbox[celery]'" in done.stderr


def test_importing_hogbox_imports_no_celery() -> None:
    code = "import sys, hogbox; sys.exit('celery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
