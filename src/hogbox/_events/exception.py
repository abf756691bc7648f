"""The argument of `capture_exception` -> the properties of an `$exception` event (wire protocol 2.11).

The caught exception comes first, followed by its causes; every entry names its parent, and unknown values are left
out. Errors in the caller's objects (a `__str__` that raises, a circular chain) are handled here.

`$exception_list` is limited to about `MAX_LIST_BYTES`. Each entry may take an equal share of the space that those
before it left, so that there is always space for the root cause, which comes last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Any, Final, NamedTuple

from hogbox._events.bulk import is_bulky
from hogbox._events.frame import MAX_FRAMES, MAX_TEXT_BYTES, ProjectCode, cut, json_size, stack_frames
from hogbox._events.stack_text import text_frames
from hogbox._events.stamp import is_exception, traceback_of
from hogbox._events.value import shown

MAX_EXCEPTIONS: Final = 50
"""Entries of `$exception_list`: the outermost and the first 49 below it (rule 3)."""

MAX_LIST_BYTES: Final = 256 * 1024
"""Bytes of `$exception_list` as JSON. An event may have 900 KiB; the caller's properties need room too."""

MAX_VALUE_BYTES: Final = 8 * 1024
"""The longest `value`, in bytes of UTF-8. A limit of hogbox: the rules set none."""

MAX_NAME_BYTES: Final = 256
"""The longest `type` and `module` of an entry, in bytes of UTF-8. Also a limit of hogbox."""

FINGERPRINT: Final = "$exception_fingerprint"

RESERVED: Final = frozenset(
    {
        "$exception_list",
        "$exception_level",
        "$exception_source",
        "$debug_images",
        "$exception_handled",
        # PostHog's processor writes these; no SDK sends them.
        "$exception_types",
        "$exception_values",
        "$exception_sources",
        "$exception_functions",
        "$exception_fingerprint_version",
        "$exception_fingerprint_record",
        "$exception_issue_id",
        "$exception_release",
        "$cymbal_errors",
    }
)
"""Properties that the caller can't set. `FINGERPRINT` is not one of them."""

_LEVELS: Final = {level: level for level in ("fatal", "error", "warning", "log", "info", "debug")} | {
    "critical": "fatal",
    "alert": "fatal",
    "emergency": "fatal",
    "warn": "warning",
    "notice": "info",
    "trace": "debug",
}

_SUPPRESSED: Final = vars(BaseException)["__suppress_context__"]
_LINKS: Final[dict[str, Any]] = {source: vars(BaseException)[f"__{source}__"] for source in ("cause", "context")}
_MEMBERS: Final = vars(BaseExceptionGroup)["exceptions"]
_ARGUMENTS: Final = vars(BaseException)["args"]
_ERRNO: Final = vars(OSError)["errno"]
"""Python's own attributes: a class of the application can't override them."""

_MOST_MEMBERS: Final = 10_000
"""Exceptions that are looked at to fill the list: a group may have a million members, or one a million times."""

_LARGEST_ERRNO: Final = 2**31

_ESCAPED: Final = 6  # bytes of JSON that one byte of UTF-8 may need: a control character is written \u0001


def exception_properties(
    error: object,
    *,
    level: str | None = "error",
    mechanism_type: str | None = "generic",
    handled: bool | None = True,
    source: str | None = None,
    fingerprint: str | None = None,
    project: ProjectCode,
    traceback: TracebackType | None = None,
) -> dict[str, Any]:
    """The `$exception_...` properties; those that are unknown (None), empty or malformed are left out.

    `level` may be in any case, or a synonym (`critical`, `warn`). `mechanism_type` and `handled` describe where the
    exception was caught (the table of boundaries in 2.11), `source` by which code (`django.middleware`). `traceback`
    is for an exception that has lost its own. Never raises.
    """
    boundary = {"type": _filled(mechanism_type), "handled": handled if type(handled) is bool else None}
    properties = {
        "$exception_list": _exception_list(error, _known(boundary), project, traceback),
        "$exception_level": _LEVELS.get((_text(level) or "").strip().lower()),
        "$exception_source": _filled(source),
        FINGERPRINT: _filled(fingerprint),
    }
    return _known(properties)


def bare_properties(error: object) -> dict[str, Any]:
    """The same with only the name of the class, for when the rest can't be read."""
    mechanism = {"type": "generic", "synthetic": not is_exception(error), "exception_id": 0}
    return {"$exception_list": [{"type": _type_name(error), "value": "", "mechanism": mechanism}]}


def recurrence_key(error: BaseException) -> tuple[str, str, int]:
    """What identifies a cause of exceptions, for a rate limit: the class, and the line that raised it."""
    entry = traceback_of(error)
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    code = None if entry is None else entry.tb_frame.f_code
    return _type_name(error), code.co_filename if code else "", (entry.tb_lineno if entry else None) or 0


