"""Events about language models: what of them is content, and what is left of it (wire protocol 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeGuard

from hogbox._events.bulk import is_bulky
from hogbox._events.event import Event
from hogbox._events.media import CUT_TO, ContentReader
from hogbox._events.value import MAX_TEXT, class_name

MAX_AI_EVENT_BYTES: Final = 8 * 1024 * 1024
"""The largest event of the AI lane, encoded."""

AI_NAMES: Final = frozenset(
    (
        "$ai_generation",
        "$ai_embedding",
        "$ai_span",
        "$ai_trace",
        "$ai_metric",
        "$ai_feedback",
        "$ai_evaluation",
        "$ai_tag",
        "$ai_trace_summary",
        "$ai_generation_summary",
        "$ai_trace_clusters",
        "$ai_generation_clusters",
    )
)
"""The names of the events that PostHog's AI endpoint accepts."""

CONTENT: Final = ("$ai_input", "$ai_output_choices", "$ai_instructions", "$ai_input_state", "$ai_output_state")
"""The properties that contain what a model was given and what it answered."""

_ERROR: Final = "$ai_error"

_CLASS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,127}")
_CODE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_PARAMETER: Final = re.compile(r"[A-Za-z0-9_.\[\]-]{1,128}")
_REQUEST: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_CAUSES: Final = 3


def ai_properties(given: Mapping[str, Any], *, private: bool, whole: bool) -> dict[str, Any]:
    """The properties of an AI event: `private` without content, `whole` with media and texts of any length."""
    properties = {**given}
    error = properties.get(_ERROR)
    if private:
        properties.update((name, None) for name in CONTENT if name in properties)
        if _ERROR in properties:
            # A text may contain the prompt: only an exception has parts that don't.
            properties[_ERROR] = error_summary(error) if _is_exception(error) else None
        return properties
    if _is_exception(error):
        properties[_ERROR] = _error_text(error)
    if whole:
        return properties
    read, characters = _read_content(properties, None)
    # Beyond that, further texts of the event would be left out entirely.
    return {**properties, **(_read_content(read, CUT_TO)[0] if characters > MAX_TEXT else read)}


def cut_event(event: Event) -> Event:
    """The event with the long texts of its content cut."""
    properties = event["properties"]
    return {**event, "properties": {**properties, **_read_content(properties, CUT_TO)[0]}}


def without_media(properties: dict[str, Any]) -> dict[str, Any]:
    """Properties without media, of which their conversion to JSON may have brought more to light."""
    return {**properties, **_read_content(properties, None)[0]}


def _read_content(properties: Mapping[str, Any], most: int | None) -> tuple[dict[str, Any], int]:
    """The content among the properties, without its media, and the number of its characters."""
    reader = ContentReader(most)
    return {name: reader.read(properties[name], name) for name in CONTENT if name in properties}, reader.characters


def _is_exception(error: object) -> TypeGuard[BaseException]:
    # Asked of the type: an object may claim another class.
    return issubclass(type(error), BaseException)


def error_summary(error: BaseException) -> str:
    """An exception without its message: its class, and the codes by which a provider names what went wrong."""
    try:
        return _summarize(error)
    except Exception:
        return _class(error)


def _summarize(error: BaseException) -> str:
    body = _field(error, "body")
    inner = _field(body, "error")
    sources = (error, inner if isinstance(inner, dict) else body)
    summary = _class(error)
    if (status := _status(error)) is not None:
        summary += f": {status}"
    codes = [_matching(_CODE, _field(source, name)) for source in sources for name in ("code", "type", "status")]
    for code in dict.fromkeys(code for code in codes if code):
        summary += f" {code}"
    if parameter := next(filter(None, (_matching(_PARAMETER, _field(source, "param")) for source in sources)), None):
        summary += f" param={parameter}"
    if request := _matching(_REQUEST, _field(error, "request_id")):
        summary += f" request_id={request}"
    causes = [_class(cause) for cause in islice(_causes(error), _CAUSES)]
    return summary + (f" (caused by {', '.join(causes)})" if causes else "")


def _error_text(error: BaseException) -> str:
    try:
        text = "" if is_bulky(error) else str(error)
    except Exception:
        text = ""
    return text or class_name(error)


def _field(source: Any, name: str) -> Any:
    """A field of a mapping, or an attribute, which may run code of the provider's library."""
    try:
        return source.get(name) if isinstance(source, dict) else getattr(source, name, None)
    except Exception:
        return None


def _status(error: BaseException) -> int | None:
    for name in ("status_code", "status", "code"):
        value = _field(error, name)
        if type(value) is int and 100 <= value <= 599:
            return value
    return None


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    return value if type(value) is str and pattern.fullmatch(value) else None


def _class(error: BaseException) -> str:
    return _matching(_CLASS, class_name(error)) or "Exception"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
