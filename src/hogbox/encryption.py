"""Decryption of payloads, for applications that read hogbox's tables themselves."""

from __future__ import annotations

from hogbox._encryption import move_payload, open_payload

__all__ = ["move_payload", "open_payload"]
