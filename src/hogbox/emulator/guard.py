"""Keeps web pages away from the control API: foreign origins and rebound names."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_SAME: Final = (None, "same-origin", "none")


class Guard:
    """Passes a request on to the control API unless a browser sent it for another site, or to a name not allowed."""

    def __init__(self, app: ASGIApp, names: Collection[str] = ()) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if problem := refusal(Headers(scope=scope), self._names):
            await JSONResponse({"error": problem}, status_code=403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def refusal(headers: Headers, names: Collection[str]) -> str | None:
    """Why a control request with these headers is refused; None for one that is not."""
    host = headers.get("host", "")
    if not _is_allowed(_name(f"//{host}"), names):
        return "this Host is not allowed: use an IP address or localhost, or start with --allow-host NAME"
    if headers.get("sec-fetch-site") not in _SAME:
        return "a page of another site may not use the control API"
    origin = headers.get("origin")
    if origin is not None and _origin_host(origin) != host.lower():
        return "a page of another origin may not use the control API"
    return None


def _origin_host(url: str) -> str | None:
    """Host and port of an origin, in lower case; None if it has none."""
    try:
        return urlsplit(url).netloc.lower() or None
    except ValueError:
        return None


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_allowed(name: str, names: Collection[str]) -> bool:
    """Whether no foreign DNS server can decide what the name means: an address, localhost, or a name given."""
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
