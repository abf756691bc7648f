"""The library's version, and its name in requests (wire protocol 1)."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"

USER_AGENT: Final = f"hogbox/{VERSION}"
