"""Web requests: the parts that the integrations of all web frameworks share.

They open the request's context, from the tracing headers and the properties of the request, and capture unhandled
exceptions. Headers are hints for analytics, never a proof of identity.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol
from uuid import UUID

from hogbox._events.identity import garbled
from hogbox._wire.tracing import DISTINCT_ID, SESSION_ID, clean_header, request_properties
from hogbox.aio import AsyncPostHog
from hogbox.client import PostHog
from hogbox.context import Context, new_context
from hogbox.integrations._request_option import RequestOptions, RequestProperties

CLIENT_NAMES: Final[dict[type[PostHog | AsyncPostHog], str]] = {PostHog: "posthog", AsyncPostHog: "async_posthog"}
"""The attribute of an application's state that holds a client, by its kind."""

USUAL: Final = RequestOptions()

log = logging.getLogger("hogbox")


class Reporter(Protocol):
    """A client that can capture an exception: `PostHog`."""

    def capture_exception(
        self, ctx: Any, error: object = None, *, handled: bool = True, properties: Mapping[str, Any] | None = None
    ) -> str | None: ...


class AsyncReporter(Protocol):
    """An asynchronous client that can capture an exception: `AsyncPostHog`."""

    async def capture_exception(
        self, ctx: Any, error: object = None, *, handled: bool = True, properties: Mapping[str, Any] | None = None
    ) -> str | None: ...


class Reported:
    """The exceptions of a request that were captured, by client: several middlewares may see the same one."""

    def __init__(self) -> None:
        self._seen: list[tuple[object, BaseException]] = []

    def add(self, posthog: object, error: BaseException) -> bool:
        """Whether this client has not captured this exception in this request yet."""
        if any(client is posthog and seen is error for client, seen in self._seen):
            return False
        self._seen.append((posthog, error))
        return True


def request_context(
    header: Callable[[str], object],
    *,
    options: RequestOptions = USUAL,
    properties: RequestProperties | None = None,
    distinct_id: str | int | UUID | None = None,
    find_distinct_id: Callable[[], str | int | UUID | None] | None = None,
    url: str | None = None,
    method: str | None = None,
    path: str | None = None,
    ip: str | None = None,
) -> AbstractContextManager[Context]:
    """The context of one request, without the values of an outer context.

    Arguments:
        header: Returns the value of a header by its name, in any case, or a list of its values, or None.
        options: The options of the middleware.
        properties: Receives the properties of the request.
        distinct_id: The distinct id of the signed-in user; has precedence over the header.
        find_distinct_id: The same as a function, called each time that a distinct id is needed.
        url, method, path, ip: Properties of the request; the path without its query.

    A distinct id from a header is ignored if PostHog would garble it: otherwise, anyone could fill the dead letters.
    """
    trusted = options.capture_tracing_headers
    claimed = clean_header(header(DISTINCT_ID)) if trusted else None
    if claimed is not None and garbled(claimed) is not None:
        claimed = None
    agent = clean_header(header("User-Agent"))
    found = RequestProperties(options) if properties is None else properties
    found.add(
        request_properties(
            url=url, url_query=options.capture_url_query, method=method, path=path, user_agent=agent, ip=ip
        )
    )
    return new_context(
        distinct_id=claimed if distinct_id is None else distinct_id,
        session_id=clean_header(header(SESSION_ID)) if trusted else None,
        personless=options.personless,
        find_distinct_id=find_distinct_id,
        find_properties=found,
        fresh=True,
    )


def empty_context() -> AbstractContextManager[Context]:
    """The context of a request that the filter leaves out: without a person, a session or properties.

    Not no context: there, capturing without a distinct id raises, and the values of an outer context would apply.
    """
    return new_context(fresh=True)


def report(posthog: Reporter, error: BaseException, *, status: int | None = 500, handled: bool = False) -> None:
    """Capture an exception of a request in a transaction of its own. Never raises: errors are logged."""
    try:
        posthog.capture_exception(None, error, handled=handled, properties=_answer(status))
    except Exception:
        log.exception("an exception of a request could not be captured")


async def report_async(posthog: AsyncReporter, error: BaseException, *, status: int | None = 500) -> None:
    """The same for an asynchronous client and an unhandled exception."""
    try:
        await posthog.capture_exception(None, error, handled=False, properties=_answer(status))
    except Exception:
        log.exception("an exception of a request could not be captured")


def _answer(status: int | None) -> dict[str, Any]:
    return {} if status is None else {"$response_status_code": status}
