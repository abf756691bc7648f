"""The views of the tests' site: what applications do, in few lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import admin  # type: ignore[import-untyped]
from django.contrib.auth import get_user_model, login, logout  # type: ignore[import-untyped]
from django.core.exceptions import PermissionDenied  # type: ignore[import-untyped]
from django.db import connection, transaction  # type: ignore[import-untyped]
from django.http import (  # type: ignore[import-untyped]
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path  # type: ignore[import-untyped]

from hogbox.context import identify_context, tag
from hogbox.integrations.django import aposthog, posthog


class Broken(Exception):
    """The application fails."""


def insert_order() -> None:
    """Write a row of the application's own."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders (id) SELECT COUNT(*) + 1 FROM orders")


def order(request: HttpRequest) -> HttpResponse:
    """An order with its event; `?fail` fails afterwards."""
    insert_order()
    uuid = posthog.capture("order placed")
    if "fail" in request.GET:
        raise Broken("after the order")
    return JsonResponse({"uuid": uuid})


def atomic_order(request: HttpRequest) -> HttpResponse:
    """The same in a transaction of the view's."""
    with transaction.atomic():
        return order(request)


def quiet(_: HttpRequest) -> HttpResponse:
    """Captures nothing."""
    return HttpResponse("quiet")


def sign_in(request: HttpRequest) -> HttpResponse:
    """Signs somebody in between two events."""
    posthog.capture("came")
    login(request, get_user_model().objects.get(username=request.GET["name"]))
    posthog.capture("signed in")
    logout(request)
    posthog.capture("signed out")
    return HttpResponse()


def named(request: HttpRequest) -> HttpResponse:
    """Says by itself whose request it is."""
    identify_context("somebody else")
    tag("plan", "pro")
    posthog.capture("named")
    posthog.capture("argument", distinct_id="argument", properties={"$session_id": "own"})
    return HttpResponse()


def answer(kind: type[Exception]) -> Callable[[HttpRequest], HttpResponse]:
    """A view that raises."""

    def view(_: HttpRequest) -> HttpResponse:
        raise kind("no")

    return view


def cut(_: HttpRequest) -> HttpResponse:
    """Loses the connection to PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    return HttpResponse()


def swallowed(_: HttpRequest) -> HttpResponse:
    """A savepoint that is rolled back, and one that is kept."""
    with transaction.atomic():
        posthog.capture("outer")
        try:
            with transaction.atomic():
                posthog.capture("inner, rolled back")
                raise Broken
        except Broken:
            pass
        with transaction.atomic():
            posthog.capture("inner, kept")
    return HttpResponse()


def parts(request: HttpRequest) -> Iterator[str]:
    """The parts of a stream, each with an event."""
    for number in range(2):
        posthog.capture(f"part {number}")
        yield f"part {number}\n"
    if "fail" in request.GET:
        raise Broken("in the midst")


async def async_parts(request: HttpRequest) -> AsyncIterator[str]:
    """The same, awaited."""
    for number in range(2):
        await aposthog.capture(f"part {number}")
        yield f"part {number}\n"
    if "fail" in request.GET:
        raise Broken("in the midst")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """A streamed response."""
    return StreamingHttpResponse(parts(request))


async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    """The same of an asynchronous view."""
    return StreamingHttpResponse(async_parts(request))


def download(_: HttpRequest) -> FileResponse:
    """A file."""
    return FileResponse(Path(__file__).open("rb"))


@transaction.non_atomic_requests  # type: ignore[untyped-decorator]
async def async_order(request: HttpRequest) -> HttpResponse:
    """An asynchronous view."""
    await sync_to_async(insert_order)()
    uuid = await aposthog.capture("order placed")
    enabled = await aposthog.is_feature_enabled("new", default=False)
    if "fail" in request.GET:
        raise Broken("after the order")
    return JsonResponse({"uuid": uuid, "enabled": enabled})


async def async_transaction(request: HttpRequest) -> HttpResponse:
    """A transaction in an asynchronous view."""
    await sync_to_async(atomic_order)(request)
    return HttpResponse()


async def async_mistake(_: HttpRequest) -> HttpResponse:
    """The synchronous client in an asynchronous view."""
    posthog.capture("order placed")
    return HttpResponse()


urlpatterns: list[Any] = [
    path("admin/", admin.site.urls),
    path("order", order),
    path("atomic", atomic_order),
    path("quiet", quiet),
    path("sign-in", sign_in),
    path("named", named),
    path("missing", answer(Http404)),
    path("forbidden", answer(PermissionDenied)),
    path("broken", answer(Broken)),
    path("cut", cut),
    path("swallowed", swallowed),
    path("async", async_order),
    path("stream", stream),
    path("async-stream", async_stream),
    path("download", download),
    path("async-transaction", async_transaction),
    path("async-mistake", async_mistake),
]
