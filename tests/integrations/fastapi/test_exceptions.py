"""What escapes a request is reported, once it can't be handled any more, and raised again."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.middleware import Middleware

from hogbox import AsyncPostHog, PostHog
from hogbox.integrations.fastapi import HogboxMiddleware
from tests.fixtures.database import TestDatabase
from tests.fixtures.waiting import wait_until
from tests.integrations.fastapi.serving import converse, served

ADA = {"X-POSTHOG-DISTINCT-ID": "ada"}


class Declined(Exception):
    """An exception that the application has a handler for."""


@pytest.fixture(params=[PostHog, AsyncPostHog])
def posthog(request: pytest.FixtureRequest, sqlite_database: TestDatabase) -> Iterator[PostHog | AsyncPostHog]:
    posthog = request.param(sqlite_database.url, project_token="phc_exceptions")
    yield posthog
    if isinstance(posthog, PostHog):
        posthog.shutdown()
    else:
        asyncio.run(posthog.shutdown())


def make_app(posthog: PostHog | AsyncPostHog, **options: Any) -> FastAPI:
    app = FastAPI(middleware=[Middleware(HogboxMiddleware, posthog=posthog, **options)])

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("the till is broken")

    @app.get("/broken-in-a-thread")
    def broken_in_a_thread() -> None:
        raise ZeroDivisionError("the till is broken")

    @app.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"the first part"
            raise ZeroDivisionError("the till is broken")

        return StreamingResponse(parts())

    @app.get("/broken-afterwards", status_code=202)
    async def broken_afterwards(tasks: BackgroundTasks) -> None:
        tasks.add_task(broken)

    return app


@pytest.mark.parametrize(
    ("path", "status"),
    [("/broken", 500), ("/broken-in-a-thread", 500), ("/broken-stream", 200), ("/broken-afterwards", 202)],
)
def test_what_escapes_is_reported(
    posthog: PostHog | AsyncPostHog,
    sqlite_database: TestDatabase,
    path: str,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(make_app(posthog)) as client, client.stream("GET", path, headers=ADA) as answer:
        assert answer.status_code == status
        wait_until(lambda: len(sqlite_database.events()) == 1, "the report")
    (event,) = sqlite_database.events()
    assert (event["event"], event["distinct_id"]) == ("$exception", "ada")
    told = event["properties"]
    assert told["$response_status_code"] == status
    assert told["$request_path"] == path
    (exception,) = told["$exception_list"]
    assert (exception["type"], exception["value"]) == ("ZeroDivisionError", "the till is broken")
    assert exception["mechanism"]["handled"] is False
    assert exception["stacktrace"]["frames"][-1]["function"].startswith(("broken", "parts"))
    assert "ZeroDivisionError" in caplog.text  # uvicorn was told, too


def test_what_is_handled_is_not_reported(posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase) -> None:
    app = make_app(posthog)

    @app.exception_handler(Declined)
    async def say_so(request: Request, error: Declined) -> JSONResponse:
        return JSONResponse({"declined": True}, status_code=402)

    @app.get("/orders/{number}")
    async def read(number: int) -> None:
        raise HTTPException(404) if number else Declined

    with served(app) as client:
        statuses = [client.get(path, headers=ADA).status_code for path in ("/orders/0", "/orders/1", "/orders/x", "/-")]
    assert statuses == [402, 404, 422, 404]
    assert sqlite_database.events() == []


def test_a_handler_of_all_exceptions_answers_what_was_reported(
    posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase
) -> None:
    app = make_app(posthog)

    @app.exception_handler(Exception)
    async def apologize(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"sorry": True}, status_code=500)

    with served(app) as client:
        assert client.get("/broken", headers=ADA).json() == {"sorry": True}
    assert len(sqlite_database.events()) == 1


def test_it_may_stand_around_the_whole_application(
    posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase
) -> None:
    app = FastAPI()

    @app.get("/broken/{status}")
    async def broken(status: int) -> None:
        raise HTTPException(status) if status else ZeroDivisionError

    with served(HogboxMiddleware(app, posthog)) as client:
        statuses = [client.get(f"/broken/{status}", headers=ADA).status_code for status in (404, 0)]
    assert statuses == [404, 500]
    (event,) = sqlite_database.events()
    assert event["properties"]["$response_status_code"] == 500


def test_a_client_that_hangs_up_is_no_exception(posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase) -> None:
    app = make_app(posthog)
    ended = threading.Event()

    @app.post("/upload")
    async def upload(request: Request) -> None:
        try:
            await request.body()
        finally:
            ended.set()

    with served(app) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port)) as raw:
            raw.sendall(b"POST /upload HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\nhalf of it")
        assert ended.wait(10)
    assert sqlite_database.events() == []


def test_a_request_that_is_cancelled_is_no_exception(
    posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase
) -> None:
    async def app(*_: object) -> None:
        await asyncio.Event().wait()

    async def cancel() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        request = asyncio.create_task(HogboxMiddleware(app, posthog)(scope, app, app))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(cancel())
    assert sqlite_database.events() == []


def test_a_websocket_that_fails_is_reported(posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase) -> None:
    app = make_app(posthog)

    @app.websocket("/chat")
    async def chat(websocket: WebSocket) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(converse(app, "/chat", [], headers=ADA))
    (event,) = sqlite_database.events()
    assert "$response_status_code" not in event["properties"]


def test_who_asks_may_fail_and_breaks_nothing(
    posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with served(make_app(posthog, distinct_id=lambda connection: connection.cookies["session"])) as client:
        assert client.get("/broken", headers=ADA).status_code == 500
    (event,) = sqlite_database.events()
    assert (event["distinct_id"], event["properties"]["$exception_list"][0]["type"]) == ("ada", "ZeroDivisionError")
    assert "the distinct id of the signed-in user can't be read" in caplog.text


def test_reports_can_be_left_out(posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase) -> None:
    with served(make_app(posthog, capture_exceptions=False)) as client:
        assert client.get("/broken", headers=ADA).status_code == 500
    assert sqlite_database.events() == []


def test_p8_a_report_that_waits_for_the_database_stops_no_other_request(
    posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase
) -> None:
    app = make_app(posthog)

    @app.get("/well")
    async def well() -> bool:
        return True

    statuses: list[int] = []
    with served(app) as client:
        with sqlite_database.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            asking = threading.Thread(target=lambda: statuses.append(client.get("/broken", headers=ADA).status_code))
            asking.start()
            for _ in range(20):
                assert client.get("/well").json() is True
            assert statuses == []
        asking.join()
    assert statuses == [500]
    assert len(sqlite_database.events()) == 1


def test_p8_a_report_that_fails_hides_nothing(
    posthog: PostHog | AsyncPostHog, sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite_database.execute("DROP TABLE posthog_outbox")
    with served(make_app(posthog)) as client:
        assert client.get("/broken", headers=ADA).status_code == 500
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.name for record in told] == ["hogbox", "uvicorn.error"]
    assert told[1].exc_info is not None
    assert told[1].exc_info[0] is ZeroDivisionError
