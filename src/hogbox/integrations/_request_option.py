"""Options of the middleware of all web frameworks: what an application decides about a request, and its callbacks.

A callback that raises, or returns something else than it should, never breaks a request: this is logged, and what it
was to decide on is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from typing import Any, Final, TypeAlias

from hogbox._events.builder import require_properties
from hogbox._events.value import class_name
from hogbox.errors import ConfigurationError

log = logging.getLogger("hogbox")

PropertiesMap: TypeAlias = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Receives all properties of a request, and returns those that events are to have."""

CALLBACKS: Final = ("request_filter", "extra_properties", "properties_map")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """The options for requests, which the integrations of all web frameworks have."""

    personless: bool = True
    """Whether events of anonymous visitors are captured without a person, instead of raising MissingDistinctId."""
    capture_tracing_headers: bool = True
    """Whether to read the distinct id and the session from the headers of PostHog's web client."""
    capture_url_query: bool = False
    """Whether `$current_url` includes the query."""
    capture_exceptions: bool = True
    """Whether to capture unhandled exceptions."""
    request_filter: Callable[[Any], Any] | None = None
    """False for a request whose properties, person and exceptions are not to be captured."""
    extra_properties: Callable[[Any], Any] | None = None
    """More properties for all events of a request."""
    properties_map: PropertiesMap | None = None
    """Called with the properties of a request; returns those that events are to have."""
    awaits: bool = field(default=False, repr=False)
    """Whether `request_filter` and `extra_properties` may be coroutine functions."""

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in CALLBACKS:
                self._check_callback(option.name, value)
            elif not isinstance(value, bool):
                raise ConfigurationError(f"{option.name} must be True or False, not {value!r}")

    def _check_callback(self, name: str, value: object) -> None:
        if value is None:
            return
        if not callable(value):
            raise ConfigurationError(f"{name} must be a function, not {value!r}")
        if _is_asynchronous(value) and (name == "properties_map" or not self.awaits):
            raise ConfigurationError(f"{name} must not be a coroutine function here: {value!r}")

    def admits(self, request: object) -> bool:
        """Whether the filter leaves this request in."""
        return self.request_filter is None or self._call("request_filter", request, bool) is True

    async def admits_async(self, request: object) -> bool:
        """The same, for a filter that may be a coroutine function."""
        return self.request_filter is None or await self._await("request_filter", request, bool) is True

    def properties_of(self, request: object) -> Mapping[str, Any]:
        """The properties that the application adds to this request."""
        return self._call("extra_properties", request, _extra) or {}

    async def properties_of_async(self, request: object) -> Mapping[str, Any]:
        """The same, of a function that may be a coroutine function."""
        return await self._await("extra_properties", request, _extra) or {}

    def mapped(self, properties: dict[str, Any]) -> Mapping[str, Any]:
        """The properties that events are to have: none if the map fails, because it may be there to remove some."""
        if self.properties_map is None:
            return properties
        return self._call("properties_map", dict(properties), _properties) or {}

    def _call(self, name: str, argument: object, read: Callable[[object], Any]) -> Any:
        """What the callback returns, read; None if there is no callback or it fails."""
        callback = getattr(self, name)
        if callback is None:
            return None
        try:
            return read(_require_plain(callback(argument)))
        except Exception:
            log.warning(_FAILED[name], exc_info=True)
            return None

    async def _await(self, name: str, argument: object, read: Callable[[object], Any]) -> Any:
        callback = getattr(self, name)
        if callback is None:
            return None
        try:
            answer = callback(argument)
            return read(await answer if isawaitable(answer) else answer)
        except Exception:
            log.warning(_FAILED[name], exc_info=True)
            return None


_FAILED: Final = {
    "request_filter": "request_filter failed: the request is treated as if it had returned False",
    "extra_properties": "extra_properties failed: events of the request lack its properties",
    "properties_map": "properties_map failed: events of the request have no properties of the request",
}


class RequestProperties:
    """The properties of one request, as its events have them; called for each event.

    The route is known once the framework has found it. `properties_map` is applied when the first event needs the
    properties, and again if more have become known.
    """

    def __init__(self, options: RequestOptions, route: Callable[[], object] | None = None) -> None:
        self._options = options
        self._route = route
        self._known: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}
        self._changes = 0
        self._mapped_at: tuple[int, str | None] | None = None
        self._mapped: Mapping[str, Any] = {}

    def add(self, known: Mapping[str, Any]) -> None:
        """Add properties that the framework knows."""
        self._known.update(known)
        self._changes += 1

    def add_extra(self, extra: Mapping[str, Any]) -> None:
        """Add properties of the application, which have precedence."""
        self._extra.update(extra)
        self._changes += 1

    def clear(self) -> None:
        """Forget all, because the request is left out."""
        self._known, self._extra, self._route = {}, {}, None
        self._changes += 1

    def __call__(self) -> Mapping[str, Any]:
        """The properties. Never raises."""
        now = self._changes, self._find_route()
        if now != self._mapped_at:
            self._mapped, self._mapped_at = self._map(now[1]), now
        return self._mapped

    def _map(self, route: str | None) -> Mapping[str, Any]:
        routed = {} if route is None else {"$request_route": route}
        properties = {**self._known, **routed, **self._extra}
        return self._options.mapped(properties) if properties else properties

    def _find_route(self) -> str | None:
        try:
            route = None if self._route is None else self._route()
        except Exception:
            return None
        return route if isinstance(route, str) and route else None


def _properties(answer: object) -> Mapping[str, Any]:
    """The properties that a callback returned, in a dict of hogbox's own. Raises for anything but a mapping."""
    if not isinstance(answer, Mapping):
        raise TypeError(f"a mapping of properties was expected, not {class_name(answer)}")
    return dict(require_properties(answer))


def _extra(answer: object) -> Mapping[str, Any]:
    return {} if answer is None else _properties(answer)


def _require_plain(answer: object) -> object:
    if isinstance(answer, Awaitable):
        if iscoroutine(answer):
            answer.close()  # or Python warns that it was never awaited
        raise TypeError("the function returned an awaitable, which can't be awaited here")
    return answer


def _is_asynchronous(function: object) -> bool:
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
