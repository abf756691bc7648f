"""Web requests: what every web framework's integration does with one.

It opens the request's context, from the tracing headers and what is known of the request, and reports the exception
that escapes it. Headers are hints for analytics, never a proof of who somebody is.
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
    """What can capture an exception: `PostHog`."""

    def capture_exception(
        self, ctx: Any, error: object = None, *, handled: bool = True, properties: Mapping[str, Any] | None = None
    ) -> str | None: ...


class AsyncReporter(Protocol):
    """What can capture an exception and is awaited: `AsyncPostHog`."""

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
    """The context of one request, fresh: nothing is taken over from what runs around it.

    Arguments:
        header: Gives the value of a header by its name, whatever the case, or None.
        distinct_id: Who the application knows to have sent it; wins over the header.
        find_distinct_id: The same where that can't be told yet; asked each time that somebody has to be named.
        personless: Whether events of a visitor who is not signed in are captured without a person; else they raise.
        tracing_headers: Whether the headers may say whose request it is, and which session. Anybody can send them.
        url_query: Whether `$current_url` keeps its query.
        url, method, path, ip: What is known of the request; the path without its query.

    A distinct id of a header that PostHog would garble counts as none: whoever sends requests could fill the dead
    letters otherwise.
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
    """Capture an exception that escaped a request, in a transaction of its own; never raises one instead of it."""
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
