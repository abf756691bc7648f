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

CLIENT_NAMES: Final[dict[type[PostHog | AsyncPostHog], str]] = {PostHog: "posthog", AsyncPostHog: "async_posthog"}
"""The attribute of an application's state that holds a client, by its kind."""

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


def request_context(
    header: Callable[[str], object],
    *,
    distinct_id: str | int | UUID | None = None,
    find_distinct_id: Callable[[], str | int | UUID | None] | None = None,
    personless: bool = True,
    tracing_headers: bool = True,
    url_query: bool = False,
    url: str | None = None,
    method: str | None = None,
    path: str | None = None,
    ip: str | None = None,
) -> AbstractContextManager[Context]:
    """The context of one request, without the values of an outer context.

    Arguments:
        header: Returns the value of a header by its name, in any case, or None.
        distinct_id: The distinct id of the signed-in user; has precedence over the header.
        find_distinct_id: The same as a function, called each time that a distinct id is needed.
        personless: Whether events of anonymous visitors are captured without a person, instead of raising
            MissingDistinctId.
        tracing_headers: Whether to read the distinct id and the session from the tracing headers. Anyone can send them.
        url_query: Whether `$current_url` includes the query.
        url, method, path, ip: Properties of the request; the path without its query.

    A distinct id from a header is ignored if PostHog would garble it: otherwise, anyone could fill the dead letters.
    """
    claimed = clean_header(header(DISTINCT_ID)) if tracing_headers else None
    if claimed is not None and garbled(claimed) is not None:
        claimed = None
    agent = clean_header(header("User-Agent"))
    known = request_properties(url=url, url_query=url_query, method=method, path=path, user_agent=agent, ip=ip)
    return new_context(
        distinct_id=claimed if distinct_id is None else distinct_id,
        session_id=clean_header(header(SESSION_ID)) if tracing_headers else None,
        properties=known,
        personless=personless,
        find_distinct_id=find_distinct_id,
        fresh=True,
    )


def report(posthog: Reporter, error: BaseException, *, status: int | None = 500) -> None:
    """Capture an unhandled exception of a request in a transaction of its own. Never raises: errors are logged."""
    try:
        posthog.capture_exception(None, error, handled=False, properties=_answer(status))
    except Exception:
        log.exception("an exception of a request could not be captured")


async def report_async(posthog: AsyncReporter, error: BaseException, *, status: int | None = 500) -> None:
    """The same for an asynchronous client."""
    try:
        await posthog.capture_exception(None, error, handled=False, properties=_answer(status))
    except Exception:
        log.exception("an exception of a request could not be captured")


def _answer(status: int | None) -> dict[str, Any]:
    return {} if status is None else {"$response_status_code": status}
