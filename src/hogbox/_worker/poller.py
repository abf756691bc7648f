"""Poller: keeps a project's flag definitions fresh, in a thread of its own, while its worker runs.

Every worker has one. Together they send one request per interval: each checks in the database whether one is due.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Final, Self

from sqlalchemy.exc import SQLAlchemyError

from hogbox._delivery.condition import Condition
from hogbox._wire.printable import one_line
from hogbox._worker.refresher import GivenUp, Refresher

log = logging.getLogger("hogbox.refresh")

_GRACE: Final = 1.0
"""Seconds to wait for the thread at shutdown. If it is waiting for PostHog, it ends later and stores nothing."""

_REST: Final = 5.0
"""Seconds to wait after a database error."""

_LONGEST_SLEEP: Final = 3600.0


class Poller:
    """Runs the refresher in a thread that starts and stops with this context."""

    def __init__(self, refresher: Refresher, worker: str) -> None:
        self._refresher = refresher
        self._worker = worker
        self._stop = threading.Event()
        self._database_fails = Condition()
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
            log.info("refresh of flag definitions abandoned because the worker is stopping")

    def _tick(self) -> float:
        """The seconds until the next tick; only the end of the worker ends the polling."""
        try:
            wait = self._refresher.tick(self._worker, self._stop.wait)
        except SQLAlchemyError as error:
            self._report_failing(error)
            return min(_REST, self._refresher.interval())
        except GivenUp:
            raise
        except Exception:
            log.exception("unexpected error while refreshing flag definitions")
            return self._refresher.interval()
        if self._database_fails.end():
            log.info("database connection restored")
        return wait

    def _report_failing(self, error: SQLAlchemyError) -> None:
        if self._database_fails.begin():
            log.warning("cannot refresh flag definitions: database error: %s", one_line(error))
