"""The context of a request: seen by all code that runs for it, and by nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from hogbox import AsyncPostHog, PostHog
from hogbox.context import get_context, identify_context, tag
from hogbox.errors import ConfigurationError
from hogbox.integrations.fastapi import HogboxMiddleware
from tests.fixtures.database import TestDatabase
from tests.integrations.fastapi.serving import converse, served

ADA = {"X-POSTHOG-DISTINCT-ID": "ada", "X-PostHog-Session-Id": "s-1", "User-Agent": "tests"}


@pytest.fixture
def posthog(sqlite_database: TestDatabase) -> Iterator[PostHog]:
    with PostHog(sqlite_database.engine, project_token="phc_context") as posthog:
        yield posthog


def make_app(posthog: PostHog | AsyncPostHog, **options: Any) -> FastAPI:
    return FastAPI(middleware=[Middleware(HogboxMiddleware, posthog=posthog, **options)])


def whose() -> str | None:
    context = get_context()
    return context.distinct_id if context else "no context"


def test_events_tell_what_request_they_belong_to(posthog: PostHog, sqlite_database: TestDatabase) -> None:
    app = make_app(posthog)

    @app.get("/orders/{number}")
    def read_order(number: int) -> None:
        posthog.capture(None, "order read")

    with served(app) as client:
        client.get("/orders/7?tab=open&q=%C3%A4", headers=ADA).raise_for_status()
        base = str(client.base_url).rstrip("/")
    (event,) = sqlite_database.events()
    assert event["distinct_id"] == "ada"
    told = event["properties"]
    assert told["$session_id"] == "s-1"
    assert told["$current_url"] == f"{base}/orders/7"
    assert (told["$request_method"], told["$request_path"]) == ("GET", "/orders/7")
    assert (told["$user_agent"], told["$ip"]) == ("tests", "127.0.0.1")


def test_all_that_runs_for_a_request_is_in_its_context(posthog: PostHog) -> None:
    app = make_app(posthog)
    seen: dict[str, str | None] = {}

    def note(where: str) -> None:
        seen[where] = whose()

    async def note_async(where: str) -> None:
        note(where)

    def plain_dependency() -> Iterator[None]:
        note("plain dependency")
        yield
        note("end of a plain dependency")

    async def asynchronous_dependency() -> None:
        note("asynchronous dependency")

    both = [Depends(plain_dependency), Depends(asynchronous_dependency)]

    @app.get("/plain", dependencies=both)
    def plain(tasks: BackgroundTasks) -> None:
        note("plain endpoint")
        tasks.add_task(note, "background task")

    @app.get("/asynchronous")
    async def asynchronous(tasks: BackgroundTasks) -> None:
        note("asynchronous endpoint")
        tasks.add_task(note_async, "asynchronous background task")
        await asyncio.create_task(note_async("task"))
        await asyncio.to_thread(note, "thread")

    with served(app) as client:
        for path in ("/plain", "/asynchronous"):
            client.get(path, headers=ADA).raise_for_status()
    assert len(seen) == 9
    assert set(seen.values()) == {"ada"}, seen


def test_what_a_dependency_says_in_a_thread_the_endpoint_sees(posthog: PostHog, sqlite_database: TestDatabase) -> None:
    app = make_app(posthog)

    def sign_in() -> None:
        identify_context("grace")
        tag("plan", "pro")

    @app.get("/", dependencies=[Depends(sign_in)])
    async def read() -> str | None:
        await asyncio.to_thread(posthog.capture, None, "read")
        return whose()

    with served(app) as client:
        assert client.get("/", headers=ADA).json() == "grace"
    (event,) = sqlite_database.events()
    assert event["distinct_id"] == "grace"
    assert (event["properties"]["plan"], event["properties"]["$context_tags"]) == ("pro", ["plan"])


def test_nothing_leaks_between_requests_that_run_at_once(posthog: PostHog) -> None:
    together = 60
    app = make_app(posthog)
    inside = 0

    async def meet(state: dict[str, asyncio.Event]) -> None:
        """Go on when all requests have come this far."""
        nonlocal inside
        inside += 1
        if inside % together == 0:
            state.pop("met").set()
        else:
            await state.setdefault("met", asyncio.Event()).wait()

    meeting: dict[str, asyncio.Event] = {}

    def sign_in(number: int) -> None:
        identify_context(f"signed-in-{number}")

    @app.get("/{number}")
    async def read(number: int) -> list[str | None]:
        seen = [whose()]
        await meet(meeting)
        tag("number", number)
        await asyncio.to_thread(sign_in, number)
        await meet(meeting)
        context = get_context()
        assert context is not None
        assert context.tags == {"number": number}
        return [*seen, whose()]

    async def ask(url: httpx2.URL) -> list[httpx2.Response]:
        limits = httpx2.Limits(max_connections=together, max_keepalive_connections=together)
        async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
            answers: list[httpx2.Response] = []
            for _ in range(2):  # the second time over connections that are open already
                requests = [client.get(f"/{number}", headers=person(number)) for number in range(together)]
                answers += await asyncio.gather(*requests)
            return answers

    def person(number: int) -> dict[str, str]:
        return {"X-POSTHOG-DISTINCT-ID": f"header-{number}"}

    with served(app) as client:
        answers = asyncio.run(ask(client.base_url))
    expected = [[f"header-{number}", f"signed-in-{number}"] for number in range(together)]
    assert [answer.json() for answer in answers] == expected * 2


def test_a_connection_that_is_kept_keeps_nothing_of_the_last_request(posthog: PostHog) -> None:
    app = make_app(posthog)

    @app.get("/")
    async def read() -> str | None:
        seen = whose()
        identify_context("signed-in")
        return seen

    with served(app) as client:
        answers = [client.get("/", headers=headers).json() for headers in (ADA, {}, ADA, {})]
    assert answers == ["ada", None, "ada", None]


def test_a_websocket_has_a_context(posthog: PostHog, sqlite_database: TestDatabase) -> None:
    app = make_app(posthog)

    @app.websocket("/chat")
    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            text = await websocket.receive_text()
            await asyncio.to_thread(posthog.capture, None, text)
            await websocket.send_text(whose() or "")

    heard = asyncio.run(converse(app, "/chat", ["one", "two"], headers=ADA))
    assert [message.get("text") for message in heard] == [None, "ada", "ada"]
    events = sqlite_database.events()  # that the connection ended is no exception
    assert [event["event"] for event in events] == ["one", "two"]
    told = events[0]["properties"]
    assert (told["$current_url"], told["$request_path"], told["$ip"]) == ("ws://shop/chat", "/chat", "192.0.2.7")


async def ask_slowly(connection: HTTPConnection) -> str | None:
    await asyncio.sleep(0)
    return connection.headers.get("authorization")


@pytest.mark.parametrize(
    "distinct_id", [lambda connection: connection.headers.get("authorization"), ask_slowly], ids=["plain", "async"]
)
def test_who_the_application_knows_wins_over_the_header(posthog: PostHog, distinct_id: Callable[..., Any]) -> None:
    app = make_app(posthog, distinct_id=distinct_id)

    @app.get("/")
    async def read() -> str | None:
        return whose()

    with served(app) as client:
        assert client.get("/", headers={**ADA, "Authorization": "grace"}).json() == "grace"
        assert client.get("/", headers=ADA).json() == "ada"


def test_p8_requests_of_nobody_are_captured(posthog: PostHog, sqlite_database: TestDatabase) -> None:
    app = make_app(posthog)

    @app.get("/")
    def read() -> None:
        posthog.capture(None, "read")

    with served(app) as client:
        client.get("/").raise_for_status()
    (event,) = sqlite_database.events()
    assert event["properties"]["$process_person_profile"] is False


def test_a_query_that_is_no_text_harms_nobody(posthog: PostHog) -> None:
    """Not every server refuses such bytes, and Starlette's `request.url` raises for them."""
    urls: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        context = get_context()
        urls.append(context.event_properties()["$current_url"] if context else None)

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"q=\xff\xfe&a=b%20c",
        "headers": [(b"host", b"shop")],
    }
    asyncio.run(HogboxMiddleware(app, posthog, capture_url_query=True)(scope, unused, unused))
    assert urls == ["http://shop/?q=%FF%FE&a=b%20c"]


async def unused(*_: object) -> Any:
    raise AssertionError


def test_the_lifespan_is_no_request(posthog: PostHog) -> None:
    seen: list[tuple[str, object]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["type"], get_context()))

    asyncio.run(HogboxMiddleware(app, posthog)({"type": "lifespan"}, unused, unused))
    assert seen == [("lifespan", None)]


def test_what_can_not_work_is_told_at_once(posthog: PostHog) -> None:
    with pytest.raises(ConfigurationError, match="not str"):
        HogboxMiddleware(FastAPI(), "phc_context")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="a function of the request, not 'ada'"):
        HogboxMiddleware(FastAPI(), posthog, distinct_id="ada")  # type: ignore[arg-type]
