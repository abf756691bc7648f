"""Collector: all metrics, of this process and of its database."""

from __future__ import annotations

from typing import Final

from hogbox._operations.metrics.family import Family
from hogbox._operations.metrics.gauge import Gauges
from hogbox._operations.metrics.meter import Meter
from hogbox._store.connections.database import Database
from hogbox._store.inspection.measure import MeasureStore
from hogbox.telemetry import Telemetry

MAX_AGE: Final = 10.0
"""Seconds for which the database is not asked again."""


class Collector:
    """Counts what telemetry tells from now on, and reads the database when it is asked."""

    def __init__(self, database: Database, telemetry: Telemetry, max_age: float = MAX_AGE) -> None:
        self.meter = Meter()
        self.gauges = Gauges(MeasureStore(database), max_age)
        telemetry.attach(self.meter)

    def collect(self) -> list[Family]:
        """Every metric with its values."""
        return [*self.meter.collect(), *self.gauges.collect()]
