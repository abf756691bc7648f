"""Request context: current user and default properties (wire protocol 9).

    with new_context(distinct_id="ada", tags={"plan": "pro"}):
        posthog.capture(session, "order placed")  # an event of ada's, with plan=pro

A context applies to the code inside its block, and to tasks and threads that are started with a copy of its
`contextvars`: `asyncio` tasks, `asyncio.to_thread`, the thread pools of web frameworks. They share it: a change in one
is visible in all. Concurrent requests have contexts of their own. Not to be confused with `ctx`, the caller's
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from uuid import UUID

from hogbox._events.builder import require_properties, require_text
from hogbox._events.identity import resolve
from hogbox.errors import ConfigurationError, NoContext

__all__ = [
    "Context",
    "get_context",
    "identify_context",
    "new_context",
    "set_context_session",
    "tag",
    "use_context",
]

_SESSION: Final = "$session_id"
_TAGS: Final = "$context_tags"


class _CapturingClient(Protocol):
    """A client, which captures the exceptions that leave a context."""

    def _report_escaped(self, error: BaseException) -> None: ...


@dataclass(slots=True, weakref_slot=True)
class Context:
    """The current user and the default properties of events. Change it with the functions of this module."""

    distinct_id: str | None = None
    """The distinct id for events and flags, unless `identify` or an argument gives another one."""
    session_id: str | None = None
    """Sent as `$session_id`."""
    personless: bool = True
    """Without a distinct id: whether events are captured without a person and flags are inconclusive, instead of an
    error (MissingDistinctId)."""
    properties: dict[str, Any] = field(default_factory=dict)
    """Properties of the request, such as `$current_url`."""
    tags: dict[str, Any] = field(default_factory=dict)
    """Properties that the application sets; their names are sent as `$context_tags`."""
    find_distinct_id: Callable[[], str | int | UUID | None] | None = None
    """Called each time that a distinct id is needed; `distinct_id` applies if it returns None."""

    def person(self) -> str | None:
        """The current distinct id, or None if it is unknown. Raises what `find_distinct_id` raises."""
        found = None if self.find_distinct_id is None else self.find_distinct_id()
        return self.distinct_id if found is None else resolve(None, found)

    def event_properties(self) -> dict[str, Any]:
        """The properties that this context adds to an event; the properties of the call have precedence."""
        properties = {**self.properties, **self.tags}
        if self.tags:
            properties[_TAGS] = sorted(self.tags)
        if self.session_id is not None:
            properties[_SESSION] = self.session_id
        return properties

    def copy(self) -> Context:
        """A copy: changes to it do not affect this context."""
        return replace(self, properties={**self.properties}, tags={**self.tags})


_current: ContextVar[Context | None] = ContextVar("hogbox_context", default=None)


get_context: Final = _current.get
"""The current context, or None outside of any."""


@contextmanager
def new_context(
    *,
    distinct_id: str | int | UUID | None = None,
    session_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
    personless: bool | None = None,
    find_distinct_id: Callable[[], str | int | UUID | None] | None = None,
    fresh: bool = False,
    capture_exceptions: bool = False,
    client: _CapturingClient | None = None,
) -> Iterator[Context]:
    """Open a context for a `with` block: a copy of the current context, if there is one, with these changes.

    Arguments:
        distinct_id: The distinct id for events and flags. The `identify` callback and the argument of a call have
            precedence.
        session_id: Sent as `$session_id`, which links events to a session of PostHog's web client.
        tags: Properties to add to every event; their names are sent as `$context_tags`.
        properties: Properties of the request to add to every event, such as `$current_url`.
        personless: Without a distinct id, capture events without a person, and flags are inconclusive (the default).
            False: raise MissingDistinctId instead.
        find_distinct_id: Returns the distinct id of the signed-in user, or None; called each time that a distinct id is
            needed, before `distinct_id`.
        fresh: Do not copy the current context.
        capture_exceptions: Capture an exception that leaves the block, with this context, and raise it further.
        client: The client that captures it: a PostHog, AsyncPostHog or BoundPostHog.

    Events of `identify`, `group_identify` and `alias` get neither tags nor properties. Raises InvalidEvent for invalid
    arguments, ConfigurationError for `capture_exceptions` without a client.
    """
    if capture_exceptions and client is None:
        raise ConfigurationError(
            "capture_exceptions needs a client: new_context(capture_exceptions=True, client=posthog)"
        )
    outer = None if fresh else _current.get()
    context = outer.copy() if outer else Context()
    if distinct_id is not None:
        # Without the outer context's callback, which would have precedence over the id that is given here.
        context.distinct_id, context.find_distinct_id = resolve(None, distinct_id), None
    if find_distinct_id is not None:
        context.find_distinct_id = find_distinct_id
    if session_id is not None:
        context.session_id = require_text(session_id, "session_id")
    if personless is not None:
        context.personless = personless
    context.tags.update(require_properties(tags))
    context.properties.update(require_properties(properties))
    with use_context(context):
        try:
            yield context
        except Exception as error:
            if capture_exceptions and client is not None:
                client._report_escaped(error)
            raise


@contextmanager
def use_context(context: Context) -> Iterator[None]:
    """Enter an existing context again for a `with` block; changes made in the block remain.

    For work that continues after the block that opened the context, such as a streamed response.
    """
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def identify_context(distinct_id: str | int | UUID) -> None:
    """Set the distinct id of the current context. Raises NoContext, or InvalidEvent for an invalid distinct id."""
    context = _require()
    context.distinct_id, context.find_distinct_id = resolve(None, distinct_id), None


def set_context_session(session_id: str) -> None:
    """Set the session id of the current context. Raises NoContext, or InvalidEvent for an invalid session id."""
    _require().session_id = require_text(session_id, "session_id")


def tag(name: str, value: Any) -> None:
    """Add a property to all further events in the current context. Raises NoContext, or InvalidEvent for a bad name."""
    _require().tags[require_text(name, "the name of a tag")] = value


def _require() -> Context:
    context = _current.get()
    if context is None:
        raise NoContext()
    return context
