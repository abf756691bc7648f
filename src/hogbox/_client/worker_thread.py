"""Worker thread: a worker in a thread of the application, started and stopped by a client."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hogbox._worker.worker import Worker

log = logging.getLogger("hogbox")


class WorkerThread:
    """At most one worker of this process at a time. Nothing runs before `start`; a forked child has none."""

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        self.started = False
        """Whether a worker was started and not stopped, in this process or in the one that it was forked from."""
        self._make_worker = make_worker
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start to deliver. Does nothing if it is running. Raises the errors of creating the worker."""
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            worker = self._make_worker()
            self._worker = worker
            self._thread = threading.Thread(target=_run, args=(worker,), name="hogbox-worker", daemon=True)
            self._thread.start()
            self.started = True

    def hint(self) -> None:
        """Notify the worker that an event may be committed soon."""
        # In a forked child the thread does not exist, and locks that it held stay locked: hinting could block.
        if self._worker is not None and self._thread is not None and self._thread.is_alive():
            self._worker.hint()

    def stop(self, timeout: float | None) -> None:
        """Stop the worker after its current requests; wait at most this many seconds. May be called twice."""
        worker, thread, self.started = self._worker, self._thread, False
        self._worker = self._thread = None
        if worker is not None and thread is not None and thread.is_alive():
            worker.stop()
            thread.join(timeout)


def _run(worker: Worker) -> None:
    try:
        worker.run()
    except Exception:
        log.exception("the worker thread stopped on an error; events stay in the outbox until a worker runs again")
