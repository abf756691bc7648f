"""The result of an exchange: a response with a limited body, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hogbox._wire.flags import CONNECTION_ERROR, TIMEOUT


class Response(NamedTuple):
    """A response. The names in `headers` are in lower case; the last of repeated headers is kept."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    """Whether `body` is complete: within the limit, and decoded according to `Content-Encoding`."""

    @property
    def location(self) -> str | None:
        """The target of a redirect; redirects are never followed."""
        return self.headers.get("location") if 300 <= self.status < 400 else None

    def text(self) -> str:
        """The body as text. PostHog sends UTF-8; other bytes are replaced, whatever the declared charset."""
        return self.body.decode("utf-8", "replace")

    def whole_body(self) -> bytes:
        """The body. Raises NoReply if it is incomplete: too long, or not decodable."""
        if not self.whole:
            encoding = self.headers.get("content-encoding", "none")
            raise NoReply(
                f"HTTP {self.status}: the body is too long or can't be decoded (Content-Encoding: {encoding})"
            )
        return self.body


class NoReply(Exception):
    """There was no response; the message is the reason."""

    reason = CONNECTION_ERROR
    """The code of the wire protocol, section 6."""


class TimedOut(NoReply):
    """There was no complete response before the deadline."""

    reason = TIMEOUT
