"""Endpoints: where the events of a lane are sent, and what is known of the host (wire protocol 3, 4, 5).

A host that does not know capture v1, or the AI lane, answers with a 404, a redirect or a page, and so does a wrong
address. So nothing is concluded from that alone: the same events are sent to `/batch/` at once, and only if they are
accepted there the other endpoint is left alone for a while.
"""

from __future__ import annotations

from typing import Final

from hogbox._events.event import AI
from hogbox._wire.mode import CaptureEndpoint, CaptureMode
from hogbox._wire.verdict import Answer

REMEMBERED_SECONDS: Final = 3600.0
"""How long an endpoint that the host does not know is left alone: the host may be upgraded meanwhile."""

_UNKNOWN_PATH: Final = (404, 405)
_OF_THE_MOMENT: Final = (408, 429)


class Endpoints:
    """The endpoints of one host. Times are seconds on one monotonic clock. Guard it with a lock."""

    def __init__(self, mode: CaptureMode) -> None:
        self._mode = mode
        self._proven: set[CaptureEndpoint] = set()
        self._missing_until: dict[CaptureEndpoint, float] = {}

    def choose(self, lane: str, now: float) -> CaptureEndpoint:
        """Where to send events of this lane now."""
        wanted = self._wanted(lane)
        return CaptureEndpoint.BATCH if self._missing_until.get(wanted, 0.0) > now else wanted

    def is_missing(self, endpoint: CaptureEndpoint, answer: Answer) -> bool:
        """Whether the host may not know this endpoint by its answer, so that the same events are to go to `/batch/`.

        Until the endpoint has once answered in its own words, an error of the server counts as well: some proxies
        answer unknown paths with it.
        """
        if answer.status is None or not self._has_fallback(endpoint):
            return False
        if endpoint.states_results and answer.recognized:
            self._proven.add(endpoint)
            return False
        if not endpoint.states_results:
            return answer.status in _UNKNOWN_PATH
        passing = answer.status in _OF_THE_MOMENT or answer.status >= 500
        return not (passing and endpoint in self._proven)

    def leave(self, lane: str, now: float) -> bool:
        """`/batch/` accepted what the lane's own endpoint had not understood; whether that is news."""
        endpoint = self._wanted(lane)
        news = self._missing_until.get(endpoint, 0.0) <= now
        self._missing_until[endpoint] = now + REMEMBERED_SECONDS
        self._proven.discard(endpoint)
        return news

    def _wanted(self, lane: str) -> CaptureEndpoint:
        if lane == AI:
            return CaptureEndpoint.AI
        return CaptureEndpoint.BATCH if self._mode is CaptureMode.V0 else CaptureEndpoint.ANALYTICS

    def _has_fallback(self, endpoint: CaptureEndpoint) -> bool:
        return endpoint is CaptureEndpoint.AI or (
            endpoint is CaptureEndpoint.ANALYTICS and self._mode is CaptureMode.AUTO
        )
