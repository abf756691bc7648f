"""The views of the site that is compared with other frameworks'."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from hogbox.integrations.django import posthog
from tests.integrations.web.shop import Broken


def read_order(_: HttpRequest, number: int) -> HttpResponse:
    """Captures an event."""
    posthog.capture("order read", properties={"number": number})
    return HttpResponse("read")


def broken(_: HttpRequest, number: int) -> HttpResponse:
    """Raises."""
    raise Broken(number)


def broken_stream(_: HttpRequest, number: int) -> StreamingHttpResponse:
    """Raises after the response has begun."""

    def parts() -> Iterator[bytes]:
        yield b"one"
        raise Broken(number)

    return StreamingHttpResponse(parts(), status=202)


urlpatterns: list[Any] = [
    path("orders/<int:number>", read_order),
    path("broken/<int:number>", broken),
    path("broken-stream/<int:number>", broken_stream),
]
