"""The headers by which PostHog lets every web page send events and ask for flags."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

_METHODS = "GET,POST,OPTIONS"


def cors_headers(scope: Scope) -> dict[str, str]:
    """The headers for a request that a page sent; none for others."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return {}
    allowed = {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "vary": "origin, access-control-request-method, access-control-request-headers",
    }
    if scope["method"] == "OPTIONS":
        allowed["access-control-allow-methods"] = _METHODS
        if (asked := headers.get("access-control-request-headers")) is not None:
            allowed["access-control-allow-headers"] = asked
    return allowed
