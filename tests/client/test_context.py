"""Request context: what events and reads take from it, and who sees it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any
from uuid import UUID

import pytest

from hogbox import PostHog
from hogbox.context import Context, get_context, identify_context, new_context, set_context_session, tag
from hogbox.errors import InvalidEvent, MissingDistinctId, NoContext
from tests.client.conftest import TOKEN, Client, Only
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.colour import write_exposures
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store

DOCUMENT = definitions(flag("on"), minimal_flag_called_events=True)


def test_events_take_the_distinct_id_of_the_context(posthog: PostHog, database: TestDatabase) -> None:
    with new_context(distinct_id="ada"):
        posthog.capture(None, "paid")
        posthog.identify(None)
        posthog.alias(None, "anon")
        posthog.capture_exception(None, "it broke")
    events = database.events()
    assert [event["distinct_id"] for event in events] == ["ada"] * 4
    assert "$process_person_profile" not in events[3]["properties"]


@pytest.mark.parametrize("given", [7, UUID(int=5)])
def test_a_distinct_id_is_text_whatever_it_was(given: Any) -> None:
    with new_context(distinct_id=given) as context:
        assert context.distinct_id == str(given)


def test_the_argument_wins_over_the_context_and_the_callback_over_both(client: Client, database: TestDatabase) -> None:
    with new_context(distinct_id="from context"):
        client().capture(None, "paid", distinct_id="from argument")
        client(identify=lambda _: "from callback").capture(None, "paid", distinct_id="from argument")
        client(identify=lambda _: None).capture(None, "paid")
    found = [event["distinct_id"] for event in database.events()]
    assert found == ["from argument", "from callback", "from context"]


def test_a_group_has_no_part_in_the_context(posthog: PostHog, only: Only) -> None:
    with new_context(distinct_id="ada", tags={"plan": "pro"}):
        posthog.group_identify(None, "company", "c-19")
    assert only()["distinct_id"] == "$company_c-19"
    assert "plan" not in only()["properties"]


def test_events_tell_of_the_context(posthog: PostHog, only: Only) -> None:
    with new_context(session_id="s-1", tags={"plan": "pro"}, properties={"$current_url": "http://shop/cart"}):
        tag("beta", True)
        posthog.capture(None, "paid", distinct_id="ada", properties={"total": 3})
    told = only()["properties"]
    assert {name: told[name] for name in ("$session_id", "plan", "beta", "$current_url", "total")} == {
        "$session_id": "s-1",
        "plan": "pro",
        "beta": True,
        "$current_url": "http://shop/cart",
        "total": 3,
    }
    assert told["$context_tags"] == ["beta", "plan"]


def test_exceptions_and_exposures_tell_of_it_too(client: Client, database: TestDatabase) -> None:
    store(database, TOKEN, definitions(flag("on")))
    with new_context(distinct_id="ada", session_id="s-1", tags={"plan": "pro"}):
        client().capture_exception(None, ValueError("x"))
        client(track_exposures=True).get_feature_flag(None, "on")
    assert [
        (event["event"], event["properties"]["plan"], event["properties"]["$session_id"]) for event in database.events()
    ] == [
        ("$exception", "pro", "s-1"),
        ("$feature_flag_called", "pro", "s-1"),
    ]


def test_a_short_exposure_keeps_the_session_only(client: Client, database: TestDatabase, only: Only) -> None:
    document = definitions({**flag("on"), "has_experiment": False}, minimal_flag_called_events=True)
    store(database, TOKEN, document)
    with new_context(distinct_id="ada", session_id="s-1", tags={"plan": "pro"}):
        client(track_exposures=True).get_feature_flag(None, "on")
    assert only()["properties"]["$session_id"] == "s-1"
    assert "plan" not in only()["properties"]


@pytest.mark.parametrize("call", ["identify", "alias"])
def test_identify_and_alias_tell_nothing_of_it(posthog: PostHog, only: Only, call: str) -> None:
    with new_context(distinct_id="ada", session_id="s-1", tags={"plan": "pro"}):
        if call == "identify":
            posthog.identify(None, properties={"name": "Ada"})
        else:
            posthog.alias(None, "anon")
    assert not {"plan", "$session_id", "$context_tags"} & set(only()["properties"])
    assert only()["properties"].get("$set", {}).get("plan") is None


def test_the_properties_of_a_call_win_and_flags_over_the_context(posthog: PostHog, database: TestDatabase) -> None:
    store(database, TOKEN, definitions(flag("on")))
    with new_context(session_id="s-1", tags={"plan": "pro", "$feature/on": "of the context"}):
        posthog.capture(
            None, "paid", distinct_id="ada", properties={"plan": "free", "$session_id": "s-2"}, send_feature_flags=True
        )
    (event,) = database.events()
    told = event["properties"]
    assert (told["plan"], told["$session_id"], told["$feature/on"]) == ("free", "s-2", True)


def test_without_a_context_nothing_is_told(posthog: PostHog, only: Only) -> None:
    posthog.capture(None, "paid", distinct_id="ada")
    assert not {"$session_id", "$context_tags"} & set(only()["properties"])
    assert get_context() is None


def test_flags_are_read_for_the_person_of_the_context(posthog: PostHog, database: TestDatabase) -> None:
    store(database, TOKEN, DOCUMENT)
    with new_context(distinct_id="ada"):
        assert posthog.get_feature_flag(None, "on") is True
        assert posthog.flags(None).get("on") is True
        assert posthog.get_all_flags(None) == {"on": True}


def test_an_event_without_anybody_raises_outside_of_a_context_and_where_that_is_asked_for(
    posthog: PostHog, database: TestDatabase
) -> None:
    with pytest.raises(MissingDistinctId, match=r"distinct_id=.*identify=.*new_context\(\)"):
        posthog.capture(None, "paid")
    with new_context(tags={"plan": "pro"}, personless=False):
        with pytest.raises(MissingDistinctId):
            posthog.capture(None, "paid")
        with pytest.raises(MissingDistinctId):
            posthog.get_feature_flag(None, "on")
    assert database.events() == []


def test_an_event_of_nobody_makes_no_person(posthog: PostHog, database: TestDatabase) -> None:
    with new_context(tags={"plan": "pro"}):
        posthog.capture(None, "seen")
        posthog.capture(None, "seen")
        posthog.capture(None, "seen", distinct_id="ada")
    one, two, third = database.events()
    assert one["properties"]["$process_person_profile"] is False
    assert one["properties"]["plan"] == "pro"
    assert UUID(one["distinct_id"]) != UUID(two["distinct_id"])
    assert "$process_person_profile" not in third["properties"]


def test_a_blank_argument_is_a_mistake_all_the_same(posthog: PostHog) -> None:
    with new_context(personless=True, distinct_id="ada"), pytest.raises(MissingDistinctId):
        posthog.capture(None, "seen", distinct_id=" ")


@pytest.mark.parametrize("method", ["identify", "alias"])
def test_nobody_can_be_identified(posthog: PostHog, method: str) -> None:
    with new_context(personless=True), pytest.raises(MissingDistinctId):
        posthog.identify(None) if method == "identify" else posthog.alias(None, "anon")


def test_flags_of_nobody_are_inconclusive_and_nobody_is_asked(client: Client, database: TestDatabase) -> None:
    store(database, TOKEN, DOCUMENT)
    posthog = client(host="http://127.0.0.1:9", track_exposures=True)
    with new_context(personless=True):
        assert posthog.get_feature_flag(None, "on", default="d") == "d"
        assert posthog.get_feature_flag(None, "on", fallback="remote") is None
        assert posthog.is_feature_enabled(None, "on") is None
        assert posthog.get_feature_flag_result(None, "on") is None
        assert posthog.get_feature_flag_payload(None, "on", default=1) == 1
        assert posthog.get_all_flags(None, fallback="remote") == {}
        assert posthog.get_all_flags_and_payloads(None) == ({}, {}, False)
        flags = posthog.flags(None)
        assert (flags.keys, flags.get("on", "d")) == ((), "d")
        write_exposures(posthog, flags)
        assert posthog.evaluate_flag(None, "on") is None
        assert posthog.evaluate_flag_payload(None, "on") is None
        assert posthog.evaluate_all_flags(None) == ({}, {}, False)
        posthog.capture(None, "seen", send_feature_flags=True)
    assert [event["event"] for event in database.events()] == ["seen"]


@pytest.mark.parametrize("stored", [False, True])
def test_p8_why_flags_of_nobody_are_inconclusive(posthog: PostHog, database: TestDatabase, stored: bool) -> None:
    if stored:
        store(database, TOKEN, DOCUMENT)
    with new_context():
        snapshot = posthog.flags(None)
        assert snapshot.result("on").reason == "nobody"
        assert "nobody is named" in snapshot.explain("on").sentence


def test_an_inner_context_takes_over_what_is_known_and_changes_nothing_outside() -> None:
    with new_context(distinct_id="ada", session_id="s-1", personless=True, tags={"a": 1}) as outer:
        with new_context(distinct_id="bob", tags={"b": 2}) as inner:
            tag("c", 3)
            assert (inner.distinct_id, inner.session_id, inner.personless) == ("bob", "s-1", True)
            assert inner.tags == {"a": 1, "b": 2, "c": 3}
        assert get_context() is outer
        assert (outer.distinct_id, outer.tags) == ("ada", {"a": 1})


def test_a_fresh_context_takes_nothing_over() -> None:
    with new_context(distinct_id="ada", tags={"a": 1}, personless=True), new_context(fresh=True) as inner:
        assert inner == Context()


def test_a_context_ends_with_its_block_even_by_an_error() -> None:
    with pytest.raises(LookupError), new_context(distinct_id="ada"):
        raise LookupError
    assert get_context() is None


@pytest.mark.parametrize(
    "change",
    [lambda: identify_context("ada"), lambda: set_context_session("s"), lambda: tag("a", 1)],
    ids=["person", "session", "tag"],
)
def test_where_no_context_is_open_there_is_none_to_change(change: Any) -> None:
    with pytest.raises(NoContext, match="new_context"):
        change()


@pytest.mark.parametrize(
    "arguments",
    [
        {"distinct_id": True},
        {"distinct_id": " "},
        {"session_id": ""},
        {"session_id": 1.5},
        {"tags": ["a"]},
        {"properties": "a"},
    ],
    ids=str,
)
def test_values_that_can_not_be_are_refused_when_the_context_is_opened(arguments: Any) -> None:
    with pytest.raises(InvalidEvent), new_context(**arguments):
        pytest.fail("opened")
    assert get_context() is None


def test_a_tag_has_a_name() -> None:
    with new_context(), pytest.raises(InvalidEvent, match="the name of a tag"):
        tag("", 1)


def test_tasks_see_the_context_that_they_were_started_in_and_no_other() -> None:
    seen: dict[str, list[str | None]] = {}

    async def request(name: str) -> None:
        with new_context(distinct_id=name, fresh=True):
            await asyncio.sleep(0)
            seen[name] = await asyncio.gather(*(asyncio.create_task(work()) for _ in range(3)))

    async def work() -> str | None:
        await asyncio.sleep(0)
        return (get_context() or Context()).distinct_id

    async def serve() -> None:
        await asyncio.gather(*(request(f"u{number}") for number in range(50)))

    asyncio.run(serve())
    assert seen == {f"u{number}": [f"u{number}"] * 3 for number in range(50)}


def test_what_a_thread_with_a_copy_changes_its_request_sees() -> None:
    """So an authentication that a framework runs in its thread pool names the person for the whole request."""

    async def serve() -> str | None:
        with new_context() as context:
            await asyncio.to_thread(identify_context, "ada")
            return context.distinct_id

    assert asyncio.run(serve()) == "ada"


def test_a_thread_without_a_copy_sees_none() -> None:
    seen: list[Context | None] = []
    with new_context(distinct_id="ada"):
        plain = threading.Thread(target=lambda: seen.append(get_context()))
        copy = contextvars.copy_context()
        copied = threading.Thread(target=lambda: copy.run(lambda: seen.append(get_context())))
        for thread in (plain, copied):
            thread.start()
            thread.join()
    assert [one and one.distinct_id for one in seen] == [None, "ada"]
