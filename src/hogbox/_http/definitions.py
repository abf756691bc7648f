"""Definitions requests, which fetch flag definitions for a refresh."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from hogbox._http.client import HttpClient
from hogbox._wire.definitions import DefinitionsRequest, Reply

DEFINITIONS_TIMEOUT: Final = 10.0
"""Seconds to wait for definitions."""

_MAX_BYTES: Final = 64 * 1024 * 1024
"""The maximum size of a response: a project with ten thousand flags has about 10 MB of definitions."""


class DefinitionsTransport:
    """Fetches definitions from one host. Never follows a redirect: the key is for this host only."""

    def __init__(self, host: str) -> None:
        self._client = HttpClient(host, connections=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, request: DefinitionsRequest) -> Reply:
        """The complete response. Raises NoReply if there is none in time, or if it is too long or not decodable."""
        path = f"{request.path}?{request.query}"
        response = self._client.exchange("GET", path, request.headers, seconds=DEFINITIONS_TIMEOUT, limit=_MAX_BYTES)
        return Reply(response.status, response.whole_body(), response.headers.get("etag"), response.location)
