"""PostHog for backends, living in the application's own database.

Names are loaded on first use, so that `import hogbox` (and later `hogbox.flags` alone) costs only what is used.

PYTEST_DONT_REWRITE: there is nothing to rewrite, and pytest would warn those who import hogbox before it starts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hogbox._client.flag_change import FlagChanges as FlagChanges
    from hogbox._client.flag_change import FlagResultChange as FlagResultChange
    from hogbox._client.flag_reader import FlagValues as FlagValues
    from hogbox._client.flag_reader import StoredFlagDefinitions as StoredFlagDefinitions
    from hogbox._client.flag_stream import AsyncFlagChangeStream as AsyncFlagChangeStream
    from hogbox._client.flag_stream import FlagChangeStream as FlagChangeStream
    from hogbox._client.flag_watch import FlagSubscription as FlagSubscription
    from hogbox._client.recorder import Discarded as Discarded
    from hogbox._client.snapshot import AsyncFlags as AsyncFlags
    from hogbox._client.snapshot import Flags as Flags
    from hogbox._events.event import Event as Event
    from hogbox._events.hook import BeforeSend as BeforeSend
    from hogbox._settings.delivery import DeliverySettings as DeliverySettings
    from hogbox._wire.library import VERSION
    from hogbox._worker.refresher import Refresh as Refresh
    from hogbox._worker.worker import Delivery as Delivery
    from hogbox._worker.worker import Progress as Progress
    from hogbox.aio import AsyncPostHog as AsyncPostHog
    from hogbox.client import PostHog as PostHog
    from hogbox.errors import HogboxError as HogboxError
    from hogbox.flags import FlagResult as FlagResult

    __version__ = VERSION

_HOMES = {
    "AsyncFlagChangeStream": "hogbox._client.flag_stream",
    "AsyncFlags": "hogbox._client.snapshot",
    "AsyncPostHog": "hogbox.aio",
    "BeforeSend": "hogbox._events.hook",
    "Delivery": "hogbox._worker.worker",
    "DeliverySettings": "hogbox._settings.delivery",
    "Discarded": "hogbox._client.recorder",
    "Event": "hogbox._events.event",
    "FlagChangeStream": "hogbox._client.flag_stream",
    "FlagChanges": "hogbox._client.flag_change",
    "FlagResult": "hogbox.flags",
    "FlagResultChange": "hogbox._client.flag_change",
    "FlagSubscription": "hogbox._client.flag_watch",
    "FlagValues": "hogbox._client.flag_reader",
    "Flags": "hogbox._client.snapshot",
    "HogboxError": "hogbox.errors",
    "PostHog": "hogbox.client",
    "Progress": "hogbox._worker.worker",
    "Refresh": "hogbox._worker.refresher",
    "StoredFlagDefinitions": "hogbox._client.flag_reader",
}

__all__ = [
    "AsyncFlagChangeStream",
    "AsyncFlags",
    "AsyncPostHog",
    "BeforeSend",
    "Delivery",
    "DeliverySettings",
    "Discarded",
    "Event",
    "FlagChangeStream",
    "FlagChanges",
    "FlagResult",
    "FlagResultChange",
    "FlagSubscription",
    "FlagValues",
    "Flags",
    "HogboxError",
    "PostHog",
    "Progress",
    "Refresh",
    "StoredFlagDefinitions",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("hogbox._wire.library").VERSION
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hogbox' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
