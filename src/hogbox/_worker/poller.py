"""Poller: keeps a project's flag definitions fresh from a thread of its own, for as long as its worker runs.

Every worker has one, and all of them together send one request an interval: each asks the database whose turn it is.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Final, Self

from sqlalchemy.exc import SQLAlchemyError

from hogbox._wire.printable import one_line
from hogbox._worker.refresher import GivenUp, Refresher

log = logging.getLogger("hogbox.refresh")

_GRACE: Final = 1.0
"""Seconds to wait for the thread at the end. One that waits for PostHog then ends by itself, and stores nothing."""

_REST: Final = 5.0
"""Seconds after a failure of the database."""

_LONGEST_SLEEP: Final = 3600.0


class Poller:
    """Ticks in a thread that begins and ends with this context."""

    def __init__(self, refresher: Refresher, worker: str) -> None:
        self._refresher = refresher
        self._worker = worker
        self._stop = threading.Event()
        self._unwell = False
        self._thread = threading.Thread(target=self._run, name="hogbox-refresher", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_GRACE)

    def _run(self) -> None:
        try:
            while not self._stop.wait(min(self._tick(), _LONGEST_SLEEP)):
                pass
        except GivenUp:
            log.info("a refresh of flag definitions was under way when the worker ended: the next one makes up for it")

    def _tick(self) -> float:
        """The seconds until the next tick; nothing but the end of the worker ends the polling."""
        try:
            wait = self._refresher.tick(self._worker, self._stop.wait)
        except SQLAlchemyError as error:
            self._trouble(error)
            return min(_REST, self._refresher.interval())
        except GivenUp:
            raise
        except Exception:
            log.exception("a refresh of flag definitions failed in a way that hogbox did not foresee")
            return self._refresher.interval()
        if self._unwell:
            log.info("the database answers again")
        self._unwell = False
        return wait

    def _trouble(self, error: SQLAlchemyError) -> None:
        if not self._unwell:
            log.warning("flag definitions can't be refreshed, the database fails: %s", one_line(error))
        self._unwell = True
