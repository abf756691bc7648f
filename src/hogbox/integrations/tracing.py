"""Tracing headers on outgoing requests: services that an application calls learn its user (wire protocol 9).

    tracing = TracingHeaders(["billing.internal"])
    httpx.Client(event_hooks={"request": [tracing.add]})
    httpx.AsyncClient(event_hooks={"request": [tracing.add_async]})
    tracing.attach(requests.Session())
    aiohttp.ClientSession(middlewares=[tracing.middleware])

Needs none of these libraries: it takes their objects as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from hogbox._events.value import error_text, shown
from hogbox._wire.tracing import DISTINCT_ID, SESSION_ID, clean_header
from hogbox.context import get_context
from hogbox.errors import ConfigurationError

__all__ = ["TracingHeaders"]

log = logging.getLogger("hogbox")

_T = TypeVar("_T")

_ADDED: Final = "hogbox.tracing"
"""The extension of an httpx request with the headers that were added to it."""


class TracingHeaders:
    """Adds the current context's distinct id and session to requests to these hosts, and to no others.

    `hosts` are exact names or addresses, without port, such as `"billing.internal"`. The values are those at the time
    of the request, and replace headers of the same names. A value that is not ASCII is not sent. If anything fails, the
    request is sent without them.

    Raises ConfigurationError for hosts that are not names.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        if isinstance(hosts, str):
            raise ConfigurationError(f"hosts must be a list of host names, not the text {hosts!r}")
        self._hosts = frozenset(_require_host(host) for host in hosts)

    def add(self, request: Any) -> None:
        """An event hook for requests of `httpx.Client` and `httpx2.Client`."""
        try:
            headers, extensions = request.headers, request.extensions
            # A redirect copies headers and extensions, and may lead to a host that is not listed.
            for name, value in extensions.pop(_ADDED, {}).items():
                if headers.get(name) == value:
                    del headers[name]
            if added := self._headers_for(request.url.raw_host.decode("ascii")):
                headers.update(added)
                extensions[_ADDED] = added
        except Exception as error:
            _report(error)

    async def add_async(self, request: Any) -> None:
        """The same for `httpx.AsyncClient` and `httpx2.AsyncClient`."""
        self.add(request)

    def attach(self, session: _T) -> _T:
        """Adds the headers to requests of this `requests.Session`, and returns it. Call it after mounting adapters."""
        adapters: MutableMapping[str, Any] = session.adapters  # type: ignore[attr-defined]
        for prefix, adapter in adapters.items():
            if not isinstance(adapter, _TracingAdapter):
                adapters[prefix] = _TracingAdapter(adapter, self._headers_for)
        return session

    async def middleware(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """A client middleware of aiohttp 3.12 or newer."""
        try:
            request.headers.update(self._headers_for(request.url.raw_host))
        except Exception as error:
            _report(error)
        return await handler(request)

    def _headers_for(self, host: str | None) -> dict[str, str]:
        """The headers for a request to this host; none if it is not listed, or there is no context."""
        if host is None or host.lower() not in self._hosts or (context := get_context()) is None:
            return {}
        values = {DISTINCT_ID: context.person(), SESSION_ID: context.session_id}
        cleaned = {name: clean_header(value) for name, value in values.items()}
        return {name: value for name, value in cleaned.items() if value and value.isascii()}


class _TracingAdapter:
    """A transport adapter of requests in front of another one."""

    def __init__(self, adapter: Any, headers_for: Callable[[str | None], Mapping[str, str]]) -> None:
        self._adapter = adapter
        self._headers_for = headers_for

    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        """Sends a copy: redirects are made of the original, and may lead to a host that is not listed."""
        traced = request
        try:
            if headers := self._headers_for(urlsplit(request.url).hostname):
                traced = request.copy()
                traced.headers.update(headers)
        except Exception as error:
            traced = request
            _report(error)
        return self._adapter.send(traced, *args, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "_adapter":  # not yet set, while the session is unpickled
            raise AttributeError(name)
        return getattr(self._adapter, name)


def _require_host(host: object) -> str:
    if isinstance(host, str) and host.strip() == host and host:
        try:
            name = host.lower() if host.isascii() else host.encode("idna").decode("ascii")
        except UnicodeError:
            name = ""
        # Parsed as the host of a URL, it has to stay as it is: without a port, a path or a wildcard.
        try:
            parsed = urlsplit(f"//[{name}]" if ":" in name else f"//{name}").hostname
        except ValueError:
            parsed = None
        if parsed == name and "*" not in name:
            return name
    raise ConfigurationError(f"{shown(host)} is not a host name: pass names such as 'billing.internal', without a port")


def _report(error: Exception) -> None:
    log.debug("request sent without tracing headers: %s", error_text(error))
