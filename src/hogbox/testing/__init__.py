"""A pytest plugin for the tests of applications: captured events, set flags, and an emulated PostHog.

Its fixtures, `captured_events`, `async_captured_events`, `posthog_flags` and `posthog_emulator`, are there wherever
hogbox and pytest are installed. The names here are their types. They are loaded on first use, since pytest imports this
package in every run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hogbox.testing.captured import AsyncCapturedEvents as AsyncCapturedEvents
    from hogbox.testing.captured import CapturedEvents as CapturedEvents
    from hogbox.testing.override import FlagOverrides as FlagOverrides
    from hogbox.testing.row import CapturedEvent as CapturedEvent
    from hogbox.testing.row import DeadLetter as DeadLetter

_HOMES = {
    "AsyncCapturedEvents": "hogbox.testing.captured",
    "CapturedEvent": "hogbox.testing.row",
    "CapturedEvents": "hogbox.testing.captured",
    "DeadLetter": "hogbox.testing.row",
    "FlagOverrides": "hogbox.testing.override",
}

__all__ = ["AsyncCapturedEvents", "CapturedEvent", "CapturedEvents", "DeadLetter", "FlagOverrides"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hogbox.testing' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
