"""Settings that an application can pass to a client as one value."""

from __future__ import annotations

from hogbox._settings.delivery import DeliverySettings

__all__ = ["DeliverySettings"]
