"""The network: one HTTP client, kept for all requests of a worker."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import httpx

from hogbox import __version__
from hogbox._wire.backoff import parse_retry_after
from hogbox._wire.batch import batch_request
from hogbox._wire.verdict import Answer, judge, no_answer

USER_AGENT: Final = f"hogbox/{__version__}"


class Transport:
    """Sends capture requests to one host and judges the answers; never raises for what the network does."""

    def __init__(self, host: str, timeout: float, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._host = host
        self._client = httpx.Client(timeout=timeout, limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send_batch(self, token: str, payloads: list[str]) -> Answer:
        """Send these encoded events, in this order, and judge the answer."""
        now = datetime.now(UTC)
        request = batch_request(token, payloads, sent_at=now.isoformat(), user_agent=USER_AGENT)
        try:
            response = self._client.post(f"{self._host}{request.path}", content=request.body, headers=request.headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return no_answer(f"{type(error).__name__}: {error}".rstrip(": "))
        retry_after = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        where = f" (redirects to {response.headers['Location']})" if response.has_redirect_location else ""
        return judge(response.status_code, response.text + where, retry_after)
