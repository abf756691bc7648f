"""Middleware: the context of a request, from before Flask until the body is sent; captures unhandled exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from uuid import UUID

from flask import Flask, has_request_context, request
from werkzeug.exceptions import HTTPException

from hogbox._wire.tracing import request_properties
from hogbox.client import PostHog
from hogbox.context import Context, get_context, use_context
from hogbox.integrations._request import report, request_context

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

T = TypeVar("T")

FindDistinctId = Callable[[], str | int | UUID | None]

_ESCAPED: Final = "hogbox.escaped"


class RequestOptions(NamedTuple):
    """The extension's options for requests."""

    personless: bool
    tracing_headers: bool
    url_query: bool


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
        with request_context(
            lambda name: environ.get(f"HTTP_{name.upper().replace('-', '_')}"),
            find_distinct_id=_SignedIn(self._distinct_id) if self._distinct_id else None,
            personless=self._options.personless,
            tracing_headers=self._options.tracing_headers,
        ) as context:
            body = self._run(environ, start_response)
        kind = environ.get("wsgi.file_wrapper")
        if isinstance(kind, type) and isinstance(body, kind):
            return body  # for the server to send without reading it
        return _Body(body, context, self._posthog)

    def describe(self, _app: Flask, **_: object) -> None:
        """Add the request's properties to the context, as Flask sees them: after corrections by other middleware."""
        context = get_context()
        if context is None or _ESCAPED not in request.environ:
            return
        with suppress(HTTPException):  # a host that is not trusted, which Flask answers
            known = request_properties(
                url=request.url,
                url_query=self._options.url_query,
                method=request.method,
                path=request.script_root + request.path,
                ip=request.remote_addr,
            )
            context.properties.update(known)

    def note(self, _app: Flask, exception: BaseException, **_: object) -> None:
        """Remember an exception that becomes a 500, and the user, until the request has ended."""
        escaped = request.environ.get(_ESCAPED)
        if escaped is None:
            return
        escaped.append(exception)
        with suppress(Exception):  # the database may be what failed
            if (context := get_context()) is not None:
                context.person()

    def _run(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        escaped: list[BaseException] = []
        environ[_ESCAPED] = escaped
        try:
            return self._wsgi_app(environ, start_response)
        except Exception as error:
            if not any(error is one for one in escaped):
                escaped.append(error)
            raise
        finally:
            environ.pop(_ESCAPED, None)
            for one in escaped:
                report(self._posthog, one)
            escaped.clear()


class _SignedIn:
    """The distinct id of the signed-in user; remembered for when Flask's request context has ended."""

    def __init__(self, find: FindDistinctId) -> None:
        self._find = find
        self._found: str | int | UUID | None = None

    def __call__(self) -> str | int | UUID | None:
        if has_request_context():
            self._found = self._find()
        return self._found


class _Body:
    """A response's body: the code that produces it runs in the request's context, part by part."""

    def __init__(self, body: Iterable[bytes], context: Context, posthog: PostHog) -> None:
        self._body = body
        self._components = iter(body)
        self._context = context
        self._posthog = posthog

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
                report(self._posthog, error, status=None)
                raise
