"""Definitions requests, which fetch flag definitions for a refresh."""

from __future__ import annotations

from typing import Final

from hogbox._http.client import HttpClient, Transport
from hogbox._wire.definitions import DefinitionsRequest, Reply

DEFINITIONS_TIMEOUT: Final = 10.0
"""Seconds to wait for definitions."""

_MAX_BYTES: Final = 64 * 1024 * 1024
"""The maximum size of a response: a project with ten thousand flags has about 10 MB of definitions."""


class DefinitionsTransport(Transport):
    """Fetches definitions from one host. Never follows a redirect: the key is for this host only."""

    def __init__(self, host: str) -> None:
        super().__init__(HttpClient(host, connections=1))

    def get(self, request: DefinitionsRequest) -> Reply:
        """The complete response. Raises NoReply if there is none in time, or if it is too long or not decodable."""
        path = f"{request.path}?{request.query}"
        response = self._client.exchange("GET", path, request.headers, seconds=DEFINITIONS_TIMEOUT, limit=_MAX_BYTES)
        return Reply(response.status, response.whole_body(), response.headers.get("etag"), response.location)
