"""A traceback -> the stack frames of an `$exception` event (wire protocol 2.11, "Stack frames").

Two limits keep the event small. At most `MAX_FRAMES` frames of one traceback are considered, half from its start and
half from its end, because those are the most useful frames of an endless recursion. Of these, as many are kept as fit
into the given size, from both ends inwards.

Source lines are included. Values of variables are read only with `local_variables`, and only in the application's own
frames, never in a library's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final

from hogbox._events.in_app import CodePlaces, compiled_path, is_in_app
from hogbox._events.local_variable import variable_texts
from hogbox._events.value import clean_text

Lines = Callable[[str, dict[str, Any] | None], Sequence[str]]
"""Reads a source file: (its name, the module's globals) -> its lines, possibly none. Like `linecache.getlines`."""

MAX_FRAMES: Final = 100
"""Frames of one traceback, half from its start and half from its end. A limit of hogbox: the rules set none."""

MAX_TEXT_BYTES: Final = 1_024
"""The longest text in a frame, mostly a source line, in bytes of UTF-8."""

CONTEXT_LINES: Final = 5
"""Source lines shown on each side of the one that was running."""

_CONTEXT_FIELDS: Final = ("pre_context", "context_line", "post_context")
_VARIABLES: Final = "code_variables"
_WHERE_THERE_IS_ROOM: Final = frozenset({*_CONTEXT_FIELDS, _VARIABLES})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectCode:
    """How to read source files, and which code is the application's own."""

    lines: Lines
    places: CodePlaces
    local_variables: bool = False


def stack_frames(traceback: TracebackType | None, *, project: ProjectCode, room: int) -> list[dict[str, Any]]:
    """The traceback's frames, the entry point first and the place where it was raised last.

    They take at most `room` bytes (see `json_size`), and enter from both ends inwards, the raising one first.
    Source lines and variables may fill one half of the room. The other half is for frames without them, so that
    little room still shows the way.
    """
    entries = _both_ends(list(_entries(traceback)))
    kept: dict[int, dict[str, Any]] = {}
    left = room
    for index in _inwards(len(entries)):
        frame = _guarded(entries[index], project)
        if json_size(frame) > left - room // 2:
            frame = {field: value for field, value in frame.items() if field not in _WHERE_THERE_IS_ROOM}
        left -= json_size(frame)
        if left < 0:
            break
        kept[index] = frame
    return [kept[index] for index in sorted(kept)]


def cut(text: str, limit: int) -> str:
    """The text, fit for JSON, in at most `limit` bytes of UTF-8; cut between characters, `...` shows it.

    A limit below 3 leaves no room for anything but those dots.
    """
    encoded = clean_text(str.__str__(text)[: limit + 1]).encode()
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: max(0, limit - 3)].decode("utf-8", "ignore") + "..."


def json_size(value: object) -> int:
    """Bytes of the value as JSON in its longest spelling, with everything beyond ASCII escaped."""
    return len(json.dumps(value))


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _both_ends(entries: list[TracebackType]) -> list[TracebackType]:
    half = MAX_FRAMES // 2
    return entries if len(entries) <= MAX_FRAMES else entries[:half] + entries[-half:]


def _inwards(count: int) -> Iterator[int]:
    """The indexes of a list of that length: last, first, last but one, second, ..."""
    for step in range(count):
        yield step // 2 if step % 2 else count - 1 - step // 2


def _guarded(entry: TracebackType, project: ProjectCode) -> dict[str, Any]:
    """The frame; a placeholder if it can't be read, as in generated code with unusual names."""
    try:
        return _frame(entry, project)
    except Exception:
        return {"platform": "python", "function": "<unknown>"}


def _frame(entry: TracebackType, project: ProjectCode) -> dict[str, Any]:
    """One frame; a field whose value is unknown is left out."""
    code, namespace = entry.tb_frame.f_code, entry.tb_frame.f_globals
    name = dict.get(namespace, "__name__")
    module = name if isinstance(name, str) and name else None
    compiled = compiled_path(namespace)
    path = _absolute(code.co_filename, _base(compiled, module) or project.places.root)
    texts = {
        "platform": "python",
        "filename": _filename(code.co_filename, path, module),
        "abs_path": str(path) if path else None,
        "module": module,
        "function": code.co_name or "<unknown>",
    }
    frame: dict[str, Any] = {field: cut(text, MAX_TEXT_BYTES) for field, text in texts.items() if text}
    in_app = is_in_app(module, code.co_filename, compiled or path, project.places)
    if in_app is not None:
        frame["in_app"] = in_app
    if entry.tb_lineno:  # 0, or None whatever its type says, in generated code
        frame["lineno"] = entry.tb_lineno
        frame |= _context(code.co_filename, namespace, entry.tb_lineno, project.lines)
    if in_app and project.local_variables:
        frame |= _variables(entry)
    return frame


def _variables(entry: TracebackType) -> dict[str, Any]:
    """The frame's local variables as text; empty if there are none, or they can't be read."""
    try:
        shown = variable_texts(entry.tb_frame.f_locals)
    except Exception:  # a class's body may run in a namespace of any kind
        return {}
    return {_VARIABLES: shown} if shown else {}


def _absolute(filename: str, root: str) -> PurePath | None:
    """The file's path without `..`, a relative one below the root; None if it is not a file (`<string>`)."""
    if not filename or filename.startswith("<"):
        return None
    path = PurePath(root, filename)
    if not path.is_absolute():
        return None
    parts: list[str] = []
    for part in path.parts[1:]:
        if part == "..":
            del parts[-1:]  # a slice: there may be no parent left
        else:
            parts.append(part)
    return PurePath(path.anchor, *parts)


def _filename(filename: str, path: PurePath | None, module: str | None) -> str:
    """The path from the top-level package on, by the module's dotted name: `shop/pay.py` for `shop.pay`.

    The file name alone for a top-level module; the whole path where the name and the path do not agree.
    """
    if path is None or module is None:
        return filename
    depth = module.count(".") + 1 + (path.stem == "__init__")
    tail = path.parts[-depth:]
    if depth > 1 and tail[0] != module.partition(".")[0]:
        return str(path)
    return "/".join(tail)


def _base(compiled: PurePath | None, module: str | None) -> str | None:
    """The directory that holds the top-level package of a compiled module: its sources are named from there."""
    if compiled is None or module is None:
        return None
    depth = module.count(".") + (compiled.name.partition(".")[0] == "__init__")
    return str(compiled.parents[min(depth, len(compiled.parents) - 1)])


def _context(filename: str, namespace: dict[str, Any], lineno: int, lines: Lines) -> dict[str, Any]:
    """The running line and its neighbours, without line ends; nothing where the source cannot be had."""
    first = max(0, lineno - 1 - CONTEXT_LINES)
    at = lineno - 1 - first
    try:
        found = lines(filename, namespace)[first : lineno + CONTEXT_LINES]
        shown = [cut(line.rstrip("\r\n"), MAX_TEXT_BYTES) for line in found]
        return dict(zip(_CONTEXT_FIELDS, (shown[:at], shown[at], shown[at + 1 :]), strict=True))
    except Exception:  # a module's own loader may raise anything, and the file may have become shorter
        return {}
