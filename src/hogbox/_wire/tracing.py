"""Tracing headers, which identify the frontend's user; event properties of a request (wire protocol 9)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any, Final

DISTINCT_ID: Final = "X-POSTHOG-DISTINCT-ID"
SESSION_ID: Final = "X-POSTHOG-SESSION-ID"
CONTEXT_TAGS: Final = "X-POSTHOG-CONTEXT-TAGS"
"""Only in the headers of tasks: the tags as a JSON object."""

_MOST_CHARACTERS: Final = 1000
_MOST_URL_CHARACTERS: Final = 2048
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def clean_header(value: object) -> str | None:
    """A header's value, stripped, without control characters, truncated to 1,000 characters; None if nothing is left.

    If there are several values, the first one counts of which something is left.
    """
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return next((text for text in map(_clean, value) if text is not None), None)
    return _clean(value)


def request_properties(
    *,
    url: str | None = None,
    url_query: bool = False,
    method: str | None = None,
    path: str | None = None,
    user_agent: str | None = None,
    ip: str | None = None,
) -> dict[str, Any]:
    """The event properties of a request; unknown ones are left out. `path` has no query.

    The query of `url` is removed unless `url_query`: it may contain login or reset tokens, and names of people.
    """
    known = {
        "$current_url": _clean(
            url if url is None or url_query else re.split(r"[?#]", url, maxsplit=1)[0], _MOST_URL_CHARACTERS
        ),
        "$request_method": _clean(method),
        "$request_path": _clean(path, _MOST_URL_CHARACTERS),
        "$user_agent": user_agent,
        "$raw_user_agent": user_agent,
        "$ip": _address(ip),
    }
    return {name: value for name, value in known.items() if value}


def _clean(value: object, most: int = _MOST_CHARACTERS) -> str | None:
    if not isinstance(value, str):
        return None
    return _CONTROL.sub("", value).strip()[:most] or None


def _address(text: str | None) -> str | None:
    """The IP address, without a zone; None for anything else, such as the path of a socket."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
