"""Request context: whose request this is, and what every event captured in it tells besides (wire protocol 9).

    with new_context(distinct_id="ada", tags={"plan": "pro"}):
        posthog.capture(session, "order placed")  # ada's, with plan=pro

A context belongs to the code that it was opened around, and to the tasks and threads that are started with a copy of
its `contextvars`: `asyncio` tasks, `asyncio.to_thread`, the thread pools of web frameworks. What these change in it,
all of them see. Requests beside it see nothing of it. Not to be confused with `ctx`, the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from hogbox._events.identity import resolve
from hogbox._events.shape import require_properties, require_text
from hogbox.errors import MissingDistinctId, NoContext

SESSION: Final = "$session_id"
TAGS: Final = "$context_tags"


@dataclass(slots=True)
class Context:
    """What is known of the work that is done now. Change it with the functions of this module."""

    distinct_id: str | None = None
    """Whose events, and whose flags, where neither `identify` nor the argument says otherwise."""
    session_id: str | None = None
    personless: bool = False
    """Whether an event without a distinct id is captured all the same, as nobody's."""
    properties: dict[str, Any] = field(default_factory=dict)
    """What is known of the request, such as `$current_url`."""
    tags: dict[str, Any] = field(default_factory=dict)
    """What the application says of it."""

    def event_properties(self) -> dict[str, Any]:
        """What an event captured in this context tells of it; the properties of the call win over these."""
        told = {**self.properties, **self.tags}
        if self.tags:
            told[TAGS] = sorted(self.tags)
        if self.session_id is not None:
            told[SESSION] = self.session_id
        return told

    def copy(self) -> Context:
        """The same, to be changed without a change here."""
        return Context(self.distinct_id, self.session_id, self.personless, {**self.properties}, {**self.tags})


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
    fresh: bool = False,
) -> Iterator[Context]:
    """Open a context for a `with` block: what is open already, as it is now, and what is given here.

    Arguments:
        distinct_id: Whose events and flags. The `identify` callback and the argument of a call win over it.
        session_id: Sent as `$session_id`, which links events to a session of PostHog's web client.
        tags: What the application wants told of all events; their names are sent as `$context_tags`.
        properties: The same, for what is known of the request, such as `$current_url`.
        personless: Capture events though nobody is named, as nobody's; flags are inconclusive then. Otherwise an event
            without a distinct id raises MissingDistinctId.
        fresh: Take nothing over from the context that is open.

    Neither tags nor properties are told of `identify`, `group_identify` and `alias`. Raises InvalidEvent for values
    that can't be what they are said to be.
    """
    outer = None if fresh else _current.get()
    context = outer.copy() if outer else Context()
    if distinct_id is not None:
        context.distinct_id = resolve(None, distinct_id)
    if session_id is not None:
        context.session_id = require_text(session_id, "session_id")
    if personless is not None:
        context.personless = personless
    context.tags.update(require_properties(tags))
    context.properties.update(require_properties(properties))
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def identify_context(distinct_id: str | int | UUID) -> None:
    """Say whose events and flags these are from here on. Raises NoContext, or InvalidEvent for what is no id."""
    _require().distinct_id = resolve(None, distinct_id)


def set_context_session(session_id: str) -> None:
    """Say which session these events belong to. Raises NoContext, or InvalidEvent for what is no text."""
    _require().session_id = require_text(session_id, "session_id")


def tag(name: str, value: Any) -> None:
    """Have every event from here on tell this. Raises NoContext, or InvalidEvent for a name that is no text."""
    _require().tags[require_text(name, "the name of a tag")] = value


def whose(identified: object, argument: object) -> str | None:
    """The distinct id: what the `identify` callback returned, else the argument, else the context's.

    None, for nobody, in a personless context that names none. Raises MissingDistinctId otherwise, and InvalidEvent for
    a value that can't be an id.
    """
    if identified is not None or argument is not None:
        return resolve(identified, argument)
    context = _current.get()
    if context is None or (context.distinct_id is None and not context.personless):
        raise MissingDistinctId()
    return context.distinct_id


def require_person(person: str | None) -> str:
    """The same, where there has to be one. Raises MissingDistinctId."""
    if person is None:
        raise MissingDistinctId()
    return person


def _require() -> Context:
    context = _current.get()
    if context is None:
        raise NoContext()
    return context
