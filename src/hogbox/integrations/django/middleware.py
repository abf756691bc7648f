"""Middleware: the context of each request, and its unhandled exceptions."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
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
from hogbox.integrations._request import Reported, empty_context, report, request_context
from hogbox.integrations._request_option import RequestOptions, RequestProperties
from hogbox.integrations.django.client import current
from hogbox.integrations.django.configuration import configuration
from hogbox.integrations.django.stream import keep_context

log = logging.getLogger("hogbox")

_ANSWERED: Final = (Http404, PermissionDenied, BadRequest, SuspiciousOperation, MultiPartParserError)
"""Exceptions that Django turns into a 400, 403 or 404: not errors of the application."""

_WATCH: Final = "_hogbox_watch"


class PostHogMiddleware:
    """Opens a context for each request, and captures unhandled exceptions of views and streams. Put it first.

    The distinct id is that of the signed-in user, else that of the tracing headers. The user is looked up each time
    that a distinct id is needed: a request that captures nothing makes no query, and events after a sign-in within the
    request belong to the new user. Listed twice, it is one.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Raises ConfigurationError if the HOGBOX setting is invalid."""
        options = configuration().requests
        self.get_response = get_response
        self._asynchronous = bool(iscoroutinefunction(get_response))
        if self._asynchronous:
            markcoroutinefunction(self)
        if options.extra_properties is not None:
            # Only then: in asynchronous servers, Django calls it in a thread.
            self.process_view = self._add_properties

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """The response, unchanged."""
        if self._asynchronous:
            return self._respond(request)
        if find_watch(request) is not None:
            return self.get_response(request)
        with _watched(request) as (watch, context):
            response = self.get_response(request)
            watch.report_handled()
            return keep_context(response, context, watch.report)

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        if find_watch(request) is not None:
            return await self.get_response(request)
        with _watched(request) as (watch, context):
            response = await self.get_response(request)
            if watch.has_handled:
                await sync_to_async(watch.report_handled)()
            return keep_context(response, context, watch.report)

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        """Capture an exception that Django turns into a 500; the view's transaction is already rolled back."""
        watch = find_watch(request)
        if watch is not None and not isinstance(error, _ANSWERED):
            watch.report(error, status=500)

    def _add_properties(self, request: HttpRequest, *_: object) -> None:
        """Add the application's properties, once the other middleware has found the user."""
        watch = find_watch(request)
        if watch is not None and watch.properties is not None:
            watch.properties.add_extra(configuration().requests.properties_of(request))


class RequestWatch:
    """What the middleware remembers of one request."""

    def __init__(self, properties: RequestProperties | None) -> None:
        self.properties: Final = properties
        """The properties of the request; None for one that is left out."""
        self._handled: list[tuple[BaseException, int]] = []
        self._reported = Reported()
        self._captures = configuration().requests.capture_exceptions

    @property
    def has_handled(self) -> bool:
        """Whether `report_handled` has something to capture."""
        return bool(self._handled)

    def report(self, error: BaseException, *, status: int | None) -> None:
        """Capture an exception of the request, the first time."""
        if self._captures:
            self._report(error, status, handled=False)

    def note_handled(self, error: BaseException, status: int, captures: bool | None) -> None:
        """Remember an exception that was turned into a response, until the request's transaction has ended.

        `captures` is whether to capture it; None: as the settings say.
        """
        if self._captures if captures is None else captures:
            self._handled.append((error, status))

    def report_handled(self) -> None:
        """Capture the handled exceptions."""
        handled, self._handled = self._handled, []
        for error, status in handled:
            self._report(error, status, handled=True)

    def _report(self, error: BaseException, status: int | None, *, handled: bool) -> None:
        if self.properties is not None and self._reported.add(None, error):
            report(_Reporter(), error, status=status, handled=handled)


def find_watch(request: HttpRequest) -> RequestWatch | None:
    """The watch of the middleware over this request; None if it did not run."""
    watch = getattr(request, _WATCH, None)
    return watch if isinstance(watch, RequestWatch) else None


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


@contextmanager
def _watched(request: HttpRequest) -> Iterator[tuple[RequestWatch, Context]]:
    options = configuration().requests
    properties = RequestProperties(options, partial(_route, request)) if options.admits(request) else None
    watch = RequestWatch(properties)
    setattr(request, _WATCH, watch)
    try:
        with empty_context() if properties is None else _context_of(request, options, properties) as context:
            yield watch, context
    finally:
        delattr(request, _WATCH)


def _context_of(
    request: HttpRequest, options: RequestOptions, properties: RequestProperties
) -> AbstractContextManager[Context]:
    return request_context(
        request.headers.get,
        options=options,
        properties=properties,
        find_distinct_id=lambda: _user_distinct_id(request),
        url=_url(request),
        method=request.method,
        path=request.path,
        ip=request.META.get("REMOTE_ADDR"),
    )


def _route(request: HttpRequest) -> str | None:
    """The template of the path, such as `/orders/<int:number>`, once Django has found the view."""
    found = request.resolver_match
    return None if found is None else f"/{found.route}"


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
