"""What an exchange comes to: an answer whose body is bounded, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hogbox._wire.flags import CONNECTION_ERROR, TIMEOUT


class Response(NamedTuple):
    """An answer. The names of `headers` are in lower case; of repeated ones the last counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    """Whether `body` is all of it: within the bound, and decoded as `Content-Encoding` says."""

    @property
    def location(self) -> str | None:
        """Where a redirect leads; redirects are never followed."""
        return self.headers.get("location") if 300 <= self.status < 400 else None

    def text(self) -> str:
        """The body as text. PostHog writes UTF-8; other bytes are replaced, whatever charset the answer names."""
        return self.body.decode("utf-8", "replace")

    def whole_body(self) -> bytes:
        """The body. Raises NoReply where it is incomplete: too long, or not decodable."""
        if not self.whole:
            encoding = self.headers.get("content-encoding", "none")
            raise NoReply(
                f"HTTP {self.status}, and the body is too long or can't be decoded (Content-Encoding: {encoding})"
            )
        return self.body


class NoReply(Exception):
    """No answer came; the message says why."""

    reason = CONNECTION_ERROR
    """The code of the wire protocol, section 6."""


class TimedOut(NoReply):
    """No whole answer came before the deadline."""

    reason = TIMEOUT