def merge_properties(properties: Mapping[str, Any] | None, own: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's properties with the exception's `own` over them; neither argument is changed.

    `RESERVED` properties of the caller are ignored, and so is a `FINGERPRINT` that is not text.
    """
    kept = {name: value for name, value in (properties or {}).items() if name not in RESERVED}
    if _filled(kept.get(FINGERPRINT)) is None:
        kept.pop(FINGERPRINT, None)
    return {**kept, **own}


class _Link(NamedTuple):
    """An exception, the number of the entry that it led to, and how: `cause`, `context` or `member`."""

    error: BaseException
    parent_id: int | None
    source: str | None


def _exception_list(
    error: object, boundary: dict[str, Any], project: ProjectCode, traceback: TracebackType | None
) -> list[dict[str, Any]]:
    if not is_exception(error):
        return [_converted(error, boundary)]
    links = list(islice(_walk(error), MAX_EXCEPTIONS))
    entries: list[dict[str, Any]] = []
    room = MAX_LIST_BYTES
    for number, link in enumerate(links):
        chained = {"type": "chained", "source": link.source, "parent_id": link.parent_id}
        mechanism = {**(chained if number else boundary), "synthetic": False, "exception_id": number}
        mechanism |= _errno(link.error)
        own = traceback_of(link.error) or (None if number else traceback)
        entries.append(_entry(link.error, own, mechanism, project, room // (len(links) - number)))
        room = max(0, room - json_size(entries[-1]))
    return entries


def _walk(outermost: BaseException) -> Iterator[_Link]:
    """The exception and all that led to it: depth first, parents before children, no object twice.

    Below a group its own cause or context comes before its members, as Python's tracebacks print it: a cause
    is one chain, and hundreds of members must not push it past the limit.
    """
    seen: dict[int, BaseException] = {}  # the objects too: an id is used again once its object is gone
    pending: list[Iterator[_Link]] = [iter([_Link(outermost, None, None)])]
    looked_at = 0
    while pending and looked_at < _MOST_MEMBERS:
        link = next(pending[-1], None)
        if link is None:
            pending.pop()
            continue
        looked_at += 1
        if id(link.error) not in seen:
            number = len(seen)
            seen[id(link.error)] = link.error
            yield link
            pending.append(_below(link.error, number))


def _below(error: BaseException, number: int) -> Iterator[_Link]:
    """The direct causes of this exception (rule 5): none for `raise ... from None`."""
    source = "cause" if _SUPPRESSED.__get__(error) else "context"
    if is_exception(led := _LINKS[source].__get__(error)):
        yield _Link(led, number, source)
    for member in _MEMBERS.__get__(error) if issubclass(type(error), BaseExceptionGroup) else ():
        yield _Link(member, number, "member")


def _errno(error: BaseException) -> dict[str, Any]:
    """The number of an error of the operating system, where the mechanism holds it."""
    number = _ERRNO.__get__(error) if issubclass(type(error), OSError) else None
    known = type(number) is int and abs(number) <= _LARGEST_ERRNO
    return {"meta": {"errno": {"number": number}}} if known else {}


def _entry(
    error: BaseException, traceback: TracebackType | None, mechanism: dict[str, Any], project: ProjectCode, room: int
) -> dict[str, Any]:
    """One exception in about `room` bytes of JSON; without a stack trace if it was never raised."""
    module = _text(_read(type(error), "__module__"))
    entry = {
        "type": _type_name(error),
        "value": cut(_value(error), min(MAX_VALUE_BYTES, room // _ESCAPED)),
        "module": cut(module, MAX_NAME_BYTES) if module and module != "builtins" else None,
        "mechanism": mechanism,
    }
    if traceback is not None:
        frames = stack_frames(traceback, project=project, room=room - json_size(entry))
        entry["stacktrace"] = {"type": "raw", "frames": frames} if frames else None
    return _known(entry)


def _converted(thing: object, boundary: dict[str, Any]) -> dict[str, Any]:
    """The entry for an object that is not an exception: its `message` and `name`; else its own text, as `Error`.

    The frames are those in its `stack`; the mechanism keeps the text of a stack in an unknown form.
    """
    message = _text_at(thing, "message")
    name, stack = (_text_at(thing, "name"), _text_at(thing, "stack")) if message is not None else (None, None)
    text = _printed(thing, _unprintable(thing)) if message is None else message
    mechanism = {**boundary, "synthetic": True, "exception_id": 0}
    frames = [_cut_texts(frame) for frame in text_frames(stack, MAX_FRAMES)] if stack else []
    if stack and not frames:
        mechanism["stack"] = cut(stack, MAX_VALUE_BYTES)
    return _known(
        {
            "type": cut(name or "Error", MAX_NAME_BYTES),
            "value": cut(text, MAX_VALUE_BYTES),
            "mechanism": mechanism,
            "stacktrace": {"type": "raw", "frames": frames} if frames else None,
        }
    )


def _cut_texts(frame: dict[str, Any]) -> dict[str, Any]:
    return {field: cut(value, MAX_TEXT_BYTES) if type(value) is str else value for field, value in frame.items()}


def _value(error: BaseException) -> str:
    """`str(error)`; if that is empty or fails, the text of its `message` or `detail`, if it has one."""
    text = _text(_read(error, "message")) or _text(_read(error, "detail")) or ""
    return _printed(error, text or _unprintable(error)) or text


def _printed(thing: object, otherwise: str) -> str:
    try:
        return _abridged(thing) if is_bulky(thing) else str(thing)
    except Exception:
        return otherwise


def _abridged(thing: object) -> str:
    """A replacement for a text that would take too long."""
    return ", ".join(map(shown, _ARGUMENTS.__get__(thing))) if is_exception(thing) else shown(thing)


def _unprintable(thing: object) -> str:
    return f"<unprintable {_type_name(thing)} object>"


def _type_name(thing: object) -> str:
    name = _text(_read(type(thing), "__qualname__")) or _text(_read(type(thing), "__name__"))
    return cut(name or "Exception", MAX_NAME_BYTES)


def _text_at(thing: Any, name: str) -> str | None:
    """The text under that key of a mapping, or that attribute of another object."""
    try:
        return _text(thing.get(name) if issubclass(type(thing), Mapping) else getattr(thing, name, None))
    except Exception:
        return None


def _read(thing: object, name: str) -> Any:
    """The attribute of that name; None if there is none, or reading it raises."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


def _text(found: object) -> str | None:
    return str.__str__(found) if issubclass(type(found), str) else None


def _filled(text: object) -> str | None:
    return _text(text) or None


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
