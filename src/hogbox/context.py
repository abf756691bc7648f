"""Request context: current user and default properties (wire protocol 9).

    with new_context(distinct_id="ada", tags={"plan": "pro"}):
        posthog.capture(session, "order placed")  # an event of ada's, with plan=pro

A context applies to the code inside its block, and to tasks and threads that are started with a copy of its
`contextvars`: `asyncio` tasks, `asyncio.to_thread`, the thread pools of web frameworks. They share it: a change in one
is visible in all. Concurrent requests have contexts of their own. Not to be confused with `ctx`, the caller's
transaction.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from typing import Any, Final, Protocol, TypedDict, TypeVar, Unpack, overload
from uuid import UUID

from hogbox._events.builder import require_properties, require_text
from hogbox._events.identity import resolve
from hogbox.errors import ConfigurationError, NoContext

__all__ = [
    "Context",
    "get_context",
    "get_context_device_id",
    "get_context_distinct_id",
    "get_context_session_id",
    "get_tags",
    "identify_context",
    "new_context",
    "scoped",
    "set_context_device_id",
    "set_context_session",
    "tag",
    "use_context",
]

_SESSION: Final = "$session_id"
_TAGS: Final = "$context_tags"

_Function = TypeVar("_Function", bound=Callable[..., Any])


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
    device_id: str | None = None
    """The device for flags that go by device, unless an argument gives another one."""
    find_properties: Callable[[], Mapping[str, Any]] | None = None
    """Called for each event: more properties of the request; `properties` and `tags` have precedence."""

    def person(self) -> str | None:
        """The current distinct id, or None if it is unknown. Raises what `find_distinct_id` raises."""
        found = None if self.find_distinct_id is None else self.find_distinct_id()
        return self.distinct_id if found is None else resolve(None, found)

    def event_properties(self) -> dict[str, Any]:
        """The properties that this context adds to an event; the properties of the call have precedence."""
        found = {} if self.find_properties is None else self.find_properties()
        properties = {**found, **self.properties, **self.tags}
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
    device_id: str | None = None,
    find_properties: Callable[[], Mapping[str, Any]] | None = None,
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
        device_id: The device for reads of flags that go by device.
        find_properties: Returns more properties of the request; called for each event, and must not raise. `properties`
            and `tags` have precedence.
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
    if find_properties is not None:
        context.find_properties = find_properties
    if session_id is not None:
        context.session_id = require_text(session_id, "session_id")
    if device_id is not None:
        context.device_id = require_text(device_id, "device_id")
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


class _Options(TypedDict, total=False):
    """The arguments of `new_context`."""

    distinct_id: str | int | UUID | None
    session_id: str | None
    tags: Mapping[str, Any] | None
    properties: Mapping[str, Any] | None
    personless: bool | None
    find_distinct_id: Callable[[], str | int | UUID | None] | None
    device_id: str | None
    find_properties: Callable[[], Mapping[str, Any]] | None
    fresh: bool
    capture_exceptions: bool
    client: _CapturingClient | None


@overload
def scoped(function: _Function, /) -> _Function: ...
@overload
def scoped(**options: Unpack[_Options]) -> Callable[[_Function], _Function]: ...
def scoped(function: Any = None, /, **options: Any) -> Any:
    """Decorate a function: each call runs in a context of its own, opened by `new_context` with these arguments.

        @scoped(tags={"job": "invoices"})
        def send_invoices() -> None: ...

    For functions, coroutine functions, generators and asynchronous generators. A generator's context is opened at its
    first step; what its caller does between two steps is not in it.

    Raises ConfigurationError for anything but a function, and at each call what `new_context` raises.
    """
    if function is None:
        return partial(_scoped, options)
    return _scoped(options, function)


def _scoped(options: dict[str, Any], function: Any) -> Any:
    if not callable(function) or isinstance(function, type):
        raise ConfigurationError(f"scoped decorates a function: @scoped(tags={{...}}), not {function!r}")
    if inspect.isasyncgenfunction(function):
        return _scoped_async_generator(options, function)
    if inspect.isgeneratorfunction(function):
        return _scoped_generator(options, function)
    if inspect.iscoroutinefunction(function):
        return _scoped_coroutine(options, function)

    @wraps(function)
    def run(*args: Any, **named: Any) -> Any:
        with new_context(**options):
            return function(*args, **named)

    return run


def _scoped_coroutine(options: dict[str, Any], function: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
    @wraps(function)
    async def run(*args: Any, **named: Any) -> Any:
        with new_context(**options):
            return await function(*args, **named)

    return run


def _scoped_generator(options: dict[str, Any], function: Callable[..., Generator[Any, Any, Any]]) -> Any:
    @wraps(function)
    def run(*args: Any, **named: Any) -> Generator[Any, Any, Any]:
        with new_context(**options) as context:
            generator = function(*args, **named)
        return (yield from _run_steps(generator, context))

    return run


def _scoped_async_generator(options: dict[str, Any], function: Callable[..., AsyncGenerator[Any, Any]]) -> Any:
    @wraps(function)
    async def run(*args: Any, **named: Any) -> AsyncGenerator[Any, Any]:
        with new_context(**options) as context:
            generator = function(*args, **named)
        step: Callable[[], Coroutine[Any, Any, Any]] = partial(generator.asend, None)
        while True:
            try:
                with use_context(context):
                    value = await step()
            except StopAsyncIteration:
                return
            try:
                sent = yield value
            except GeneratorExit:
                with use_context(context):
                    await generator.aclose()
                raise
            except BaseException as error:
                step = partial(generator.athrow, error)
            else:
                step = partial(generator.asend, sent)

    return run


def _run_steps(generator: Generator[Any, Any, Any], context: Context) -> Generator[Any, Any, Any]:
    step: Callable[[], Any] = partial(next, generator)
    while True:
        try:
            with use_context(context):
                value = step()
        except StopIteration as stop:
            return stop.value
        try:
            sent = yield value
        except GeneratorExit:
            with use_context(context):
                generator.close()
            raise
        except BaseException as error:
            step = partial(generator.throw, error)
        else:
            step = partial(generator.send, sent)


def identify_context(distinct_id: str | int | UUID) -> None:
    """Set the distinct id of the current context. Raises NoContext, or InvalidEvent for an invalid distinct id."""
    context = _require()
    context.distinct_id, context.find_distinct_id = resolve(None, distinct_id), None


def set_context_session(session_id: str) -> None:
    """Set the session id of the current context. Raises NoContext, or InvalidEvent for an invalid session id."""
    _require().session_id = require_text(session_id, "session_id")


def set_context_device_id(device_id: str) -> None:
    """Set the device for flags that go by device, in the current context. Raises NoContext or InvalidEvent."""
    _require().device_id = require_text(device_id, "device_id")


def tag(name: str, value: Any) -> None:
    """Add a property to all further events in the current context. Raises NoContext, or InvalidEvent for a bad name."""
    _require().tags[require_text(name, "the name of a tag")] = value


def get_tags() -> dict[str, Any]:
    """A copy of the tags of the current context; empty outside of any."""
    context = _current.get()
    return {} if context is None else {**context.tags}


def get_context_distinct_id() -> str | None:
    """The distinct id of the current context, or None. Raises what its `find_distinct_id` raises."""
    context = _current.get()
    return None if context is None else context.person()


def get_context_session_id() -> str | None:
    """The session id of the current context, or None."""
    context = _current.get()
    return None if context is None else context.session_id


def get_context_device_id() -> str | None:
    """The device id of the current context, or None."""
    context = _current.get()
    return None if context is None else context.device_id


def _require() -> Context:
    context = _current.get()
    if context is None:
        raise NoContext()
    return context
