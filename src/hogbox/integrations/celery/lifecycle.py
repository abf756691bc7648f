"""Life-cycle events of tasks, by the names and properties of PostHog's own integration: `celery task started`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from celery import __version__ as celery_version  # type: ignore[import-untyped]

from hogbox._events.value import class_name
from hogbox.client import PostHog
from hogbox.context import new_context

log = logging.getLogger("hogbox")

TaskFilter: TypeAlias = Callable[[str, dict[str, Any]], bool]
"""Receives the name of a task and the properties of its life-cycle event; False leaves out this event, or exception."""

_OWN: Final = ("hogbox.", "celery.")
"""Tasks without events: hogbox's deliveries, and Celery's checks whether a chord is complete."""

_MOST_CHARACTERS: Final = 1000


class Lifecycle:
    """Captures the life-cycle events of one app's tasks, each in a transaction of its own. Never raises."""

    def __init__(self, posthog: PostHog, *, events: bool, task_filter: TaskFilter | None) -> None:
        self._posthog = posthog
        self._events = events
        self._filter = task_filter

    def admits(self, name: str, properties: Mapping[str, Any]) -> bool:
        """Whether the filter leaves this event in; False if it fails."""
        if self._filter is None:
            return True
        try:
            return bool(self._filter(name, dict(properties)))
        except Exception:
            log.warning("task_filter failed: task %s is treated as if it had returned False", name, exc_info=True)
            return False

    def capture(self, name: str, properties: Mapping[str, Any]) -> None:
        """Capture the event for the state in these properties, if it is wanted."""
        if self._wants(name) and self.admits(name, properties):
            self.capture_admitted(name, properties)

    def capture_admitted(self, name: str, properties: Mapping[str, Any]) -> None:
        """The same for an event that the filter has left in already."""
        if not self._wants(name):
            return
        try:
            with new_context(personless=True):
                self._posthog.capture(None, f"celery task {properties['celery_state']}", properties=properties)
        except Exception:
            log.exception("a life-cycle event of the task %s could not be captured", name)

    def _wants(self, name: str) -> bool:
        return self._events and not name.startswith(_OWN)


def task_properties(task: Any, task_id: str, state: str, started: float | None = None) -> dict[str, Any]:
    """The properties of a life-cycle event in a worker. `started` is when the task began, by the monotonic clock."""
    request = task.request
    delivery = request.delivery_info if isinstance(request.delivery_info, Mapping) else {}
    duration = None if started is None else round((time.monotonic() - started) * 1000, 3)
    return _known(
        celery_task_id=task_id,
        celery_task_name=task.name,
        celery_state=state,
        celery_hostname=request.hostname,
        celery_exchange=delivery.get("exchange"),
        celery_routing_key=delivery.get("routing_key"),
        celery_queue=delivery.get("queue"),
        celery_retry_count=request.retries,
        celery_version=celery_version,
        celery_task_duration_ms=duration,
    )


def message_properties(name: str, headers: Mapping[str, Any], exchange: object, routing_key: object) -> dict[str, Any]:
    """The properties of a life-cycle event where a message was sent."""
    return _known(
        celery_task_id=headers.get("id"),
        celery_task_name=name,
        celery_state="published",
        celery_exchange=exchange,
        celery_routing_key=routing_key,
        celery_retry_count=headers.get("retries"),
        celery_version=celery_version,
    )


def error_properties(error: BaseException) -> dict[str, Any]:
    """The properties of the error in a life-cycle event."""
    return {"error_type": class_name(error), "error_message": readable(error)}


def readable(thing: object) -> str:
    """The text of an error or a reason; its class where that can't be read."""
    try:
        return str(thing)[:_MOST_CHARACTERS]
    except Exception:
        return class_name(thing)


def _known(**properties: Any) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}
