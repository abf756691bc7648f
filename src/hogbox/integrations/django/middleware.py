"""Middleware: the context of each request, and the exceptions that escape it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import (  # type: ignore[import-untyped]
    BadRequest,
    DisallowedHost,
    PermissionDenied,
    SuspiciousOperation,
    SynchronousOnlyOperation,
)
from django.db import connections  # type: ignore[import-untyped]
from django.http import Http404, HttpRequest, HttpResponseBase  # type: ignore[import-untyped]
from django.http.multipartparser import MultiPartParserError  # type: ignore[import-untyped]

from hogbox.context import Context
from hogbox.integrations._request import report, request_context
from hogbox.integrations.django.client import current
from hogbox.integrations.django.configuration import configuration
from hogbox.integrations.django.stream import keep_context

log = logging.getLogger("hogbox")

_ANSWERED: Final = (Http404, PermissionDenied, BadRequest, SuspiciousOperation, MultiPartParserError)
"""What Django answers with 400, 403 or 404: the way to say so, not a fault of the application."""


class PostHogMiddleware:
    """Opens the request's context, and reports the exceptions that escape views, or streams. Put it first.

    Whose request it is: who is signed in, else the distinct id of the tracing headers. The user is looked up when
    somebody asks, and then anew each time, so that a request that captures nothing makes no query, and one that signs
    somebody in captures what follows as theirs.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Raises ConfigurationError where the HOGBOX setting can't be used."""
        configuration()
        self.get_response = get_response
        self._asynchronous = bool(iscoroutinefunction(get_response))
        if self._asynchronous:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """The response, unchanged."""
        if self._asynchronous:
            return self._respond(request)
        with _context_of(request) as context:
            return keep_context(self.get_response(request), context, _report_streaming)

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        with _context_of(request) as context:
            return keep_context(await self.get_response(request), context, _report_streaming)

    def process_exception(self, _: HttpRequest, error: Exception) -> None:
        """Capture what Django is about to answer with 500; the transaction of the view is rolled back already."""
        if not isinstance(error, _ANSWERED):
            report(_Reporter(), error)


class _Reporter:
    """Captures on Django's connection, which holds no transaction of the request any more: it commits by itself.

    In a test case, the connection is in the test's transaction, and the test sees the event. Where it is lost, or in a
    transaction that can only be rolled back or that nobody but its owner commits, hogbox uses one of its own.
    """

    def capture_exception(self, ctx: Any, error: object = None, **options: Any) -> str | None:
        connection = connections[configuration().alias]
        return current.get().capture_exception(connection if _is_usable(connection) else ctx, error, **options)


def _is_usable(connection: Any) -> bool:
    if connection.needs_rollback or not (connection.in_atomic_block or connection.get_autocommit()):
        return False
    return not connection.errors_occurred or bool(connection.is_usable())


def _report_streaming(error: Exception) -> None:
    """The status has been sent already."""
    report(_Reporter(), error, status=None)


def _context_of(request: HttpRequest) -> AbstractContextManager[Context]:
    configured = configuration()
    return request_context(
        request.headers.get,
        find_distinct_id=lambda: _user_distinct_id(request),
        personless=configured.personless,
        tracing_headers=configured.capture_tracing_headers,
        url_query=configured.capture_url_query,
        url=_url(request),
        method=request.method,
        path=request.path,
        ip=request.META.get("REMOTE_ADDR"),
    )


def _url(request: HttpRequest) -> str | None:
    try:
        return str(request.build_absolute_uri())
    except DisallowedHost:
        return None


def _user_distinct_id(request: HttpRequest) -> Any:
    """The distinct id of who is signed in, or None; that a user can't be looked up breaks no request."""
    try:
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return None
        chosen = configuration().user_distinct_id
        return user.pk if chosen is None else chosen(user)
    except SynchronousOnlyOperation:
        raise
    except Exception:
        log.warning("hogbox can't tell who is signed in", exc_info=True)
        return None
