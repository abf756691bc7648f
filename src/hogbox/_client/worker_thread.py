"""Worker thread: a worker in a thread of the application, begun and ended by a client."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hogbox._worker.worker import Worker

log = logging.getLogger("hogbox")


class WorkerThread:
    """At most one worker of this process at a time. Begins nothing before `start`; a fork's child has none."""

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        self.started = False
        """Whether a worker was started and not stopped, in this process or in the one that it was forked from."""
        self._make_worker = make_worker
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Begin to deliver. Does nothing where it already does. Raises what making the worker raises."""
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            worker = self._make_worker()
            self._worker = worker
            self._thread = threading.Thread(target=_run, args=(worker,), name="hogbox-worker", daemon=True)
            self._thread.start()
            self.started = True

    def hint(self) -> None:
        """Say that an event may be committed soon."""
        # In a forked child the thread is gone, and what it locked at that moment stays locked.
        if self._worker is not None and self._thread is not None and self._thread.is_alive():
            self._worker.hint()

    def stop(self, timeout: float | None) -> None:
        """End it once what it is sending is settled, waiting so many seconds at most. May be called twice."""
        worker, thread, self.started = self._worker, self._thread, False
        self._worker = self._thread = None
        if worker is not None and thread is not None and thread.is_alive():
            worker.stop()
            thread.join(timeout)


def _run(worker: Worker) -> None:
    try:
        worker.run()
    except Exception:
        log.exception("the worker thread has ended; events wait in the outbox until a worker runs again")
