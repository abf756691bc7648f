"""URLs for display: without passwords (P9)."""

from __future__ import annotations

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError


def shown_url(url: str | None) -> str:
    """A URL without its password, and without its query, which may contain one."""
    if url is None:
        return "not set"
    try:
        parts = make_url(url).set(query={})
    except (ArgumentError, ValueError):
        return "set"
    if "@" in (host := parts.host or ""):
        # The password contains an @ that is not escaped: the text after it was parsed as the host.
        parts = parts.set(host=host.rpartition("@")[2])
    return parts.render_as_string(hide_password=True)
