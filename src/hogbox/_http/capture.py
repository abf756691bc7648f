"""Capture requests, which send a worker's batches. The meaning of responses is in `_wire/verdict.py`."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from hogbox._events.timestamp import utc_text
from hogbox._http.client import HttpClient, Transport
from hogbox._http.response import NoReply
from hogbox._wire.analytics import analytics_request
from hogbox._wire.analytics_verdict import judge_analytics
from hogbox._wire.backoff import parse_retry_after
from hogbox._wire.batch import CaptureRequest, OutgoingBatch, batch_request
from hogbox._wire.compression import AUTOMATIC, encoder, v0_encoder
from hogbox._wire.host import shorten
from hogbox._wire.library import USER_AGENT
from hogbox._wire.verdict import Answer, judge, no_answer
from hogbox.telemetry import RequestDone, Telemetry

_MAX_BYTES: Final = 1024 * 1024
"""The maximum size of a response, unless there are more than a thousand events."""

_RESULT_BYTES: Final = 1024
"""The maximum size of what it says of one event."""

_WARNING: Final = "x-posthog-rate-limit-warning"
"""The header of responses that are about to be refused because there are too many (wire protocol 6.8)."""

_SHORTEST: Final = 0.1
"""The least time, in seconds, for a request that a sender begins just before its deadline."""


class CaptureTransport(Transport):
    """Sends capture requests to one host and judges the responses; never raises for network errors.

    A request may take `timeout` seconds, and none outlasts `ends`, a monotonic time. `compression` is a valid word of
    the setting `capture_compression`.
    """

    def __init__(
        self,
        host: str,
        timeout: float,
        connections: int,
        telemetry: Telemetry,
        *,
        ends: float = float("inf"),
        compression: str = AUTOMATIC,
    ) -> None:
        self._timeout = timeout
        self._encoder, self._v0_encoder = encoder(compression), v0_encoder(compression)
        self._ends = ends
        super().__init__(HttpClient(host, connections=connections))
        self._telemetry = telemetry

    def send_batch(self, batch: OutgoingBatch) -> Answer:
        """Send these events and judge the response."""
        request = self._request(batch)
        began = time.perf_counter()
        answer = self._post(request, batch)
        seconds = time.perf_counter() - began
        self._telemetry.emit(
            RequestDone(
                shorten(batch.project),
                answer.status,
                answer.verdict.value,
                answer.reason,
                seconds,
                len(batch.payloads),
                len(request.body),
                answer.near_limit,
            )
        )
        return answer

    def _request(self, batch: OutgoingBatch) -> CaptureRequest:
        now = datetime.now(UTC)
        if batch.identity is None:
            return batch_request(
                batch.project,
                batch.payloads,
                sent_at=now.isoformat(),
                user_agent=USER_AGENT,
                historical=batch.historical,
                encoder=self._v0_encoder,
                endpoint=batch.endpoint,
            )
        return analytics_request(
            batch.project,
            batch.payloads,
            batch.identity,
            sent_at=utc_text(now),
            user_agent=USER_AGENT,
            historical=batch.historical,
            encoder=self._encoder,
        )

    def _post(self, request: CaptureRequest, batch: OutgoingBatch) -> Answer:
        seconds = min(self._timeout, max(_SHORTEST, self._ends - time.monotonic()))
        limit = max(_MAX_BYTES, _RESULT_BYTES * len(batch.payloads))
        try:
            response = self._client.exchange(
                "POST", request.path, request.headers, request.body, seconds=seconds, limit=limit
            )
        except NoReply as error:
            return no_answer(str(error))
        retry_after = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
        where = f" (redirects to {response.location})" if response.location else ""
        judged = judge_analytics if batch.endpoint.states_results else judge
        answer = judged(response.status, response.text() + where, retry_after, response.headers.get("content-type"))
        return replace(answer, near_limit=_WARNING in response.headers)


def reach(host: str, timeout: float) -> int:
    """The status of the host's response to `GET /`. Raises NoReply if there is none."""
    client = HttpClient(host, connections=1)
    try:
        # Only the status is used, so the body may be cut off.
        return client.exchange("GET", "/", {"User-Agent": USER_AGENT}, seconds=timeout, limit=1024).status
    finally:
        client.close()
