"""What an exchange comes to: an answer whose body is bounded, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


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


class NoReply(Exception):
    """No answer came; the message says why."""


class TimedOut(NoReply):
    """No whole answer came before the deadline."""
