"""Functions with a context of their own, and what is asked of the current context."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from hogbox import AsyncPostHog, PostHog
from hogbox.context import (
    get_context,
    get_context_device_id,
    get_context_distinct_id,
    get_context_session_id,
    get_tags,
    identify_context,
    new_context,
    scoped,
    set_context_device_id,
    set_context_session,
    tag,
)
from hogbox.errors import ConfigurationError, InvalidEvent, NoContext
from tests.client.conftest import TOKEN
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store


def test_each_call_has_a_context_of_its_own() -> None:
    @scoped(tags={"job": "invoices"})
    def work(number: int) -> dict[str, Any]:
        """Its own words."""
        tag("number", number)
        return get_tags()

    with new_context(tags={"outer": 1}) as outer:
        assert [work(1), work(2)] == [{"outer": 1, "job": "invoices", "number": number} for number in (1, 2)]
        assert outer.tags == {"outer": 1}
    assert work(3) == {"job": "invoices", "number": 3}
    assert get_context() is None
    assert (work.__name__, work.__doc__) == ("work", "Its own words.")


def test_without_arguments_it_needs_no_parentheses() -> None:
    @scoped
    def work() -> str | None:
        identify_context("ada")
        return get_context_distinct_id()

    assert work() == "ada"
    assert get_context_distinct_id() is None


def test_a_fresh_one_takes_nothing_over() -> None:
    with new_context(distinct_id="ada"):
        assert scoped(fresh=True)(get_context_distinct_id)() is None


def test_it_ends_with_an_error() -> None:
    @scoped
    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert get_context() is None


def test_a_coroutine_function_keeps_its_context_while_others_run() -> None:
    @scoped
    async def work(number: int) -> bool:
        tag("number", number)
        for _ in range(3):
            await asyncio.sleep(0)
        return get_tags() == {"number": number}

    async def crowd() -> list[bool]:
        return await asyncio.gather(*(work(number) for number in range(20)))

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(crowd()) == [True] * 20


@scoped(tags={"a": 0})
def steps() -> Generator[dict[str, Any], str, str]:
    """A generator that is sent names of tags."""
    sent = ""
    try:
        while sent != "end":
            sent = yield get_tags()
            tag(sent, 1)
    except KeyError:
        yield {"caught": get_tags()}
    return "done"


def test_between_the_steps_of_a_generator_its_caller_has_its_own() -> None:
    assert inspect.isgeneratorfunction(steps)
    one, two = steps(), steps()
    with new_context(tags={"outer": 1}):
        assert next(one) == {"outer": 1, "a": 0}
        assert get_tags() == {"outer": 1}
        assert next(two) == {"outer": 1, "a": 0}
    assert get_context() is None
    assert one.send("b") == {"outer": 1, "a": 0, "b": 1}
    assert two.send("c") == {"outer": 1, "a": 0, "c": 1}
    assert two.throw(KeyError()) == {"caught": {"outer": 1, "a": 0, "c": 1}}
    with pytest.raises(StopIteration) as stop:
        one.send("end")
    assert stop.value.value == "done"
    assert get_context() is None


def test_a_generator_that_is_closed_ends_in_its_context() -> None:
    seen: list[dict[str, Any]] = []

    @scoped(tags={"a": 1})
    def generate() -> Iterator[int]:
        try:
            yield 1
        finally:
            seen.append(get_tags())

    generator = generate()
    next(generator)
    generator.close()  # type: ignore[attr-defined]
    assert seen == [{"a": 1}]


def test_an_asynchronous_generator_too() -> None:
    seen: list[Any] = []

    @scoped
    async def generate(name: str) -> AsyncIterator[dict[str, Any]]:
        tag("name", name)
        try:
            for number in range(2):
                await asyncio.sleep(0)
                tag("number", number)
                yield get_tags()
        except KeyError:
            yield {"caught": get_tags()["name"]}
        finally:
            seen.append(get_tags()["name"])

    async def read(name: str) -> list[dict[str, Any]]:
        found = []
        async for told in generate(name):
            assert get_context() is None
            found.append(told)
        return found

    async def crowd() -> None:
        for name, found in zip("ab", await asyncio.gather(read("a"), read("b")), strict=True):
            assert found == [{"name": name, "number": number} for number in range(2)]
        generator: Any = generate("thrown")
        await anext(generator)
        assert await generator.athrow(KeyError()) == {"caught": "thrown"}
        await generator.aclose()
        closed: Any = generate("closed")
        await anext(closed)
        await closed.aclose()

    assert inspect.isasyncgenfunction(generate)
    asyncio.run(crowd())
    assert sorted(seen) == ["a", "b", "closed", "thrown"]


@pytest.mark.parametrize("thing", ["text", 5, dict], ids=str)
def test_only_functions_can_be_scoped(thing: Any) -> None:
    with pytest.raises(ConfigurationError, match="scoped decorates a function"):
        scoped(thing)


def test_what_the_current_context_holds() -> None:
    with new_context(find_distinct_id=lambda: 7, session_id="s-1", device_id="d-1", tags={"a": 1}):
        assert (get_context_distinct_id(), get_context_session_id(), get_context_device_id()) == ("7", "s-1", "d-1")
        get_tags()["b"] = 2
        assert get_tags() == {"a": 1}
        with new_context():
            set_context_session("s-2")
            set_context_device_id("d-2")
            assert (get_context_session_id(), get_context_device_id()) == ("s-2", "d-2")
        assert (get_context_session_id(), get_context_device_id()) == ("s-1", "d-1")
    assert (get_context_distinct_id(), get_context_session_id(), get_context_device_id(), get_tags()) == (
        None,
        None,
        None,
        {},
    )


@pytest.mark.parametrize(
    ("open_first", "wrong", "error"), [(False, "d", NoContext), (True, " ", InvalidEvent), (True, None, InvalidEvent)]
)
def test_a_device_that_cannot_be_set(open_first: bool, wrong: Any, error: type[Exception]) -> None:
    set_it: Callable[[Any], None] = set_context_device_id
    with pytest.raises(error):
        (scoped(set_it) if open_first else set_it)(wrong)


def test_flags_that_go_by_device_take_that_of_the_context(posthog: PostHog, database: TestDatabase) -> None:
    by_device = flag("by-device")
    by_device["bucketing_identifier"] = "device_id"
    store(database, TOKEN, definitions(by_device))

    def read(**given: Any) -> tuple[Any, Any, Any]:
        return (
            posthog.get_feature_flag(None, "by-device", distinct_id="ada", **given),
            posthog.flags(None, distinct_id="ada", **given).get("by-device"),
            posthog.get_all_flags(None, distinct_id="ada", **given).get("by-device"),
        )

    with new_context():
        assert read() == (None, None, None)
        set_context_device_id("d-1")
        assert read() == read(device_id="d-2") == (True, True, True)
        assert get_context_device_id() == "d-1"


def test_asynchronous_reads_take_it_too(sqlite_database: TestDatabase) -> None:
    by_device = flag("by-device")
    by_device["bucketing_identifier"] = "device_id"
    store(sqlite_database, TOKEN, definitions(by_device))

    async def read() -> list[Any]:
        async with AsyncPostHog(sqlite_database.url, project_token=TOKEN) as posthog:
            without = await posthog.get_feature_flag(None, "by-device", distinct_id="ada")
            with new_context(device_id="d-1"):
                return [without, await posthog.get_feature_flag(None, "by-device", distinct_id="ada")]

    assert asyncio.run(read()) == [None, True]


def test_properties_that_are_found_at_each_event(posthog: PostHog, database: TestDatabase) -> None:
    numbers = iter(range(9))
    with new_context(distinct_id="ada", find_properties=lambda: {"number": next(numbers), "a": 0}, tags={"a": 1}):
        posthog.capture(None, "one")
        with new_context():
            posthog.capture(None, "two")
    assert [(event["properties"]["number"], event["properties"]["a"]) for event in database.events()] == [
        (0, 1),
        (1, 1),
    ]
