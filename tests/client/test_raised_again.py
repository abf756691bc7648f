"""An exception on its way is one event, however many layers capture it; the same object raised again is another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from hogbox import AsyncPostHog, PostHog
from hogbox.context import new_context
from tests.client.conftest import TOKEN
from tests.fixtures.database import TestDatabase

UNAVAILABLE = ConnectionError("unavailable")


@pytest.fixture
def posthog(database: TestDatabase) -> PostHog:
    return PostHog(database.url, project_token=TOKEN)


def directly() -> None:
    raise UNAVAILABLE


def without_a_traceback() -> None:
    raise UNAVAILABLE.with_traceback(None)


FAILED: Future[None] = Future()
FAILED.set_exception(TimeoutError("no answer"))


def of_a_future() -> None:
    FAILED.result()


@pytest.mark.parametrize("fail", [directly, without_a_traceback, of_a_future])
@pytest.mark.parametrize("inside", [False, True], ids=["no context", "one context"])
def test_p2_one_object_raised_again_is_an_event_each_time(
    posthog: PostHog, database: TestDatabase, fail: Callable[[], None], inside: bool
) -> None:
    def meet(person: str | None) -> None:
        try:
            fail()
        except Exception as error:
            posthog.capture_exception(None, error, distinct_id=person)

    def meet_all() -> None:
        for number in range(6):
            meet(f"u{number}")
        meet(None)

    if inside:
        with new_context():
            meet_all()
    else:
        meet_all()
    events = database.events()
    assert len({event["uuid"] for event in events}) == 7
    assert len({event["timestamp"] for event in events}) == 7
    assert [event["distinct_id"] for event in events[:6]] == [f"u{number}" for number in range(6)]
    assert events[6]["properties"]["$process_person_profile"] is False


def test_raised_again_by_the_same_statement_of_the_same_call(posthog: PostHog) -> None:
    captured = []
    for _ in range(7):
        try:
            raise UNAVAILABLE
        except ConnectionError as error:
            captured.append(posthog.capture_exception(None, error))
    assert len(set(captured)) == 7


def test_raised_again_in_tasks_that_wait_for_one(database: TestDatabase) -> None:
    async def main() -> list[str | None]:
        async with AsyncPostHog(database.url, project_token=TOKEN) as posthog:
            waited = asyncio.get_running_loop().create_future()

            async def wait() -> str | None:
                try:
                    return str(await waited)
                except OSError as error:
                    return await posthog.capture_exception(None, error)

            tasks = [asyncio.create_task(wait()) for _ in range(7)]
            await asyncio.sleep(0)
            waited.set_exception(OSError("one for all"))
            return await asyncio.gather(*tasks)

    assert len(set(asyncio.run(main()))) == 7


def test_one_that_is_never_raised_is_an_event_each_time(posthog: PostHog) -> None:
    error = ValueError("returned")
    assert len({posthog.capture_exception(None, error) for _ in range(3)}) == 3


def test_p3_captured_first_and_raised_then_is_one_event(posthog: PostHog) -> None:
    error = ValueError("x")
    first = posthog.capture_exception(None, error)
    with pytest.raises(ValueError, match="x") as caught:
        raise error
    assert posthog.capture_exception(None, caught.value) == first
    assert posthog.capture_exception(None, caught.value) == first


@pytest.mark.parametrize("again", ["bare", "named", "falls through"])
def test_p3_on_its_way_through_layers_it_is_one_event(posthog: PostHog, database: TestDatabase, again: str) -> None:
    def layer(below: int) -> None:
        try:
            layer(below - 1) if below else directly()
        except ConnectionError as error:
            posthog.capture_exception(None, error, distinct_id=f"u{below}")
            if again == "bare":
                raise
            if again == "named":
                raise error
        if again == "falls through":
            return

    def outermost() -> None:
        try:
            layer(5)
        except ConnectionError as error:
            posthog.capture_exception(None, error)

    outermost()
    events = database.events()
    assert len({event["uuid"] for event in events}) == 1
    assert len(events) == (1 if again == "falls through" else 7)
    outermost()
    assert len({event["uuid"] for event in database.events()}) == 2


def test_p3_through_coroutines_it_is_one_event(database: TestDatabase) -> None:
    async def main() -> set[str | None]:
        captured: set[str | None] = set()
        async with AsyncPostHog(database.url, project_token=TOKEN) as posthog:

            async def layer(below: int) -> None:
                try:
                    await asyncio.sleep(0)
                    await layer(below - 1) if below else directly()
                except ConnectionError as error:
                    captured.add(await posthog.capture_exception(None, error))
                    raise

            with pytest.raises(ConnectionError):
                await layer(5)
        return captured

    assert len(asyncio.run(main())) == 1


def test_p3_from_a_thread_of_a_request_to_its_middleware_it_is_one_event(database: TestDatabase) -> None:
    posthog = PostHog(database.url, project_token=TOKEN)

    def endpoint() -> None:
        try:
            directly()
        except ConnectionError as error:
            captured.append(posthog.capture_exception(None, error))
            raise

    async def request() -> None:
        with new_context():
            try:
                await asyncio.to_thread(endpoint)
            except ConnectionError as error:
                captured.append(posthog.capture_exception(None, error))

    captured: list[str | None] = []
    for count in (1, 2):
        asyncio.run(request())
        assert (len(captured), len(set(captured))) == (2 * count, count)


def test_what_a_pool_hands_to_another_thread_is_raised_again_where_no_request_joins_them(posthog: PostHog) -> None:
    captured = []

    def work() -> None:
        try:
            directly()
        except ConnectionError as error:
            captured.append(posthog.capture_exception(None, error))
            raise

    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(work).result()
        except ConnectionError as error:
            captured.append(posthog.capture_exception(None, error))
    assert len(set(captured)) == 2


def test_a_stamp_is_a_text_for_everybody_else(posthog: PostHog) -> None:
    error = ValueError("x")
    uuid = posthog.capture_exception(None, error)
    assert list(vars(error).values()) == [uuid]
    assert "__hogbox_stamp__" in json.loads(json.dumps(vars(error)))
