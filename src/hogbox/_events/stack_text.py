"""A stack trace as text -> frames, for errors that come as data: from JavaScript or from another Python process."""

from __future__ import annotations

import re
from typing import Any, Final

MAX_STACK_CHARACTERS: Final = 64 * 1024
"""The part of a text that is read."""

_MAX_LINE: Final = 2_048
_LARGEST_NUMBER: Final = 9  # digits
_PLACE: Final = rf"(?P<file>[^\s()].*?):(?P<line>\d{{1,{_LARGEST_NUMBER}}})(?::(?P<column>\d{{1,{_LARGEST_NUMBER}}}))?"
_V8: Final = re.compile(
    rf"at (?:async )?(?:(?P<function>[^(]*[^(\s]) \({_PLACE}\)|{_PLACE.replace('?P<', '?P<bare_')})"
)
_GECKO: Final = re.compile(rf"(?P<function>[^@]*)@{_PLACE}")
_PYTHON: Final = re.compile(
    rf'File "(?P<file>[^"]+)", line (?P<line>\d{{1,{_LARGEST_NUMBER}}})(?:, in (?P<function>.+))?'
)
_NOT_IN_APP: Final = ("node:", "internal/", "native ")
_MODULES: Final = "/node_modules/"
_WEB: Final = ("http://", "https://", "webpack", "capacitor:", "file://")
_INSTALLED: Final = re.compile(r"[/\\](?:site|dist)-packages[/\\]")


def text_frames(stack: str, most: int) -> list[dict[str, Any]]:
    """The frames of a stack trace, where it was raised last; none for a text of another form.

    At most `most`, half from each end.
    """
    lines = [line[:_MAX_LINE].strip() for line in stack[:MAX_STACK_CHARACTERS].splitlines()]
    python = [_python_frame(found) for line in lines if (found := _PYTHON.match(line))]
    if python:
        return _both_ends(python, most)
    script = [frame for line in lines if (frame := _script_frame(line)) is not None]
    return _both_ends(script[::-1], most)  # JavaScript lists the innermost call first


def _python_frame(found: re.Match[str]) -> dict[str, Any]:
    file = found["file"]
    frame: dict[str, Any] = {
        "platform": "python",
        "filename": file,
        "function": found["function"] or "<unknown>",
        "lineno": int(found["line"]),
    }
    if file.startswith("/"):
        frame["abs_path"] = file
    if _INSTALLED.search(file):
        frame["in_app"] = False
    return frame


def _script_frame(line: str) -> dict[str, Any] | None:
    found = _V8.fullmatch(line) or _GECKO.fullmatch(line)
    if found is None:
        return None
    fields = {name.removeprefix("bare_"): value for name, value in found.groupdict().items() if value is not None}
    file = fields["file"]
    frame: dict[str, Any] = {
        "platform": "web:javascript" if file.startswith(_WEB) else "node:javascript",
        "filename": file,
        "function": fields.get("function") or "?",
        "lineno": int(fields["line"]),
        "in_app": not file.startswith(_NOT_IN_APP) and _MODULES not in file,
    }
    if "column" in fields:
        frame["colno"] = int(fields["column"])
    return frame


def _both_ends(frames: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    half = most // 2
    return frames if len(frames) <= most else frames[:half] + frames[-half:]
