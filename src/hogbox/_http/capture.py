"""Capture requests, which send a worker's batches. The meaning of responses is in `_wire/verdict.py`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from hogbox._http.client import HttpClient, Transport
from hogbox._http.response import NoReply
from hogbox._wire.backoff import parse_retry_after
from hogbox._wire.batch import CaptureRequest, batch_request
from hogbox._wire.compression import AUTOMATIC, v0_encoder
from hogbox._wire.host import shorten
from hogbox._wire.library import USER_AGENT
from hogbox._wire.verdict import Answer, judge, no_answer
from hogbox.telemetry import RequestDone, Telemetry

_MAX_BYTES: Final = 1024 * 1024
"""The maximum size of a response: a result for each of a thousand events fits."""

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
        self._encoder = v0_encoder(compression)
        self._ends = ends
        super().__init__(HttpClient(host, connections=connections))
        self._telemetry = telemetry

    def send_batch(self, token: str, payloads: list[str], *, historical: bool = False) -> Answer:
        """Send these encoded events, in this order, and judge the response. `historical`: they are a backfill."""
        now = datetime.now(UTC)
        request = batch_request(
            token,
            payloads,
            sent_at=now.isoformat(),
            user_agent=USER_AGENT,
            historical=historical,
            encoder=self._encoder,
        )
        began = time.perf_counter()
        answer = self._post(request)
        seconds = time.perf_counter() - began
        self._telemetry.emit(
            RequestDone(
                shorten(token),
                answer.status,
                answer.verdict.value,
                answer.reason,
                seconds,
                len(payloads),
                len(request.body),
            )
        )
        return answer

    def _post(self, request: CaptureRequest) -> Answer:
        seconds = min(self._timeout, max(_SHORTEST, self._ends - time.monotonic()))
        try:
            response = self._client.exchange(
                "POST", request.path, request.headers, request.body, seconds=seconds, limit=_MAX_BYTES
            )
        except NoReply as error:
            return no_answer(str(error))
        retry_after = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
        where = f" (redirects to {response.location})" if response.location else ""
        return judge(response.status, response.text() + where, retry_after, response.headers.get("content-type"))


def reach(host: str, timeout: float) -> int:
    """The status of the host's response to `GET /`. Raises NoReply if there is none."""
    client = HttpClient(host, connections=1)
    try:
        # Only the status is used, so the body may be cut off.
        return client.exchange("GET", "/", {"User-Agent": USER_AGENT}, seconds=timeout, limit=1024).status
    finally:
        client.close()
