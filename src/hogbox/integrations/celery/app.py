"""HogboxCelery: connects a client to a Celery app, with two tasks and with Celery's signals."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple

from hogbox._settings.polling import polling_interval
from hogbox._wire.tracing import CONTEXT_TAGS
from hogbox.client import PostHog
from hogbox.context import Context, get_context
from hogbox.errors import ConfigurationError, MissingDependency
from hogbox.integrations._request import report, request_context
from hogbox.integrations._request_option import RequestOptions
from hogbox.integrations.celery.header import add_headers, find_headers, headers_of, read_tags

try:
    from celery import Celery, Task, signals  # type: ignore[import-untyped]
    from celery.exceptions import TaskPredicate  # type: ignore[import-untyped]
    from celery.utils.serialization import UnpickleableExceptionWrapper  # type: ignore[import-untyped]
except ImportError as error:
    raise MissingDependency("hogbox.integrations.celery needs Celery: pip install 'hogbox[celery]'") from error

from hogbox.integrations.celery.lifecycle import (
    Lifecycle,
    TaskFilter,
    error_properties,
    message_properties,
    readable,
    task_properties,
)

log = logging.getLogger("hogbox")

DELIVER: Final = "hogbox.deliver"
REFRESH: Final = "hogbox.refresh"

_DELIVER_SECONDS: Final = 10.0
_KEPT_SECONDS: Final = 600.0
"""When tasks sent by the beat expire: soon enough not to pile up, later than a busy queue takes."""

_LOOKS_AN_INTERVAL: Final = 6
"""Checks per refresh interval. A check just before a refresh is due leaves it to the next one, so they must be closer
together than refreshes."""


class HogboxCelery:
    """Connects a client to a Celery app, until `disconnect` or the end of the process.

    Registers two tasks, `hogbox.deliver` and `hogbox.refresh`, which are also the attributes `deliver` and `refresh`,
    and adds an entry for each to the beat schedule. Any number of them can run at the same time, and alongside workers
    of hogbox: they share the events, and only one process requests a due refresh.

    Each task runs in a context with the distinct id, the session and the tags of the context that it was sent from. Its
    events include `celery_task_id`, `celery_task_name` and `celery_retry_count`.

    An exception that ends a task is captured in a transaction of its own and propagates, except one that the task lists
    in `throws`, and Retry, Ignore and Reject.

    Arguments:
        app: The Celery app. Other apps of this process are not affected, except for the headers of tasks they send.
        posthog: The client; it can be created before the fork.
        deliver_every: Seconds between two deliveries, and the longest time that one delivers.
        refresh_every: Seconds between two checks whether a refresh is due; default: a sixth of the refresh interval,
            `POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS`.
        beat: False to leave the beat schedule unchanged, because something else delivers.
        queue: The queue for both tasks in the beat schedule; default: the app's configuration (`task_routes`).
        capture_exceptions: False to capture no exceptions.
        capture_task_lifecycle_events: Capture `celery task published`, `celery task started`, `celery task success`,
            `celery task failure` and `celery task retry`, each in a transaction of its own; not of hogbox's tasks and
            Celery's own.
        task_filter: Receives the name of a task and the properties of a life-cycle event, with `celery_state`. False
            leaves out the event, and for "failure" the exception. If it raises, this is logged and counts as False.
        personless: In a task without a distinct id, capture events without a person, and flags are inconclusive. False:
            raise MissingDistinctId instead.
        capture_tracing_headers: False to neither send contexts with tasks nor read them from messages. Anyone with
            access to the broker can write them.

    Raises ConfigurationError for invalid arguments.
    """

    def __init__(
        self,
        app: Celery,
        posthog: PostHog,
        *,
        deliver_every: float = _DELIVER_SECONDS,
        refresh_every: float | None = None,
        beat: bool = True,
        queue: str | None = None,
        capture_exceptions: bool = True,
        capture_task_lifecycle_events: bool = False,
        task_filter: TaskFilter | None = None,
        personless: bool = True,
        capture_tracing_headers: bool = True,
    ) -> None:
        _require(app, posthog)
        self._app = app
        self._posthog = posthog
        if task_filter is not None and not callable(task_filter):
            raise ConfigurationError(f"task_filter must be a function, not {task_filter!r}")
        self._options = RequestOptions(
            personless=personless,
            capture_tracing_headers=capture_tracing_headers,
            capture_exceptions=capture_exceptions,
        )
        self._carries = capture_tracing_headers
        self._lifecycle = Lifecycle(posthog, events=capture_task_lifecycle_events, task_filter=task_filter)
        self._open: dict[int, _Run] = {}
        self._lost: str | None = None
        pace = polling_interval(os.environ)[0] / _LOOKS_AN_INTERVAL if refresh_every is None else refresh_every
        self._entries = {
            DELIVER: _require_seconds("deliver_every", deliver_every),
            REFRESH: _require_seconds("refresh_every", pace),
        }
        self._beat_options = {} if queue is None else {"queue": queue}
        self.deliver, self.refresh = self._make_tasks()
        self._connect(beat, capture_task_lifecycle_events)

    def disconnect(self) -> None:
        """Disconnect from Celery's signals: no more contexts and captured exceptions. The tasks stay registered."""
        for signal, receiver in self._receivers:
            signal.disconnect(receiver)

    def _connect(self, beat: bool, events: bool) -> None:
        self._receivers = [
            (signals.before_task_publish, self._before_publish),
            (signals.task_prerun, self._before_run),
            (signals.task_postrun, self._after_run),
        ]
        if self._options.capture_exceptions or events:
            self._receivers.append((signals.task_failure, self._on_failure))
        if events:
            self._receivers.append((signals.after_task_publish, self._after_publish))
            self._receivers.append((signals.task_success, self._on_success))
            self._receivers.append((signals.task_retry, self._on_retry))
        if beat:
            self._receivers.append((self._app.on_after_configure, self._schedule))
            self._receivers.append((signals.beat_init, self._on_beat))
            if self._app.configured:
                self._schedule()
        for signal, receiver in self._receivers:
            # Not weak: nothing else keeps a reference to these bound methods, or to this object.
            signal.connect(receiver, weak=False)

    # Tasks

    def _make_tasks(self) -> tuple[Task, Task]:
        posthog, usual = self._posthog, self._entries[DELIVER]

        def deliver(timeout: float = usual) -> dict[str, int]:
            return posthog.deliver(timeout=timeout)._asdict()

        def refresh() -> str:
            return str(posthog.refresh_flag_definitions(only_if_due=True))

        # Not shared: the other apps of this process must not get these tasks.
        options = {"ignore_result": True, "shared": False}
        return self._app.task(name=DELIVER, **options)(deliver), self._app.task(name=REFRESH, **options)(refresh)

    def _schedule(self, **_: object) -> None:
        """Add the entries to the beat schedule each time that the app's configuration is loaded."""
        for name, seconds in self._entries.items():
            options = {**self._beat_options, "expires": max(seconds, _KEPT_SECONDS)}
            self._app.add_periodic_task(seconds, self._app.signature(name), name=name, **options)

    def _on_beat(self, sender: Any, **_: object) -> None:
        if sender.app == self._app and (missing := self._entries.keys() - sender.app.conf.beat_schedule.keys()):
            log.warning(
                "the beat schedule was replaced and lacks %s: add to app.conf.beat_schedule instead of assigning it, "
                "or use HogboxCelery(..., beat=False)",
                " and ".join(sorted(missing)),
            )

    # Contexts

    def _before_publish(self, headers: dict[str, Any] | None = None, **_: object) -> None:
        if headers is not None and self._carries:
            add_headers(get_context(), headers)

    def _before_run(self, sender: Task, task_id: str, **_: object) -> None:
        if sender.app == self._app:
            run = self._open[id(sender.request)] = _Run(ExitStack(), time.monotonic())
            run.opened.enter_context(self._task_context(sender, task_id))
            self._lifecycle.capture(sender.name, task_properties(sender, task_id, "started"))

    def _after_run(self, sender: Task, **_: object) -> None:
        if (run := self._open.pop(id(sender.request), None)) is not None:
            run.opened.close()

    @contextmanager
    def _task_context(self, task: Task, task_id: str) -> Iterator[Context]:
        request = task.request
        # An eager task has no message; it runs inside its caller's context.
        around = headers_of(get_context()) if request.is_eager else {}
        carried = find_headers(around, vars(request), request.headers or {}) if self._carries else {}
        with request_context(carried.get, options=self._options) as context:
            context.tags.update(read_tags(carried.get(CONTEXT_TAGS)))
            context.properties.update(celery_task_id=task_id, celery_task_name=task.name)
            if request.id == task_id:
                context.properties["celery_retry_count"] = request.retries
            yield context

    # The end of a task

    def _after_publish(
        self, sender: str, headers: Any = None, exchange: object = None, routing_key: object = None, **_: object
    ) -> None:
        if isinstance(headers, dict):
            self._lifecycle.capture(sender, message_properties(sender, headers, exchange, routing_key))

    def _on_success(self, sender: Task, **_: object) -> None:
        if sender.app == self._app:
            self._lifecycle.capture(sender.name, self._ended(sender, sender.request.id, "success"))

    def _on_retry(self, sender: Task, reason: object = None, **_: object) -> None:
        if sender.app == self._app:
            told = self._ended(sender, sender.request.id, "retry")
            self._lifecycle.capture(sender.name, {**told, "celery_reason": readable(reason)})

    def _on_failure(self, sender: Task, task_id: str, exception: BaseException, **_: object) -> None:
        if sender.app != self._app or isinstance(exception, TaskPredicate):
            return
        if id(sender.request) in self._open:
            self._fail(sender, task_id, _original(exception))
        # The main process reports a task that timed out or lost its process; a time-out twice, hence `_lost`.
        elif task_id != self._lost:
            self._lost = task_id
            with self._task_context(sender, task_id):
                self._fail(sender, task_id, exception)

    def _fail(self, task: Task, task_id: str, error: BaseException) -> None:
        told = {**self._ended(task, task_id, "failure"), **error_properties(error)}
        if not self._lifecycle.admits(task.name, told):
            return
        if self._options.capture_exceptions and not isinstance(error, task.throws or ()):
            report(self._posthog, error, status=None)
        self._lifecycle.capture_admitted(task.name, told)

    def _ended(self, task: Task, task_id: str, state: str) -> dict[str, Any]:
        run = self._open.get(id(task.request))
        return task_properties(task, task_id, state, run.started if run else None)


class _Run(NamedTuple):
    """A task that is running."""

    opened: ExitStack
    started: float


def _original(exception: BaseException) -> BaseException:
    """The exception that was raised: Celery wraps one that can't be pickled, but it is still being handled here."""
    raised = sys.exception()
    return raised if isinstance(exception, UnpickleableExceptionWrapper) and raised is not None else exception


def _require(app: object, posthog: object) -> None:
    if not isinstance(app, Celery):
        raise ConfigurationError(f"app must be a Celery app, not {type(app).__name__}: HogboxCelery(app, posthog)")
    if not isinstance(posthog, PostHog):
        raise ConfigurationError(
            f"posthog must be a hogbox.PostHog, not {type(posthog).__name__} (Celery's tasks are synchronous)"
        )


def _require_seconds(name: str, seconds: object) -> float:
    if isinstance(seconds, (int, float)) and seconds > 0 and math.isfinite(seconds):
        return float(seconds)
    raise ConfigurationError(f"{name} must be a positive number of seconds, not {seconds!r}")
