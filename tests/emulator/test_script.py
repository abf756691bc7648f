"""Scripted results of capture v1: from Python and over HTTP, which events they choose, and what is stored."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator
from hogbox.errors import UsageError
from tests.emulator.v1_case import batch, event, post, results, uuid

ALL = batch(event(1), event(2, event="left"), event(3, distinct_id="u3"))


@pytest.mark.parametrize(
    ("fields", "answer", "stored"),
    [
        ({"result": "ok"}, ("ok", None), True),
        ({"result": "ok", "details": "hm"}, ("ok", "hm"), True),
        ({"result": "warning"}, ("warning", "person_processing_disabled"), True),
        ({"result": "limited"}, ("limited", "rate_limited_token_distinct_id"), True),
        ({"result": "drop"}, ("drop", "event_restriction_drop"), False),
        ({"result": "drop", "details": "rejected"}, ("drop", "rejected"), False),
        ({}, ("retry", "not_persisted"), False),
        ({"store": True}, ("retry", "not_persisted"), True),
        ({"result": "ok", "store": False}, ("ok", None), False),
        ({"result": "postponed"}, ("postponed", None), True),
    ],
)
def test_a_result_is_answered_and_decides_what_is_stored(
    emulator: Emulator, client: httpx2.Client, fields: dict[str, Any], answer: tuple[str, str | None], stored: bool
) -> None:
    emulator.result(**fields)
    assert results(post(client)) == [answer]
    assert bool(emulator.events()) is stored


@pytest.mark.parametrize(
    ("chosen", "affected"),
    [
        ({"event": "left"}, [2]),
        ({"distinct_id": "u3"}, [3]),
        ({"uuid": uuid(1).upper()}, [1]),
        ({"event": "left", "distinct_id": "u3"}, []),
        ({"times": 2}, [1, 2]),
        ({"rate": 0.0}, []),
        ({"token": "phc_other"}, []),
    ],
)
def test_a_result_chooses_its_events(
    emulator: Emulator, client: httpx2.Client, chosen: dict[str, Any], affected: list[int]
) -> None:
    emulator.result(result="drop", **chosen)
    answers = results(post(client, ALL))
    assert [number for number, (result, _) in enumerate(answers, 1) if result == "drop"] == affected
    assert [result.fired for result in emulator.results()] == [len(affected)]


def test_only_a_retry_asks_for_one(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.result(result="retry", uuid=uuid(2), times=1)
    emulator.result(result="drop", uuid=uuid(3))
    answer = post(client, ALL)
    assert results(answer) == [("ok", None), ("retry", "not_persisted"), ("drop", "event_restriction_drop")]
    assert answer.headers["retry-after"] == "1"
    again = post(client, batch(event(2, event="left")), headers={"PostHog-Attempt": "2"})
    assert (results(again), again.headers.get("retry-after")) == ([("ok", None)], None)
    assert [stored.uuid for stored in emulator.events()] == [uuid(1), uuid(2)]


def test_an_event_may_be_absent_from_the_results(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.result(result="absent", uuid=uuid(2))
    assert list(post(client, ALL).json()["results"]) == [uuid(1), uuid(3)]
    assert emulator.summary()["events"] == 3


def test_a_share_of_the_events_is_chosen_by_the_seed(client: httpx2.Client, emulator: Emulator) -> None:
    many = batch(*(event(number) for number in range(100)))

    def chosen() -> list[str]:
        emulator.reset()
        emulator.result(result="drop", rate=0.3)
        return [result for result, _ in results(post(client, many))]

    first = chosen()
    assert 15 <= first.count("drop") <= 45
    assert chosen() == first


def test_events_that_are_invalid_or_over_quota_use_no_result(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(quota=["exceptions"])
    emulator.result(times=1)
    answers = results(post(client, batch(event(1, event=""), event(2, event="$exception"), event(3))))
    assert [result for result, _ in answers] == ["drop", "drop", "retry"]


@pytest.mark.parametrize(
    ("fault", "used"),
    [({"status": 503}, 0), ({"drop": "before"}, 0), ({"drop": "after"}, 1), ({"delay": 0.001}, 1)],
)
def test_a_result_is_used_only_if_posthog_gets_to_answer(
    emulator: Emulator, client: httpx2.Client, fault: dict[str, Any], used: int
) -> None:
    emulator.fault(**fault)
    emulator.result(times=1)
    try:
        post(client)
    except httpx2.TransportError:
        assert "drop" in fault
    assert [result.fired for result in emulator.results()] == [used]
    assert emulator.events() == []


def test_people_over_their_rate_are_not_updated(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.result(result="warning")
    post(client, batch(event(properties={"$set": {"plan": "team"}})))
    assert [stored.person_processing for stored in emulator.events()] == [False]


def test_results_are_listed_and_removed(emulator: Emulator, client: httpx2.Client) -> None:
    first, second = emulator.result(times=1), emulator.result(result="drop")
    assert [result.id for result in emulator.results()] == [first.id, second.id] == [1, 2]
    emulator.clear_results()
    assert emulator.results() == []
    emulator.result()
    emulator.reset()
    assert emulator.results() == []


def test_results_are_scripted_over_http(client: httpx2.Client) -> None:
    control = "/_emulator/results"
    added = client.post(control, json={"result": "drop", "event": "paid"})
    assert (added.status_code, added.json()["id"]) == (201, 1)
    assert results(post(client)) == [("drop", "event_restriction_drop")]
    [listed] = client.get(control).json()["results"]
    assert listed == {**added.json(), "fired": 1}
    assert client.delete(f"{control}/1").status_code == 204
    assert client.delete(f"{control}/1").status_code == 404
    client.post(control, json={})
    assert client.delete(control).json() == {"results": []}
    assert results(post(client)) == [("ok", None)]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"id": 1}, "assigned by the emulator"),
        ({"result": ""}, "must be a word"),
        ({"colour": "red"}, "unknown field"),
        ({"rate": 2}, "rate"),
        ({"times": 0}, "times"),
    ],
)
def test_invalid_results_are_refused(
    emulator: Emulator, client: httpx2.Client, fields: dict[str, Any], problem: str
) -> None:
    answer = client.post("/_emulator/results", json=fields)
    assert (answer.status_code, problem in answer.json()["error"]) == (400, True)
    with pytest.raises(UsageError, match="This result is invalid"):
        emulator.result(**fields)
