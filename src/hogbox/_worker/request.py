"""Requests: sends a batch to the endpoint that takes it, and remembers what is known of the host."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from hogbox._delivery.batch import Waiting
from hogbox._events.event import HISTORICAL
from hogbox._events.timestamp import utc_text
from hogbox._http.capture import CaptureTransport
from hogbox._wire.batch import OutgoingBatch, RequestIdentity
from hogbox._wire.mode import CaptureEndpoint
from hogbox._wire.verdict import Answer, Verdict
from hogbox._worker.turn import Shared

log = logging.getLogger("hogbox.delivery")


class Requests:
    """Makes the requests of one worker. One instance serves all its senders."""

    def __init__(self, transport: CaptureTransport, shared: Shared) -> None:
        self._transport = transport
        self._shared = shared

    def send(self, rows: Sequence[Waiting], *, instead: bool = False) -> Answer | None:
        """Send the events and judge the response.

        None if the host may not know the endpoint: then they are to be sent once more, with `instead`, to the one that
        takes every event.
        """
        lane = rows[0].lane
        with self._shared.lock:
            endpoint = CaptureEndpoint.BATCH if instead else self._shared.endpoints.choose(lane, time.monotonic())
            identity = self._shared.attempts.begin(rows, _new_identity) if endpoint.states_results else None
        payloads = [row.payload for row in rows]
        batch = OutgoingBatch(rows[0].project, payloads, endpoint, lane == HISTORICAL, identity)
        answer = self._transport.send_batch(batch)
        with self._shared.lock:
            if self._shared.endpoints.is_missing(endpoint, answer):
                return None
            news = (
                instead and answer.verdict is Verdict.DELIVERED and self._shared.endpoints.leave(lane, time.monotonic())
            )
        if news:
            log.info("the host knows no endpoint of its own for the lane %s: its events are sent to /batch/", lane)
        return answer


def _new_identity() -> RequestIdentity:
    return RequestIdentity(str(uuid4()), utc_text(datetime.now(UTC)))
