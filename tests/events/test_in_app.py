"""Whose code a frame runs (wire protocol 2.11, "Frames")."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from hogbox._events.in_app import CodePlaces, compiled_path, is_in_app

LINKS = {"/srv/current": "/srv/releases/5", "/srv/current/shop/pay.py": "/srv/releases/5/shop/pay.py"}


@pytest.mark.parametrize(
    ("root", "path", "in_app"),
    [
        ("/", "/usr/lib/python3.11/json/decoder.py", False),
        ("/", "/app/shop/pay.py", True),
        ("/", "/usr/lib/python3/dist-packages/six.py", False),
        ("/srv", "/srv/.venv/src/theirs/pay.py", False),
        ("/srv", "/srv/shop/pay.py", True),
        ("/srv/.venv/shop", "/srv/.venv/shop/pay.py", True),
        ("/srv/current", "/srv/releases/5/shop/pay.py", True),
        ("/srv/releases/5", "/srv/current/shop/pay.py", True),
        ("/srv/releases/4", "/srv/current/shop/pay.py", None),
    ],
)
def test_libraries_are_never_and_linked_projects_are_in_app(root: str, path: str, in_app: bool | None) -> None:
    places = CodePlaces(
        root=root,
        libraries=["/usr/lib/python3.11", "/srv/.venv"],
        real=lambda given: LINKS.get(given, given),
    )
    assert is_in_app("shop.pay", path, PurePath(path), places) is in_app


@pytest.mark.parametrize(
    ("file", "compiled"),
    [("/lib/a/b.cpython-311.so", True), ("/lib/a/b.pyd", True), ("/lib/a/b.py", False), ("b.so", False), (7, False)],
)
def test_a_compiled_module_is_known_by_its_file(file: object, compiled: bool) -> None:
    assert (compiled_path({"__file__": file}) is not None) is compiled
