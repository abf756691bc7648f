"""`before_send` has the last word: it changes events, refuses them, and what it breaks is not sent."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hogbox import Event
from hogbox._events.identifier import shard_of
from hogbox.errors import ConfigurationError
from tests.client.conftest import TOKEN, Client, Only
from tests.fixtures.database import TestDatabase


def tagged(tag: str) -> Any:
    def hook(event: Event) -> Event:
        event["properties"]["tags"] = [*event["properties"].get("tags", []), tag]
        return event

    return hook


def broken(event: Event) -> Event:
    raise ZeroDivisionError("a hook of the application's")


def test_hooks_run_in_order_each_on_the_last_ones_result(client: Client, only: Only) -> None:
    client(before_send=[tagged("first"), tagged("second")]).capture(None, "paid", distinct_id="u1")
    assert only()["properties"]["tags"] == ["first", "second"]


def test_one_hook_needs_no_list(client: Client, only: Only) -> None:
    client(before_send=tagged("one")).capture(None, "paid", distinct_id="u1")
    assert only()["properties"]["tags"] == ["one"]


def test_a_hook_sees_the_finished_event(client: Client) -> None:
    seen: list[Any] = []

    def look(event: Event) -> Event:
        seen.append({**event})
        return event

    posthog = client(before_send=look)
    uuid = posthog.capture(None, "paid", distinct_id="u1", properties={"when": {1, 2}}, groups={"company": 1})
    (event,) = seen
    assert (event["uuid"], event["event"], event["distinct_id"]) == (uuid, "paid", "u1")
    assert event["properties"]["$lib"] == "hogbox"
    assert event["properties"]["$groups"] == {"company": "1"}
    assert sorted(event["properties"]["when"]) == [1, 2]


def test_a_changed_distinct_id_is_used_for_the_shard_as_well(client: Client, database: TestDatabase) -> None:
    def rename(event: Event) -> Event:
        return {**event, "distinct_id": "somebody else"}

    client(before_send=rename).capture(None, "paid", distinct_id="u1")
    (row,) = database.rows("posthog_outbox")
    assert database.events()[0]["distinct_id"] == "somebody else"
    assert row["shard"] == shard_of(TOKEN, "somebody else")


def test_a_refused_event_is_not_written_and_is_counted(client: Client, database: TestDatabase) -> None:
    later: list[Any] = []
    posthog = client(before_send=[lambda _: None, later.append])
    assert posthog.capture(None, "paid", distinct_id="u1") is None
    assert database.events() == []
    assert later == []
    assert posthog.discarded == (1, 0, 0, 0)
    assert posthog.discarded.refused == 1


def test_p2_an_event_whose_hook_raises_is_never_sent_raw_but_counted_and_logged(
    client: Client, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    posthog = client(before_send=[tagged("first"), broken])
    assert posthog.capture(None, "paid", distinct_id="u1") is None
    assert database.events() == database.dead_letters() == []
    assert posthog.discarded.failed == 1
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "before_send broken raised ZeroDivisionError: a hook of the application's: the event is discarded"
    )
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


@pytest.mark.parametrize(
    "answer", ["an event", 7, {"event": "paid"}, {"event": "", "distinct_id": "u", "properties": {}}]
)
def test_what_is_no_event_is_refused(
    client: Client, database: TestDatabase, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    posthog = client(before_send=lambda _: answer)
    assert posthog.capture(None, "paid", distinct_id="u1") is None
    assert database.events() == []
    assert posthog.discarded.failed == 1
    assert "the event is discarded" in caplog.text


def test_fields_that_a_hook_spoils_are_restored(client: Client, only: Only) -> None:
    def spoil(event: Any) -> Any:
        return {**event, "uuid": "not one", "timestamp": "yesterday", "properties": {"ratio": float("nan")}}

    uuid = client(before_send=spoil).capture(None, "paid", distinct_id="u1")
    event = only()
    assert event["uuid"] == uuid
    assert event["timestamp"] != "yesterday"
    assert event["properties"] == {"ratio": None}


def test_the_hooks_uuid_is_the_one_returned(client: Client, only: Only) -> None:
    own = "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11"
    posthog = client(before_send=lambda event: {**event, "uuid": own})
    assert posthog.capture(None, "paid", distinct_id="u1") == own == only()["uuid"]


def test_hooks_see_every_kind_of_event(client: Client) -> None:
    seen: list[str] = []
    posthog = client(before_send=lambda event: seen.append(event["event"]))
    posthog.capture(None, "paid", distinct_id="u1")
    posthog.identify(None, distinct_id="u1")
    posthog.group_identify(None, "company", "c-19")
    posthog.alias(None, "anon", distinct_id="u1")
    posthog.capture_exception(None, "it broke")
    assert seen == ["paid", "$identify", "$groupidentify", "$create_alias", "$exception"]
    assert posthog.discarded.refused == 5


@pytest.mark.parametrize("hooks", ["text", [tagged("a"), None]])
def test_what_cannot_be_called_is_refused_at_once(client: Client, hooks: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^before_send must be a callable or a list of them, not "):
        client(before_send=hooks)


def test_a_disabled_client_captures_nothing_and_counts(client: Client, database: TestDatabase) -> None:
    posthog = client(disabled=True, project_token=None)
    assert posthog.capture(None, "paid", distinct_id="u1") is None
    assert posthog.identify(None, distinct_id="u1") is None
    assert posthog.group_identify(None, "company", "c-19") is None
    assert posthog.alias(None, "anon", distinct_id="u1") is None
    assert posthog.capture_exception(None, "it broke") is None
    assert database.events() == []
    assert posthog.discarded.disabled == 5


def test_a_client_disabled_by_the_environment(
    client: Client, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOGBOX_DISABLED", "yes")
    assert client().capture(None, "paid", distinct_id="u1") is None
    assert client(disabled=False).capture(None, "paid", distinct_id="u1")
    assert len(database.events()) == 1
