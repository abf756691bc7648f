"""Exposures: of several identical ones, only the first is sent.

Callers write them without coordination. A person's shard has one owner, so duplicates can be removed here.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from hogbox._delivery.batch import Waiting
from hogbox._events.event import ANALYTICS, EXPOSURES
from hogbox._events.exposure import exposure_id_of
from hogbox._store.delivery import DeliveryStore, Fences
from hogbox._store.exposure import ClaimStore
from hogbox._wire.host import shorten
from hogbox._wire.printable import counted
from hogbox.telemetry import REPEATED, EventsSettled, Telemetry

log = logging.getLogger("hogbox.delivery")


class ExposureClaims:
    """Removes repeated exposures from the events to send. Safe to use from several threads."""

    def __init__(self, store: DeliveryStore, claims: ClaimStore, telemetry: Telemetry) -> None:
        self._store = store
        self._claims = claims
        self._telemetry = telemetry

    def without_repeats(self, rows: Sequence[Waiting], fences: Fences) -> list[Waiting]:
        """The rows to send, in order, with exposures as ordinary events; repeats are settled.

        Raises LeaseLost, and errors of the database.
        """
        named = {row.id: exposure_id_of(row.project, row.payload) for row in rows if row.lane == EXPOSURES}
        if not named:
            return [*rows]
        exposures = [(name, row.uuid) for row in rows if (name := named.get(row.id))]
        chosen = self._claims.claim(exposures) if exposures else frozenset()
        repeats = [row for row in rows if named.get(row.id) and row.uuid not in chosen]
        if repeats:
            self._drop(repeats, fences)
        gone = {row.id for row in repeats}
        kept = [row for row in rows if row.id not in gone]
        return [row._replace(lane=ANALYTICS) if row.lane == EXPOSURES else row for row in kept]

    def _drop(self, repeats: Sequence[Waiting], fences: Fences) -> None:
        self._store.settle(repeats, fences)
        for project, events in Counter(row.project for row in repeats).items():
            log.debug("%s of project %s not sent", counted(events, "repeated exposure"), shorten(project))
            self._telemetry.emit(EventsSettled(shorten(project), REPEATED, events, None))
