"""Addresses as they may be shown: without passwords (P9)."""

from __future__ import annotations

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError


def shown_url(url: str | None) -> str:
    """An address without its password, and without its query, which may hold one."""
    if url is None:
        return "not set"
    try:
        return make_url(url).set(query={}).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return "set"
