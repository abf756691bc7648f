"""Encrypted payloads, for code of an application that reads hogbox's tables itself."""

from __future__ import annotations

from hogbox._encryption import move_payload, open_payload

__all__ = ["move_payload", "open_payload"]
