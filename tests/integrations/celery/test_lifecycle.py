"""Life-cycle events of tasks: what they tell, in whose context, and which are left out."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import celery  # type: ignore[import-untyped]
import pytest
from celery import Celery, chord, group, signals
from celery.contrib.testing.worker import start_worker  # type: ignore[import-untyped]
from celery.exceptions import Ignore  # type: ignore[import-untyped]

from hogbox import PostHog
from hogbox.context import new_context, tag
from hogbox.errors import ConfigurationError
from hogbox.integrations.celery import HogboxCelery
from tests.fixtures.database import TestDatabase

Join = Callable[..., HogboxCelery]


@pytest.fixture
def app() -> Iterator[Any]:
    """An app whose broker and results are in this process."""
    with Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False) as app:
        app.conf.task_default_queue = "lifecycle"  # such brokers are one for the whole process
        yield app


@pytest.fixture
def own_logging() -> Iterator[None]:
    """A worker that leaves the logging of this process alone."""

    def leave(**_: object) -> None:
        pass

    signals.setup_logging.connect(leave)
    yield
    signals.setup_logging.disconnect(leave)


@pytest.fixture
def join(app: Any, sqlite_database: TestDatabase) -> Iterator[Join]:
    """Joins a client to the app."""
    joined: list[HogboxCelery] = []
    with PostHog(sqlite_database.url, project_token="phc_celery", host="http://127.0.0.1:9") as posthog:

        def do(**options: Any) -> HogboxCelery:
            given = {"capture_task_lifecycle_events": True, "beat": False, **options}
            joined.append(HogboxCelery(app, posthog, **given))
            return joined[-1]

        yield do
        for one in joined:
            one.disconnect()


@pytest.fixture
def tasks(app: Any) -> dict[str, Any]:
    """Tasks that end in each way."""

    @app.task(name="succeed", shared=False)
    def succeed(number: int = 1) -> int:
        tag("number", number)
        return number

    @app.task(name="fail", shared=False)
    def fail() -> None:
        raise ValueError("no money")

    @app.task(name="fail_as_expected", shared=False, throws=(KeyError,))
    def fail_as_expected() -> None:
        raise KeyError("expected")

    @app.task(name="retry_once", shared=False, bind=True, max_retries=1)
    def retry_once(self: Any) -> None:
        if self.request.retries == 0:
            raise self.retry(exc=ValueError("again"), countdown=0)

    @app.task(name="ignore", shared=False)
    def ignore() -> None:
        raise Ignore

    @app.task(name="add", shared=False)
    def add(numbers: list[int]) -> int:
        return sum(numbers)

    return dict(app.tasks)


def names(database: TestDatabase) -> list[str]:
    return [event["event"].removeprefix("celery task ") for event in database.events()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("succeed", ["started", "success"]),
        ("fail", ["started", "$exception", "failure"]),
        ("fail_as_expected", ["started", "failure"]),
        ("retry_once", ["started", "retry", "started", "success"]),
        ("ignore", ["started"]),
    ],
)
def test_the_events_of_a_task(
    join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase, name: str, expected: list[str]
) -> None:
    join()
    tasks[name].apply()
    assert names(sqlite_database) == expected


def test_what_an_event_tells(join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase) -> None:
    join()
    with new_context(distinct_id="ada", session_id="s-1", tags={"plan": "pro"}):
        done = tasks["fail"].apply()
    started, exception, failure = sqlite_database.events()
    assert {event["distinct_id"] for event in (started, exception, failure)} == {"ada"}
    told = {name: value for name, value in failure["properties"].items() if name.startswith(("celery", "error"))}
    assert told.pop("celery_task_duration_ms") >= 0
    assert told.pop("celery_hostname")
    assert told == {
        "celery_task_id": done.id,
        "celery_task_name": "fail",
        "celery_state": "failure",
        "celery_retry_count": 0,
        "celery_version": celery.__version__,
        "error_type": "ValueError",
        "error_message": "no money",
    }
    assert (started["properties"]["celery_state"], started["properties"]["plan"]) == ("started", "pro")
    assert "celery_task_duration_ms" not in started["properties"]


def test_a_retry_tells_why(join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase) -> None:
    join()
    tasks["retry_once"].apply()
    told = sqlite_database.events()[1]["properties"]
    assert (told["celery_state"], told["celery_retry_count"]) == ("retry", 0)
    assert "again" in told["celery_reason"]


@pytest.mark.parametrize("person", ["ada", None])
def test_a_message_that_was_sent(app: Any, join: Join, sqlite_database: TestDatabase, person: str | None) -> None:
    join()
    if person is None:
        sent = app.send_task("elsewhere")
    else:
        with new_context(distinct_id=person):
            sent = app.send_task("elsewhere")
    (event,) = sqlite_database.events()
    told = event["properties"]
    assert event["event"] == "celery task published"
    assert (told["celery_task_id"], told["celery_task_name"], told["celery_state"]) == (
        sent.id,
        "elsewhere",
        "published",
    )
    assert told["celery_routing_key"] == "lifecycle"
    assert told.get("$process_person_profile") is (None if person else False)


@pytest.mark.usefixtures("own_logging")
def test_of_a_chord_in_a_worker_each_task_has_the_senders_context(
    app: Any, join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase
) -> None:
    join()
    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
        with new_context(distinct_id="ada", tags={"cart": 7}):
            done = chord(group(tasks["succeed"].s(number) for number in (1, 2, 3)))(tasks["add"].s())
        assert done.get(timeout=20) == 6
    events = sqlite_database.events()
    told = sorted((event["properties"]["celery_task_name"], event["properties"]["celery_state"]) for event in events)
    once = [(name, state) for name in ("add", *["succeed"] * 3) for state in ("published", "started", "success")]
    assert told == sorted(once)
    assert {event["distinct_id"] for event in events} == {"ada"}
    assert {event["properties"]["cart"] for event in events} == {7}
    queues = [event["properties"].get("celery_routing_key") for event in events]
    assert queues == ["lifecycle"] * 12
    numbers = [
        event["properties"]["number"] for event in events if event["properties"]["celery_state"] == "success"
        and event["properties"]["celery_task_name"] == "succeed"
    ]  # fmt: skip
    assert sorted(numbers) == [1, 2, 3]


def test_by_default_there_are_none(join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase) -> None:
    join(capture_task_lifecycle_events=False)
    tasks["fail"].apply()
    assert names(sqlite_database) == ["$exception"]


def test_without_exceptions_there_may_be_events(
    join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase
) -> None:
    join(capture_exceptions=False)
    tasks["fail"].apply()
    assert names(sqlite_database) == ["started", "failure"]


def test_hogboxs_own_tasks_have_none(join: Join, sqlite_database: TestDatabase) -> None:
    """Or each delivery would leave behind what the next one delivers."""
    join().refresh.apply()
    assert names(sqlite_database) == []


def test_a_filter_sees_each_event(join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase) -> None:
    seen: list[tuple[str, str]] = []

    def note(name: str, properties: dict[str, Any]) -> bool:
        seen.append((name, properties["celery_state"]))
        return bool(properties["celery_state"] == "failure")

    join(task_filter=note)
    tasks["fail"].apply()
    assert seen == [("fail", "started"), ("fail", "failure")]
    assert names(sqlite_database) == ["$exception", "failure"]


def refuse_all(*_: object) -> bool:
    return False


def break_down(*_: object) -> bool:
    raise LookupError("the filter's own")


@pytest.mark.parametrize("task_filter", [refuse_all, break_down])
@pytest.mark.parametrize("events", [True, False])
def test_a_filter_leaves_out_events_and_exceptions(
    join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase, task_filter: Any, events: bool
) -> None:
    join(task_filter=task_filter, capture_task_lifecycle_events=events)
    assert tasks["fail"].apply().failed()
    assert tasks["succeed"].apply().get() == 1
    assert names(sqlite_database) == []


def test_a_filter_that_fails_is_told_in_the_log(
    join: Join, tasks: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    join(task_filter=break_down)
    with caplog.at_level(logging.WARNING, "hogbox"):
        tasks["succeed"].apply()
    assert "task_filter failed" in caplog.text


def test_where_tasks_need_a_person_their_events_need_none(
    join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase
) -> None:
    join(personless=False)
    assert tasks["succeed"].apply().get() == 1
    assert names(sqlite_database) == ["started", "success"]


def test_p8_events_that_cannot_be_written_change_no_task(
    app: Any, join: Join, tasks: dict[str, Any], sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    join()
    sqlite_database.execute("DROP TABLE posthog_outbox")
    assert tasks["succeed"].apply().get() == 1
    app.send_task("elsewhere")
    assert caplog.text.count("could not be captured") == 3


def test_a_filter_is_a_function(join: Join) -> None:
    with pytest.raises(ConfigurationError, match="task_filter must be a function, not 5"):
        join(task_filter=5)
