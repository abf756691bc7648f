"""Whose code a frame runs: the application's own, or a library's (wire protocol 2.11, "Frames").

A library's code is recognized before the project's: a project may hold a virtual environment, or be `/`. Paths are
compared as they are written and with links resolved, because a project is often deployed behind a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

_INSTALLED: Final = re.compile(r"(?:^|[/\\])(?:site|dist)-packages(?:[/\\]|$)")
_FROZEN: Final = "<frozen "
_COMPILED: Final = frozenset({".so", ".pyd"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePlaces:
    """The directories of the project and of libraries, and the modules that are or are not the application's own.

    `include` and `exclude` are names of modules or packages (`"shop"` includes `shop.pay`). `libraries` are the
    directories of the standard library and of a virtual environment. `real` resolves the links in a path.
    """

    root: str
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    libraries: Sequence[str] = ()
    real: Callable[[str], str] = str


def is_in_app(module: str | None, filename: str, path: PurePath | None, places: CodePlaces) -> bool | None:
    """Whether the code is the application's own, by the first rule that applies; None where none does.

    `filename` is as in the code object, `path` the absolute one, or None for code that is not from a file.
    """
    if _is_within(module, places.include):
        return True
    if _is_within(module, places.exclude) or filename.startswith(_FROZEN):
        return False
    if path is None:
        return None
    written = str(path)
    seen = {written, places.real(written)}
    roots = {places.root, places.real(places.root)}
    if any(_is_library(each, roots, places.libraries) for each in seen):
        return False
    return True if any(_is_below(each, root) for each in seen for root in roots) else None


def compiled_path(namespace: dict[str, Any]) -> PurePath | None:
    """The file of a module that was compiled to machine code, such as by Cython; None for other modules.

    Such code names its source as it was when the module was built, mostly on another machine.
    """
    file = dict.get(namespace, "__file__")
    if not isinstance(file, str) or not (path := PurePath(file)).is_absolute():
        return None
    return path if path.suffix in _COMPILED else None


def _is_within(module: str | None, packages: Sequence[str]) -> bool:
    return module is not None and any(f"{module}.".startswith(f"{package}.") for package in packages)


def _is_library(path: str, roots: Iterable[str], libraries: Sequence[str]) -> bool:
    if _INSTALLED.search(path):
        return True
    # A project inside an environment's directory is still the project: the nearer directory decides.
    nearest = [root for root in roots if _is_below(path, root)]
    return any(_is_below(path, each) and not any(_is_below(root, each) for root in nearest) for each in libraries)


def _is_below(path: str, directory: str) -> bool:
    # Compared as text: pathlib would take most of the time of a capture.
    bare = directory.rstrip("/\\")
    return bool(directory) and path.startswith(bare) and path[len(bare) : len(bare) + 1] in ("", "/", "\\")
