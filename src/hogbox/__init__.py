"""PostHog for backends, living in the application's own database.

Names are loaded on first use, so that `import hogbox` (and later `hogbox.flags` alone) costs only what is used.

PYTEST_DONT_REWRITE: there is nothing to rewrite, and pytest would warn those who import hogbox before it starts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hogbox._wire.library import VERSION

if TYPE_CHECKING:
    from hogbox._client.snapshot import AsyncFlags as AsyncFlags
    from hogbox._client.snapshot import Flags as Flags
    from hogbox._events.event import Event as Event
    from hogbox.aio import AsyncPostHog as AsyncPostHog
    from hogbox.client import PostHog as PostHog
    from hogbox.errors import HogboxError as HogboxError

__version__ = VERSION

_HOMES = {
    "AsyncFlags": "hogbox._client.snapshot",
    "AsyncPostHog": "hogbox.aio",
    "Event": "hogbox._events.event",
    "Flags": "hogbox._client.snapshot",
    "HogboxError": "hogbox.errors",
    "PostHog": "hogbox.client",
}

__all__ = ["AsyncFlags", "AsyncPostHog", "Event", "Flags", "HogboxError", "PostHog", "__version__"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hogbox' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
