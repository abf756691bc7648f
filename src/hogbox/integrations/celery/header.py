"""Message headers, which pass the context of the sender to a task (wire protocol 9)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hogbox._events.value import clean_properties
from hogbox._wire.tracing import CONTEXT_TAGS, DISTINCT_ID, SESSION_ID
from hogbox.context import Context

log = logging.getLogger("hogbox")

_NAMES: Final = {name.lower(): name for name in (DISTINCT_ID, SESSION_ID, CONTEXT_TAGS)}


def headers_of(context: Context | None) -> dict[str, str]:
    """The headers for the values of this context."""
    if context is None:
        return {}
    headers = {DISTINCT_ID: context.person(), SESSION_ID: context.session_id, CONTEXT_TAGS: _write_tags(context.tags)}
    return {name: value for name, value in headers.items() if value is not None}


def add_headers(context: Context | None, headers: dict[str, Any]) -> None:
    """Write the values of this context into a message's headers, except those that the sender has set.

    If the headers contain headers of their own, Celery passes only those to the task: they are written to both.
    """
    levels = [headers]
    if isinstance(inner := headers.get("headers"), Mapping):
        # A copy: the sender may reuse its dict for the next message.
        headers["headers"] = copy = dict(inner)
        levels.append(copy)
    given = find_headers(*levels)
    for name, value in headers_of(context).items():
        if name not in given:
            for level in levels:
                level[name] = value


def find_headers(*levels: Mapping[str, Any]) -> dict[str, object]:
    """These headers by their usual names, in any case; a later level has precedence."""
    return {_NAMES[name.lower()]: level[name] for level in levels for name in level if str(name).lower() in _NAMES}


def read_tags(text: object) -> dict[str, Any]:
    """The tags in a header; none, with a warning, if it is not a JSON object."""
    if text is None:
        return {}
    try:
        tags: dict[str, Any] = msgspec.json.decode(text if isinstance(text, str) else b"", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        log.warning("the header %s of a task is ignored: it is not a JSON object: %s", CONTEXT_TAGS, error)
        return {}
    return tags


def _write_tags(tags: Mapping[str, Any]) -> str | None:
    """The tags as JSON; a value without a JSON form becomes null, with a warning, as in events."""
    if not tags:
        return None
    cleaned, problems = clean_properties(tags)
    if problems:
        log.warning("tags of a task's context: %s", "; ".join(problems[:5]))
    return json.dumps(cleaned)
