"""The `before_send` chain: the application's last word on an event (wire protocol 2.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import iscoroutinefunction
from typing import Any, Final

from hogbox._events.event import Event
from hogbox._events.identifier import parse_uuid
from hogbox._events.timestamp import read_text
from hogbox._events.value import clean_properties, clean_text
from hogbox.errors import ConfigurationError

BeforeSend = Callable[[Event], Event | None]
"""Sees the finished event; returns it, changed or not, or None to refuse it."""

_TEXTS: Final = ("event", "distinct_id")


class BadHook(Exception):
    """A `before_send` hook raised, or returned something that is not an event."""


def hook_chain(hooks: BeforeSend | Iterable[BeforeSend] | None) -> tuple[BeforeSend, ...]:
    """The hooks in their order. Raises ConfigurationError for anything that can't be called."""
    if hooks is None:
        return ()
    chain = (hooks,) if callable(hooks) or not isinstance(hooks, Iterable) else tuple(hooks)
    for hook in chain:
        if not callable(hook):
            raise ConfigurationError(f"before_send must be a callable or a list of them, not {hook!r}")
        if iscoroutinefunction(hook):
            raise ConfigurationError(
                f"before_send {_name(hook)} is asynchronous: it decides at once, make it a plain def"
            )
    return chain


def run_hooks(event: Event, hooks: Sequence[BeforeSend]) -> tuple[Event | None, list[str]]:
    """The event as the chain leaves it, or None where a hook refused it; and the values that could not be kept.

    Raises BadHook, from the hook's own exception, where the chain failed: the event must then not be sent at all.
    """
    original: Event = {**event}
    result = event
    for hook in hooks:
        try:
            answer = hook(result)
        except Exception as error:
            raise BadHook(f"before_send {_name(hook)} raised {_said(error)}") from error
        if answer is None:
            return None, []
        result = answer
    return _checked(result, original)


def _checked(answer: Any, original: Event) -> tuple[Event, list[str]]:
    """A hook's answer with valid fields again; what identifies the original stands where the answer is invalid."""
    if not isinstance(answer, dict) or not isinstance(answer.get("properties"), dict):
        raise BadHook(f"before_send returned {type(answer).__name__} that is not an event; return the event or None")
    for field in _TEXTS:
        if not isinstance(answer.get(field), str) or not answer[field].strip():
            raise BadHook(f"before_send left {field!r} as {answer.get(field)!r}; it must be text that is not empty")
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


def _said(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
