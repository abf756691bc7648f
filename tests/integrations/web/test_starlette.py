"""What only ASGI middleware meets: others around and below it, groups of exceptions, headers that come twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hogbox import PostHog
from hogbox.context import get_context, get_tags, tag
from hogbox.integrations.starlette import HogboxMiddleware
from tests.fixtures.database import TestDatabase
from tests.integrations.web.shop import Broken, ask_asgi

ADA = {"X-PostHog-Distinct-Id": "ada"}


@pytest.fixture
def posthog(sqlite_database: TestDatabase) -> Iterator[PostHog]:
    """A client."""
    with PostHog(sqlite_database.engine, project_token="phc_one") as posthog:
        yield posthog


async def broken(*_: object) -> None:
    """An ASGI application that fails."""
    raise Broken


def request(app: ASGIApp, path: str = "/", headers: dict[str, str] | Sequence[tuple[str, str]] | None = None) -> None:
    asyncio.run(ask_asgi(app, path, ADA if headers is None else headers))


def test_two_middlewares_of_one_client_capture_an_exception_once(
    posthog: PostHog, sqlite_database: TestDatabase
) -> None:
    request(HogboxMiddleware(HogboxMiddleware(broken, posthog), posthog))
    assert [event["event"] for event in sqlite_database.events()] == ["$exception"]


def test_each_project_gets_the_exception(posthog: PostHog, sqlite_database: TestDatabase) -> None:
    with PostHog(sqlite_database.engine, project_token="phc_two") as other:
        request(HogboxMiddleware(HogboxMiddleware(broken, other), posthog))
    assert sorted(row["project"] for row in sqlite_database.rows("posthog_outbox")) == ["phc_one", "phc_two"]


def test_the_inner_middleware_decides_on_its_own_part(posthog: PostHog, sqlite_database: TestDatabase) -> None:
    def capture(_: Request) -> PlainTextResponse:
        posthog.capture(None, "captured")
        return PlainTextResponse("")

    inner = HogboxMiddleware(Starlette(routes=[Route("/", capture)]), posthog, request_filter=lambda _: False)
    request(HogboxMiddleware(Starlette(routes=[Mount("/inner", inner)]), posthog), "/inner/")
    (event,) = sqlite_database.events()
    assert event["properties"]["$process_person_profile"] is False
    assert "$request_path" not in event["properties"]


def test_the_route_of_a_part_that_is_mounted(posthog: PostHog, sqlite_database: TestDatabase) -> None:
    def capture(_: Request) -> PlainTextResponse:
        posthog.capture(None, "captured")
        return PlainTextResponse("")

    inner = Starlette(routes=[Route("/orders/{number}", capture)])
    app = Starlette(routes=[Mount("/api", Starlette(routes=[Mount("/v1", inner)]))])
    request(HogboxMiddleware(app, posthog), "/api/v1/orders/7")
    assert sqlite_database.events()[0]["properties"]["$request_route"] == "/api/v1/orders/{number}"


def test_the_route_of_a_router_with_a_prefix(posthog: PostHog, sqlite_database: TestDatabase) -> None:
    router = APIRouter(prefix="/orders")

    @router.get("/{number}")
    def capture(number: int) -> None:
        posthog.capture(None, "captured")

    app = FastAPI()
    app.include_router(router, prefix="/api")
    request(HogboxMiddleware(app, posthog), "/api/orders/7")
    assert sqlite_database.events()[0]["properties"]["$request_route"] == "/api/orders/{number}"


def test_where_no_route_is_found_there_is_none(posthog: PostHog, sqlite_database: TestDatabase) -> None:
    async def capture(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(posthog.capture, None, "captured")

    request(HogboxMiddleware(capture, posthog), "/nowhere")
    assert "$request_route" not in sqlite_database.events()[0]["properties"]


@pytest.mark.parametrize(
    ("errors", "captured"),
    [
        ([ClientDisconnect()], 0),
        ([ExceptionGroup("inner", [ClientDisconnect()]), ClientDisconnect()], 0),
        ([ClientDisconnect(), Broken()], 1),
        ([Broken(), Broken()], 1),
    ],
    ids=["disconnect", "disconnects", "both", "two"],
)
def test_a_group_of_exceptions_is_one(
    posthog: PostHog, sqlite_database: TestDatabase, errors: list[Exception], captured: int
) -> None:
    async def app(*_: object) -> None:
        raise ExceptionGroup("several", errors)

    request(HogboxMiddleware(HogboxMiddleware(app, posthog), posthog))
    assert [event["event"] for event in sqlite_database.events()] == ["$exception"] * captured


def test_of_a_header_that_comes_twice_the_first_that_says_something_counts(posthog: PostHog) -> None:
    people: list[str | None] = []

    async def app(*_: object) -> None:
        context = get_context()
        people.append(context.distinct_id if context else "no context")

    name = "X-PostHog-Distinct-Id"
    request(HogboxMiddleware(app, posthog), headers=[(name, "\x01 "), (name.upper(), "ada"), (name, "bob")])
    assert people == ["ada"]


def test_a_middleware_with_a_task_of_its_own_between_changes_nothing(
    posthog: PostHog, sqlite_database: TestDatabase
) -> None:
    async def pass_on(request: Request, call_next: Callable[[Request], Awaitable[Any]]) -> Any:
        tag("between", True)
        return await call_next(request)

    def capture(_: Request) -> PlainTextResponse:
        posthog.capture(None, "captured", properties={"tags": get_tags()})
        raise Broken

    app = Starlette(routes=[Route("/{name}", capture)])
    request(HogboxMiddleware(BaseHTTPMiddleware(app, dispatch=pass_on), posthog), "/order")
    captured, exception = sqlite_database.events()
    assert captured["properties"]["tags"] == {"between": True}
    assert {event["distinct_id"] for event in (captured, exception)} == {"ada"}
    assert exception["properties"]["$request_route"] == "/{name}"


def test_requests_side_by_side_keep_the_answers_of_their_callbacks(
    posthog: PostHog, sqlite_database: TestDatabase
) -> None:
    async def number_of(connection: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"number": connection.headers["number"]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        await asyncio.to_thread(posthog.capture, None, scope["path"])

    middleware = HogboxMiddleware(
        app,
        posthog,
        request_filter=lambda connection: int(connection.headers["number"]) % 3 > 0,
        extra_properties=number_of,
    )

    async def crowd() -> None:
        await asyncio.gather(
            *(ask_asgi(middleware, f"/{number}", {**ADA, "number": str(number)}) for number in range(60))
        )

    asyncio.run(crowd())
    told = {event["event"]: event["properties"].get("number") for event in sqlite_database.events()}
    assert told == {f"/{number}": str(number) if number % 3 else None for number in range(60)}
