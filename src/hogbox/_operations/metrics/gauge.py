"""Gauges: what the database says, read when it is asked for, and seldom: answers are kept for some seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from hogbox._delivery.condition import Condition
from hogbox._operations.metrics.family import (
    BACKLOG,
    BACKLOG_SPAN,
    DATABASE_UP,
    DEAD_LETTERS,
    DEFINITIONS_AGE,
    LEASES_FREE,
    LEASES_HELD,
    OLDEST_AGE,
    PROJECTS_PUT_OFF,
    SHARDS_RETRYING,
    WORKERS,
    Family,
    Metric,
    Sample,
)
from hogbox._store.inspection.measure import Measures, MeasureStore
from hogbox._wire.host import shorten
from hogbox._wire.printable import one_line

log = logging.getLogger("hogbox.metrics")

_MOST_PROJECTS: Final = 100
"""Of one metric: the others are left out, the smallest first."""


class Gauges:
    """The metrics of one database. Safe to use from several threads: one of them reads, for all."""

    def __init__(self, store: MeasureStore, max_age: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._max_age = max_age
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._families: list[Family] = []
        self._projects: dict[str, None] = {}
        self._database_fails = Condition()

    def collect(self) -> list[Family]:
        """What the database said, at most `max_age` seconds ago; where it fails, just that."""
        with self._lock:
            if self._clock() - self._read_at >= self._max_age:
                self._families = self._read()
                self._read_at = self._clock()
            return self._families

    def _read(self) -> list[Family]:
        try:
            measures = self._store.read()
        except Exception as error:
            if self._database_fails.begin():
                log.warning("the backlog can't be measured, the database fails: %s", one_line(error))
            return [Family(DATABASE_UP, [Sample((), 0)])]
        self._database_fails.end()
        for one in measures.backlog:
            if len(self._projects) < _MOST_PROJECTS:
                self._projects[shorten(one.project)] = None
        return families_of(measures, self._projects)


def families_of(measures: Measures, projects: Iterable[str]) -> list[Family]:
    """The measures as metrics. Of `projects` nothing may wait any more: they are told with 0."""
    nothing = dict.fromkeys(projects, 0.0)
    backlog = [(one.project, float(one.events)) for one in measures.backlog]
    return [
        _single(DATABASE_UP, 1),
        _by_project(BACKLOG, nothing | _summed(backlog)),
        _single(BACKLOG_SPAN, measures.span),
        _by_project(OLDEST_AGE, nothing | _largest((one.project, one.age) for one in measures.backlog)),
        _by_project(DEAD_LETTERS, _summed((project, float(count)) for project, count in measures.dead_letters.items())),
        _single(LEASES_HELD, measures.leased),
        _single(LEASES_FREE, measures.shards - measures.leased),
        _single(SHARDS_RETRYING, measures.retrying),
        _single(PROJECTS_PUT_OFF, measures.put_off),
        _single(WORKERS, measures.workers),
        _by_project(DEFINITIONS_AGE, _largest(measures.definition_ages.items())),
    ]


def _single(metric: Metric, value: float) -> Family:
    return Family(metric, [Sample((), value)])


def _by_project(metric: Metric, values: Mapping[str, float]) -> Family:
    largest = sorted(values.items(), key=lambda one: (-one[1], one[0]))[:_MOST_PROJECTS]
    return Family(metric, [Sample((project,), value) for project, value in largest])


def _summed(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """By shortened token: two projects may look the same then."""
    sums: dict[str, float] = {}
    for project, value in values:
        sums[shorten(project)] = sums.get(shorten(project), 0.0) + value
    return sums


def _largest(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for project, value in values:
        found[shorten(project)] = max(found.get(shorten(project), 0.0), value)
    return found
