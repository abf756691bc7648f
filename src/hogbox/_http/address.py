"""The destination of requests: the parsed address of a host, and the proxy set for it in the environment."""

from __future__ import annotations

from base64 import b64encode
from typing import Final, NamedTuple, Self
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from hogbox._http.response import NoReply
from hogbox._wire.host import without_password

_SOCKS: Final = ("socks5", "socks5h")
_PORTS: Final = {"http": 80, "https": 443}
_PATH: Final = "/%:@!$&'()*+,;=~-._"


class Address(NamedTuple):
    """An http(s) address. `authorization` is the header for its user and password, if any."""

    scheme: str
    host: str
    port: int | None
    path: str
    authorization: str | None

    @classmethod
    def read(cls, url: str) -> Self:
        """Parse an address. Raises ValueError for an invalid one."""
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna" if not (parts.hostname or "").isascii() else "ascii").decode()
        authorization = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = f"Basic {b64encode(pair.encode()).decode()}"
        return cls(parts.scheme, host, parts.port, quote(parts.path, safe=_PATH), authorization)


class Proxy(NamedTuple):
    """A proxy: its URL without user and password, and these, if any."""

    url: str
    socks: bool
    auth: tuple[str, str] | None


def proxy_for(address: Address) -> Proxy | None:
    """The proxy for an address from the environment (or the system), if any.

    Raises NoReply for an invalid one.
    """
    if _bypassed(address.host, address.port or _PORTS.get(address.scheme)):
        return None
    proxies = getproxies()
    url = proxies.get(address.scheme) or proxies.get("all")
    return _read_proxy(url) if url else None


def _bypassed(host: str, port: int | None) -> bool:
    """Whether NO_PROXY includes the host, or `host:port`, with or without a scheme."""
    if proxy_bypass(host):
        return True
    shown = f"[{host}]" if ":" in host else host
    origin = f"{shown}:{port}".lower()
    names = getproxies().get("no", "").split(",")
    return any(name.strip().lower().rpartition("://")[2].rstrip("/") in (origin, shown.lower()) for name in names)


def _read_proxy(url: str) -> Proxy:
    complete = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(complete)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        if host and host.isascii() and parts.scheme in ("http", "https", *_SOCKS):
            shown = f"[{host}]" if ":" in host else host
            auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username is not None else None
            origin = f"{parts.scheme}://{shown}" if port is None else f"{parts.scheme}://{shown}:{port}"
            return Proxy(origin, parts.scheme in _SOCKS, auth)
    raise NoReply(
        f"the proxy set in the environment ({without_password(complete)}) can't be used: "
        "correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or add PostHog's host to NO_PROXY"
    )
