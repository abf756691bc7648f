"""One small shop, in each of the web frameworks: what it is asked, and how."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from flask import Flask, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from hogbox import PostHog
from hogbox.integrations.flask import Hogbox
from hogbox.integrations.starlette import HogboxMiddleware
from tests.fixtures.database import TestDatabase
from tests.integrations.django.site import configure, connected

Ask = Callable[..., None]
"""Requests a path, with headers; exceptions of the shop are left to whoever serves it."""

HOST = "testserver"
TOKEN = "phc_web"


class Broken(Exception):
    """The shop fails."""


@contextmanager
def open_flask(database: TestDatabase, options: dict[str, Any]) -> Iterator[Ask]:
    """The shop in Flask."""
    app = Flask("shop")

    @app.get("/orders/<int:number>")
    def read_order(number: int) -> str:
        posthog.capture(None, "order read", properties={"number": number})
        return "read"

    @app.get("/broken/<int:number>")
    def broken(number: int) -> str:
        raise Broken(number)

    @app.get("/broken-stream/<int:number>")
    def broken_stream(number: int) -> Response:
        def parts() -> Iterator[str]:
            yield "one"
            raise Broken(number)

        return Response(parts(), status=202)

    with PostHog(database.url, project_token=TOKEN) as posthog:
        Hogbox(app, posthog, **options)

        def ask(path: str, headers: dict[str, str]) -> None:
            with suppress(Broken):
                app.test_client().get(path, headers=headers, base_url=f"http://{HOST}").get_data()

        yield ask


@contextmanager
def open_django(database: TestDatabase, options: dict[str, Any]) -> Iterator[Ask]:
    """The shop in Django, on a WSGI server."""
    from django.test import Client  # type: ignore[import-untyped]

    with _site(database, options):

        def ask(path: str, headers: dict[str, str]) -> None:
            with suppress(Broken):
                Client(raise_request_exception=False).get(path, headers=headers).getvalue()

        yield ask


@contextmanager
def open_async_django(database: TestDatabase, options: dict[str, Any]) -> Iterator[Ask]:
    """The shop in Django, on an ASGI server."""
    from asgiref.sync import ThreadSensitiveContext, sync_to_async
    from django.db import connections  # type: ignore[import-untyped]
    from django.test import AsyncClient

    async def get(path: str, headers: dict[str, str]) -> None:
        async with ThreadSensitiveContext():
            response = await AsyncClient(raise_request_exception=False).get(path, headers=headers)
            with suppress(Broken):
                await sync_to_async(response.getvalue)()
            await sync_to_async(connections.close_all)()

    with _site(database, options):
        yield lambda path, headers: asyncio.run(get(path, headers))


@contextmanager
def _site(database: TestDatabase, options: dict[str, Any]) -> Iterator[None]:
    configure()
    from django.test import override_settings

    given = {"PROJECT_TOKEN": TOKEN, **{name.upper(): value for name, value in options.items()}}
    with connected(database), override_settings(HOGBOX=given, ROOT_URLCONF="tests.integrations.web.django_urls"):
        yield


@contextmanager
def open_starlette(database: TestDatabase, options: dict[str, Any]) -> Iterator[Ask]:
    """The shop in Starlette."""

    def read_order(request: Request) -> PlainTextResponse:
        posthog.capture(None, "order read", properties={"number": request.path_params["number"]})
        return PlainTextResponse("read")

    def broken(request: Request) -> PlainTextResponse:
        raise Broken(request.path_params["number"])

    def broken_stream(request: Request) -> StreamingResponse:
        return StreamingResponse(_broken_parts(), status_code=202)

    app = Starlette(
        routes=[
            Route("/orders/{number:int}", read_order),
            Route("/broken/{number:int}", broken),
            Route("/broken-stream/{number:int}", broken_stream),
        ]
    )
    with PostHog(database.url, project_token=TOKEN) as posthog:
        app.add_middleware(HogboxMiddleware, posthog=posthog, **options)
        yield lambda path, headers: asyncio.run(ask_asgi(app, path, headers))


@contextmanager
def open_fastapi(database: TestDatabase, options: dict[str, Any]) -> Iterator[Ask]:
    """The shop in FastAPI."""
    app = FastAPI()

    @app.get("/orders/{number}")
    def read_order(number: int) -> str:
        posthog.capture(None, "order read", properties={"number": number})
        return "read"

    @app.get("/broken/{number}")
    def broken(number: int) -> str:
        raise Broken(number)

    @app.get("/broken-stream/{number}")
    def broken_stream(number: int) -> StreamingResponse:
        return StreamingResponse(_broken_parts(), status_code=202)

    with PostHog(database.url, project_token=TOKEN) as posthog:
        app.add_middleware(HogboxMiddleware, posthog=posthog, **options)
        yield lambda path, headers: asyncio.run(ask_asgi(app, path, headers))


async def _broken_parts() -> AsyncIterator[bytes]:
    yield b"one"
    raise Broken


async def ask_asgi(app: ASGIApp, path: str, headers: dict[str, str] | Sequence[tuple[str, str]]) -> None:
    """Request this path of an ASGI application, as a server does."""
    plain, _, query = path.partition("?")
    pairs = headers.items() if isinstance(headers, dict) else headers
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": plain,
        "raw_path": plain.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [
            (b"host", HOST.encode()),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs),
        ],
        "client": ("127.0.0.1", 5000),
        "server": (HOST, 80),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        pass

    with suppress(Broken, ExceptionGroup):
        await app(scope, receive, send)


FRAMEWORKS = {
    "flask": open_flask,
    "django": open_django,
    "django-async": open_async_django,
    "starlette": open_starlette,
    "fastapi": open_fastapi,
}
ROUTES = {
    "flask": "/orders/<int:number>",
    "django": "/orders/<int:number>",
    "django-async": "/orders/<int:number>",
    "starlette": "/orders/{number:int}",
    "fastapi": "/orders/{number}",
}
