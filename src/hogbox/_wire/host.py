"""Where PostHog is, and the shape of its keys (wire protocol 1.1 and 1.2)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from hogbox.errors import ConfigurationError

US: Final = "https://us.i.posthog.com"
EU: Final = "https://eu.i.posthog.com"

_INGESTION: Final = {
    "https://app.posthog.com": US,
    "https://us.posthog.com": US,
    "https://eu.posthog.com": EU,
}

MAX_TOKEN_BYTES: Final = 64


def normalize_host(host: str | None) -> str:
    """The base address that paths are appended to: the US one where none is given, ingestion hosts for app hosts.

    A path prefix (a reverse proxy's, say) is kept. Raises ConfigurationError for what is not an http(s) address.
    """
    address = (host or "").strip().rstrip("/")
    if not address:
        return US
    if not _is_address(address):
        raise ConfigurationError(
            f"host {without_password(address)!r} is not an address such as {US}: correct POSTHOG_HOST or host=..."
        )
    return _INGESTION.get(address.lower(), address)


def without_password(address: str) -> str:
    """An address fit for logs: user and password are left out, and so is a query, which may hold a key."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "", address
    authority, slash, path = rest.partition("/")
    if "@" in path and "@" not in authority and not _ends_in_a_port(authority):
        # A password with a slash that is not escaped.
        authority, slash, path = path.rpartition("@")[2].partition("/")
    kept, query, _ = f"{authority.rpartition('@')[2]}{slash}{path}".partition("?")
    return f"{scheme}{separator}{kept}{query and '?…'}"


def _ends_in_a_port(authority: str) -> bool:
    """Whether it is a host, with or without a port, rather than a user and the beginning of a password."""
    name, colon, port = authority.rpartition(":")
    return not colon or name.startswith("[") or port.isdigit() or not port


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or any(character.isspace() for character in address))
    return parts.scheme in ("http", "https") and whole and plain


def require_token(token: str | None) -> str:
    """The project token, trimmed. Raises ConfigurationError where PostHog would refuse its shape."""
    trimmed = (token or "").strip()
    if not trimmed:
        raise ConfigurationError(
            "no project token: pass project_token=... or set POSTHOG_PROJECT_TOKEN (it starts with phc_); "
            "PostHog(disabled=True) captures nothing and needs no token"
        )
    if trimmed.startswith(("phx_", "phs_")):
        raise ConfigurationError(
            "the project token is a secret key (phx_ or phs_): pass the project's public token, which starts with phc_"
        )
    if len(trimmed) > MAX_TOKEN_BYTES or not trimmed.isascii() or "\0" in trimmed:
        raise ConfigurationError(f"the project token {shorten(trimmed)} is invalid: at most 64 ASCII characters")
    return trimmed


def shorten(token: str) -> str:
    """A project token fit for logs (P9)."""
    return f"{token[:8]}…" if len(token) > 8 else token
