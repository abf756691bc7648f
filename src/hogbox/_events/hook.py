"""The `before_send` chain: functions of the application that change or discard events (wire protocol 2.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import iscoroutinefunction
from typing import Any, Final

from hogbox._events.event import Event
from hogbox._events.identifier import parse_uuid
from hogbox._events.timestamp import read_text
from hogbox._events.value import clean_properties, clean_text, shown
from hogbox.errors import ConfigurationError

BeforeSend = Callable[[Event], Event | None]
"""Receives the finished event; returns it, changed or not, or None to discard it."""

_TEXTS: Final = ("event", "distinct_id")


class BadHook(Exception):
    """A `before_send` hook raised, or returned something that is not an event."""


def hook_chain(hooks: BeforeSend | Iterable[BeforeSend] | None) -> tuple[BeforeSend, ...]:
    """The hooks in order. Raises ConfigurationError for anything that can't be called."""
    if hooks is None:
        return ()
    chain = (hooks,) if callable(hooks) or not isinstance(hooks, Iterable) else tuple(hooks)
    for hook in chain:
        if not callable(hook):
            raise ConfigurationError(f"before_send must be a callable or a list of them, not {hook!r}")
        if iscoroutinefunction(hook):
            raise ConfigurationError(f"before_send {_name(hook)} is a coroutine function: use a plain def")
    return chain


def run_hooks(event: Event, hooks: Sequence[BeforeSend]) -> tuple[Event | None, list[str]]:
    """The event as the chain returns it, or None if a hook discarded it; and messages about dropped values.

    Raises BadHook, from the hook's own exception, if the chain failed: the event must not be sent then, because a hook
    may exist to remove secrets.
    """
    original: Event = {**event}
    result = event
    for hook in hooks:
        try:
            answer = hook(result)
        except Exception as error:
            raise BadHook(f"before_send {_name(hook)} raised {_error_text(error)}") from error
        if answer is None:
            return None, []
        result = answer
    return _checked(result, original)


def _checked(answer: Any, original: Event) -> tuple[Event, list[str]]:
    """A hook's result with valid fields; an invalid uuid or timestamp is replaced by the original one."""
    if not isinstance(answer, dict) or not isinstance(answer.get("properties"), dict):
        raise BadHook(f"before_send returned {type(answer).__name__}, which is not an event: return the event or None")
    for field in _TEXTS:
        if not isinstance(answer.get(field), str) or not answer[field].strip():
            raise BadHook(f"before_send set {field!r} to {shown(answer.get(field))}: it must be text and not empty")
    properties, problems = clean_properties(answer["properties"])
    timestamp = answer.get("timestamp")
    return {
        "uuid": parse_uuid(answer.get("uuid")) or original["uuid"],
        "event": clean_text(answer["event"]),
        "distinct_id": clean_text(answer["distinct_id"]),
        "timestamp": (read_text(timestamp) if isinstance(timestamp, str) else None) or original["timestamp"],
        "properties": properties,
    }, problems


def _name(hook: object) -> str:
    return getattr(hook, "__qualname__", type(hook).__qualname__)


def _error_text(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
