"""Request context: whose request this is, and what every event captured in it tells besides (wire protocol 9).

    with new_context(distinct_id="ada", tags={"plan": "pro"}):
        posthog.capture(session, "order placed")  # ada's, with plan=pro

A context belongs to the code that it was opened around, and to the tasks and threads that are started with a copy of
its `contextvars`: `asyncio` tasks, `asyncio.to_thread`, the thread pools of web frameworks. What these change in it,
all of them see. Requests beside it see nothing of it. Not to be confused with `ctx`, the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from hogbox._events.builder import require_properties, require_text
from hogbox._events.identity import resolve
from hogbox.errors import NoContext

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


@dataclass(slots=True, weakref_slot=True)
class Context:
    """What is known of the work that is done now. Change it with the functions of this module."""

    distinct_id: str | None = None
    """Whose events, and whose flags, where neither `identify` nor the argument says otherwise."""
    session_id: str | None = None
    personless: bool = True
    """Whether an event without a distinct id is captured without a person, and a flag is inconclusive; else they raise
    MissingDistinctId."""
    properties: dict[str, Any] = field(default_factory=dict)
    """What is known of the request, such as `$current_url`."""
    tags: dict[str, Any] = field(default_factory=dict)
    """What the application says of it."""
    find_distinct_id: Callable[[], str | int | UUID | None] | None = None
    """Asked each time that somebody has to be named, before `distinct_id`; None where nobody is known."""

    def person(self) -> str | None:
        """Whose events and flags, as far as it is known now. Raises what `find_distinct_id` raises."""
        found = None if self.find_distinct_id is None else self.find_distinct_id()
        return self.distinct_id if found is None else resolve(None, found)

    def event_properties(self) -> dict[str, Any]:
        """What an event captured in this context tells of it; the properties of the call win over these."""
        told = {**self.properties, **self.tags}
        if self.tags:
            told[_TAGS] = sorted(self.tags)
        if self.session_id is not None:
            told[_SESSION] = self.session_id
        return told

    def copy(self) -> Context:
        """The same, to be changed without a change here."""
        return replace(self, properties={**self.properties}, tags={**self.tags})


_current: ContextVar[Context | None] = ContextVar("hogbox_context", default=None)


get_context: Final = _current.get
"""The context that is open here, or None."""


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
) -> Iterator[Context]:
    """Open a context for a `with` block: what is open already, as it is now, and what is given here.

    Arguments:
        distinct_id: Whose events and flags. The `identify` callback and the argument of a call win over it.
        session_id: Sent as `$session_id`, which links events to a session of PostHog's web client.
        tags: What the application wants told of all events; their names are sent as `$context_tags`.
        properties: The same, for what is known of the request, such as `$current_url`.
        personless: Where nobody is named, capture events without a person, and flags are inconclusive: the default.
            False: they raise MissingDistinctId.
        find_distinct_id: Asked each time that somebody has to be named, before `distinct_id`; for who is signed in.
        fresh: Take nothing over from the context that is open.

    Neither tags nor properties are told of `identify`, `group_identify` and `alias`. Raises InvalidEvent for values
    that can't be what they are said to be.
    """
    outer = None if fresh else _current.get()
    context = outer.copy() if outer else Context()
    if distinct_id is not None:
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
        yield context


@contextmanager
def use_context(context: Context) -> Iterator[None]:
    """Be in a context that was opened before, for a `with` block: what is changed in it stays changed.

    For work that goes on when the block that opened it has ended, such as a response that is streamed.
    """
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def identify_context(distinct_id: str | int | UUID) -> None:
    """Say whose events and flags these are from here on. Raises NoContext, or InvalidEvent for what is no id."""
    context = _require()
    context.distinct_id, context.find_distinct_id = resolve(None, distinct_id), None


def set_context_session(session_id: str) -> None:
    """Say which session these events belong to. Raises NoContext, or InvalidEvent for what is no text."""
    _require().session_id = require_text(session_id, "session_id")


def tag(name: str, value: Any) -> None:
    """Have every event from here on tell this. Raises NoContext, or InvalidEvent for a name that is no text."""
    _require().tags[require_text(name, "the name of a tag")] = value


def _require() -> Context:
    context = _current.get()
    if context is None:
        raise NoContext()
    return context
