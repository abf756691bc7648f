"""Middleware: the context of a request, from before Flask until the body is sent; captures unhandled exceptions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from flask import Flask, has_request_context, request
from werkzeug.exceptions import HTTPException

from hogbox._wire.tracing import request_properties
from hogbox.client import PostHog
from hogbox.context import Context, get_context, use_context
from hogbox.integrations._request import Reported, report, request_context
from hogbox.integrations._request_option import RequestOptions, RequestProperties

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

T = TypeVar("T")

FindDistinctId = Callable[[], str | int | UUID | None]

log = logging.getLogger("hogbox")

_ESCAPED: Final = "hogbox.escaped"
_REPORTED: Final = "hogbox.reported"


class Middleware:
    """Wraps an application's `wsgi_app`.

    Exceptions are captured in a transaction of their own, after Flask has ended the request and its session: on SQLite,
    the capture would wait for the request's transaction otherwise.
    """

    def __init__(
        self, wsgi_app: WSGIApplication, posthog: PostHog, distinct_id: FindDistinctId | None, options: RequestOptions
    ) -> None:
        self._wsgi_app = wsgi_app
        self._posthog = posthog
        self._distinct_id = distinct_id
        self._options = options

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        properties = RequestProperties(self._options)
        with request_context(
            lambda name: environ.get(f"HTTP_{name.upper().replace('-', '_')}"),
            options=self._options,
            properties=properties,
            find_distinct_id=_SignedIn(self._distinct_id) if self._distinct_id else None,
        ) as context:
            escaped = _Escaped(self._posthog, self._options, properties, environ.setdefault(_REPORTED, Reported()))
            body = self._run(environ, escaped.watch(start_response), escaped)
        kind = environ.get("wsgi.file_wrapper")
        if isinstance(kind, type) and isinstance(body, kind):
            return body  # for the server to send without reading it
        return _Body(body, context, escaped)

    def describe(self, _app: Flask, **_: object) -> None:
        """Add the request's properties to the context, as Flask sees them: after corrections by other middleware."""
        context, escaped = get_context(), request.environ.get(_ESCAPED)
        if context is None or escaped is None:
            return
        if not self._options.admits(request):
            escaped.leave_out(context)
            return
        with suppress(HTTPException):  # a host that is not trusted, which Flask answers
            known = request_properties(
                url=request.url,
                url_query=self._options.capture_url_query,
                method=request.method,
                path=request.script_root + request.path,
                ip=request.remote_addr,
            )
            escaped.properties.add(known)
        if request.url_rule is not None:
            escaped.properties.add({"$request_route": request.url_rule.rule})
        escaped.properties.add_extra(self._options.properties_of(request))

    def note(self, _app: Flask, exception: BaseException, **_: object) -> None:
        """Remember an exception that becomes a 500, and the user, until the request has ended."""
        escaped = request.environ.get(_ESCAPED)
        if escaped is None:
            return
        escaped.errors.append(exception)
        with suppress(Exception):  # the database may be what failed
            if (context := get_context()) is not None:
                context.person()

    def _run(self, environ: WSGIEnvironment, start_response: StartResponse, escaped: _Escaped) -> Iterable[bytes]:
        outer = environ.get(_ESCAPED)
        environ[_ESCAPED] = escaped
        try:
            return self._wsgi_app(environ, start_response)
        except Exception as error:
            escaped.errors.append(error)
            escaped.status = None  # what the application began to answer is replaced by the server's own 500
            raise
        finally:
            environ[_ESCAPED] = outer
            escaped.report()


class _Escaped:
    """The exceptions that escape one request."""

    def __init__(
        self, posthog: PostHog, options: RequestOptions, properties: RequestProperties, reported: Reported
    ) -> None:
        self.properties = properties
        self.errors: list[BaseException] = []
        self._posthog = posthog
        self._captures = options.capture_exceptions
        self._reported = reported
        self.status: int | None = None

    def watch(self, start_response: StartResponse) -> StartResponse:
        """The same function, which notes the status of the response."""

        def start(status: str, *args: Any) -> Callable[[bytes], object]:
            with suppress(ValueError):
                self.status = int(status[:3])
            return start_response(status, *args)

        return start

    def leave_out(self, context: Context) -> None:
        """Capture no exceptions of this request, and empty its context."""
        self._captures = False
        self.properties.clear()
        context.distinct_id = context.session_id = context.find_distinct_id = None
        context.personless = True

    def report(self) -> None:
        """Capture the exceptions."""
        errors, self.errors = self.errors, []
        for error in errors:
            if self._captures and self._reported.add(self._posthog, error):
                report(self._posthog, error, status=self.status or 500)


class _SignedIn:
    """The distinct id of the signed-in user; remembered for when Flask's request context has ended."""

    def __init__(self, find: FindDistinctId) -> None:
        self._find = find
        self._found: str | int | UUID | None = None

    def __call__(self) -> str | int | UUID | None:
        if has_request_context():
            try:
                self._found = self._find()
            except Exception:
                log.warning("the distinct id of the signed-in user can't be read", exc_info=True)
                return None
        return self._found


class _Body:
    """A response's body: the code that produces it runs in the request's context, part by part."""

    def __init__(self, body: Iterable[bytes], context: Context, escaped: _Escaped) -> None:
        self._body = body
        self._components = iter(body)
        self._context = context
        self._escaped = escaped

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._do(self._components.__next__)

    def close(self) -> None:
        """Let Flask end the response."""
        close: Callable[[], None] | None = getattr(self._body, "close", None)
        if close is not None:
            self._do(close)

    def _do(self, act: Callable[[], T]) -> T:
        with use_context(self._context):
            try:
                return act()
            except StopIteration:
                raise
            except Exception as error:
                self._escaped.errors.append(error)
                self._escaped.report()
                raise
