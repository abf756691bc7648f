"""Tasks in real workers of every pool: their contexts, their transactions, the exceptions that escape them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from hogbox.context import new_context
from tests.integrations.celery.worker import Running, running_worker, values

PREFORK = ("prefork", "postgresql")

only_prefork = pytest.mark.parametrize("worker", [PREFORK], ids="-".join, indirect=True)


@pytest.fixture(scope="module", params=[PREFORK, ("threads", "postgresql"), ("solo", "sqlite")], ids="-".join)
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One worker for all tests of a pool: they tell their events by names of their own."""
    pool, backend = request.param
    with running_worker(request, tmp_path_factory.mktemp(pool), pool, backend) as worker:
        yield worker


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"event-{uuid.uuid4().hex[:8]}"


def test_a_task_knows_whose_work_it_is(worker: Running, name: str) -> None:
    with new_context(distinct_id="ada", session_id="s-1", tags={"plan": "pro", "größe": [1, None]}):
        sent = worker.send("capture", name)
    (event,) = worker.events(name)
    assert event["distinct_id"] == "ada"
    told = {name: event["properties"][name] for name in ("$session_id", "plan", "größe", "$context_tags")}
    assert told == {"$session_id": "s-1", "plan": "pro", "größe": [1, None], "$context_tags": ["größe", "plan"]}
    task = {name: value for name, value in event["properties"].items() if name.startswith("celery_")}
    assert task == {"celery_task_id": sent.id, "celery_task_name": "capture", "celery_retry_count": 0}


def test_it_goes_on_to_tasks_that_a_task_sends(worker: Running, name: str) -> None:
    with new_context(distinct_id="ada", tags={"plan": "pro"}):
        worker.send("tag_and_send", name)
    (event,) = worker.events(name)
    assert event["distinct_id"] == "ada"
    assert (event["properties"]["plan"], event["properties"]["step"]) == ("pro", 2)
    assert event["properties"]["celery_task_name"] == "capture"


def test_it_is_the_same_when_a_task_is_tried_again(worker: Running, name: str) -> None:
    with new_context(distinct_id="ada", tags={"plan": "pro"}):
        worker.send("retry_once", name)
    (event,) = worker.events(name)
    assert (event["distinct_id"], event["properties"]["plan"]) == ("ada", "pro")
    assert event["properties"]["celery_retry_count"] == 1


def test_nothing_of_a_task_is_left_to_the_next_one(worker: Running, name: str) -> None:
    people = [f"person-{number}" if number % 3 else None for number in range(24)]
    for person in people:
        with new_context(distinct_id=person, tags={"of": person} if person else None, fresh=True):
            worker.send("look", name)
    events = worker.events(name, len(people))
    assert sorted(event["distinct_id"] for event in events) == sorted(person or "nobody" for person in people)
    for event in events:
        assert event["properties"].get("of", "nobody") == event["distinct_id"]


def test_p1_a_task_that_rolls_back_captured_nothing(worker: Running, name: str) -> None:
    with new_context(distinct_id="ada"):
        worker.send("roll_back", name)
    (exception,) = worker.exceptions(name)
    assert exception["distinct_id"] == "ada"
    assert worker.now(name) == []


def test_the_exception_that_ends_a_task_is_captured_once(worker: Running, name: str) -> None:
    with new_context(distinct_id="ada", session_id="s-1", tags={"plan": "pro"}):
        sent = worker.send("fail", name)
    with pytest.raises(ValueError, match=name):
        sent.get(timeout=20)
    worker.exceptions(name)
    worker.send("capture", f"{name} is over", headers={"X-POSTHOG-DISTINCT-ID": "ada"})
    worker.events(f"{name} is over")
    (event,) = worker.exceptions(name)
    assert event["distinct_id"] == "ada"
    told = event["properties"]
    assert (told["celery_task_id"], told["celery_task_name"], told["plan"]) == (sent.id, "fail", "pro")
    assert told["$session_id"] == "s-1"
    (entry,) = told["$exception_list"]
    assert entry["mechanism"]["handled"] is False
    assert entry["stacktrace"]["frames"][-1]["function"] == "fail"


def test_an_exception_that_cannot_be_pickled_keeps_its_type(worker: Running, name: str) -> None:
    with new_context(distinct_id="ada"):
        worker.send("fail_unpicklably", name)
    (event,) = worker.exceptions(name)
    assert event["properties"]["$exception_list"][0]["type"] == "Unpicklable"
    assert values(event) == [f"7: {name}"]


def test_an_exception_of_nobody_is_captured_too(worker: Running, name: str) -> None:
    worker.send("fail", name)
    (event,) = worker.exceptions(name)
    assert event["properties"]["$process_person_profile"] is False


def test_what_is_no_failure_is_not_captured(worker: Running, name: str) -> None:
    with new_context(distinct_id="ada", tags={"of": name}):
        for task in ("ignore", "reject", "fail_as_expected"):
            worker.send(task)
        worker.send("give_up", name)
    worker.exceptions(name)
    (event,) = [event for event in worker.now("$exception") if event["properties"].get("of") == name]
    assert values(event) == [name]
    assert event["properties"]["celery_retry_count"] == 1


def test_every_child_and_thread_captures_at_once(worker: Running, name: str) -> None:
    for number in range(worker.children):
        with new_context(distinct_id=f"person-{number}"):
            worker.send("gather", name)
    events = worker.events(name, worker.children)
    runners = {event["properties"]["runner"]: event["distinct_id"] for event in events}
    assert len(runners) == worker.children
    assert sorted(runners.values()) == [f"person-{number}" for number in range(worker.children)]
    assert len({event["properties"]["pid"] for event in events}) == (4 if worker.pool == "prefork" else 1)


@only_prefork
def test_no_child_uses_a_connection_of_the_parent_or_of_another_child(worker: Running, name: str) -> None:
    for _ in range(worker.children):
        worker.send("gather", name, headers={"X-POSTHOG-DISTINCT-ID": "ada"})
    events = [*worker.events(name, worker.children), *worker.events("parent")]
    assert len({event["properties"]["connection"] for event in events}) == worker.children + 1


@only_prefork
def test_a_task_whose_process_is_lost_is_reported_by_the_parent(worker: Running, name: str) -> None:
    with new_context(distinct_id="ada", tags={"of": name}):
        sent = worker.send("die")
    event = worker.exceptions("exited prematurely")[0]
    assert event["distinct_id"] == "ada"
    assert event["properties"]["$exception_list"][0]["type"] == "WorkerLostError"
    assert (event["properties"]["celery_task_id"], event["properties"]["of"]) == (sent.id, name)
    worker.send("capture", name, headers={"X-POSTHOG-DISTINCT-ID": "ada"})
    assert worker.events(name)


@only_prefork
def test_a_task_whose_time_is_up_is_reported_once_by_the_parent(worker: Running, name: str) -> None:
    with new_context(distinct_id="ada", tags={"of": name}):
        sent = worker.send("hang", time_limit=1)
    worker.exceptions("TimeLimitExceeded")
    worker.send("capture", name, headers={"X-POSTHOG-DISTINCT-ID": "ada"})
    worker.events(name)
    (event,) = worker.exceptions("TimeLimitExceeded")
    told = event["properties"]
    assert told["$exception_list"][0]["type"] == "TimeLimitExceeded"
    assert (event["distinct_id"], told["of"]) == ("ada", name)
    assert (told["celery_task_id"], told["celery_task_name"]) == (sent.id, "hang")
