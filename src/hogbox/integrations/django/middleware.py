"""Middleware: the context of each request, and its unhandled exceptions."""

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
"""Exceptions that Django turns into a 400, 403 or 404: not errors of the application."""


class PostHogMiddleware:
    """Opens a context for each request, and captures unhandled exceptions of views and streams. Put it first.

    The distinct id is that of the signed-in user, else that of the tracing headers. The user is looked up each time
    that a distinct id is needed: a request that captures nothing makes no query, and events after a sign-in within the
    request belong to the new user.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Raises ConfigurationError if the HOGBOX setting is invalid."""
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
        """Capture an exception that Django turns into a 500; the view's transaction is already rolled back."""
        if not isinstance(error, _ANSWERED):
            report(_Reporter(), error)


class _Reporter:
    """Captures on Django's connection, which has no transaction of the request any more, so the event is committed.

    In a test case, the connection is in the test's transaction, and the test sees the event. If the connection is lost,
    or in a transaction that must be rolled back or that only its owner commits, hogbox uses one of its own.
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
    """The distinct id of the signed-in user, or None; a failed lookup is logged and does not break the request."""
    try:
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return None
        chosen = configuration().user_distinct_id
        return user.pk if chosen is None else chosen(user)
    except SynchronousOnlyOperation:
        raise
    except Exception:
        log.warning("the distinct id of the signed-in user can't be read", exc_info=True)
        return None
