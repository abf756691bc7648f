"""Capture modes: which of PostHog's two capture protocols is spoken (wire protocol 3 and 4)."""

from __future__ import annotations

from enum import Enum
from typing import Final

from hogbox.errors import ConfigurationError


class CaptureMode(Enum):
    """The values of the setting `capture_mode`."""

    AUTO = "auto"
    """v1 where the host speaks it, otherwise v0."""

    V0 = "v0"
    """`POST /batch/`: one answer for a whole request."""

    V1 = "v1"
    """`POST /i/v1/analytics/events`: a result for each event."""

    @classmethod
    def read(cls, word: str) -> CaptureMode:
        """The mode that a word means, in any case; official clients have two more words. Raises ConfigurationError."""
        normal = word.strip().lower()
        try:
            return cls(_OFFICIAL.get(normal, normal))
        except ValueError:
            raise ConfigurationError(
                f"capture_mode {word!r} is unknown: use auto, v0 (or legacy) or v1 (or analytics_v1)"
            ) from None


_OFFICIAL: Final = {"legacy": "v0", "analytics_v1": "v1"}


class CaptureEndpoint(Enum):
    """Where requests with events go; the value is the path."""

    BATCH = "/batch/"
    """Capture v0: takes every event."""

    ANALYTICS = "/i/v1/analytics/events"
    """Capture v1."""

    AI = "/i/v0/ai/batch/"
    """The AI lane, which speaks v0."""

    @property
    def states_results(self) -> bool:
        """Whether its answers have a result for each event."""
        return self is CaptureEndpoint.ANALYTICS
