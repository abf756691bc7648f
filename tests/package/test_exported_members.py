"""What `hogbox` exports, and what importing it costs."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import pytest

import hogbox
from hogbox import errors

PUBLIC = ["AsyncFlags", "AsyncPostHog", "Event", "Flags", "HogboxError", "PostHog", "__version__"]

FRAMEWORKS = {"aiohttp", "celery", "django", "fastapi", "flask", "openfeature", "pydantic", "starlette", "typer"}
DRIVERS = {"MySQLdb", "aiomysql", "aiosqlite", "asyncpg", "psycopg", "psycopg2", "pymysql", "sqlite3"}

WATCH = """
import json, sys, threading
seen = []
sys.addaudithook(lambda event, _: seen.append(event))
before = set(sys.modules)
{code}
acts = [event for event in seen if event.startswith(("socket.", "subprocess.", "sqlite3.", "os.fork", "_thread."))]
modules = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(json.dumps([sorted(modules), acts, threading.active_count()]))
"""


def watch(code: str) -> tuple[set[str], list[str], int]:
    """What a fresh interpreter imported for this code, what it did, and its threads."""
    command = [sys.executable, "-I", "-c", WATCH.format(code=code)]
    modules, acts, threads = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return set(modules), acts, threads


def drawn() -> str:
    """The tree of errors as it is, in the form of the docstring's."""

    def below(kind: type, indent: str) -> list[str]:
        children = [one for one in vars(errors).values() if isinstance(one, type) and kind in one.__bases__]
        lines = []
        for child in children:
            last = child is children[-1]
            lines.append(f"{indent}{'└──' if last else '├──'} {child.__name__}")
            lines += below(child, f"{indent}{'    ' if last else '│   '}")
        return lines

    return "\n".join([errors.HogboxError.__name__, *below(errors.HogboxError, "")])


def test_the_public_names_are_these() -> None:
    assert sorted(hogbox.__all__) == PUBLIC
    assert dir(hogbox) == PUBLIC
    assert all(getattr(hogbox, name) is not None for name in PUBLIC)


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'hogbox' has no attribute 'Posthog'"):
        hogbox.Posthog  # noqa: B018


def test_every_public_name_says_what_it_is() -> None:
    for name in PUBLIC:
        if not name.startswith("__"):
            assert inspect.getdoc(getattr(hogbox, name))


def test_the_version_has_three_numbers() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", hogbox.__version__)


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    block = inspect.cleandoc(errors.__doc__ or "").split("\n\n")[1]
    lines = [re.match(r"[│├└─ ]*\w+", line) for line in inspect.cleandoc(block).splitlines()]
    assert "\n".join(line[0] for line in lines if line) == drawn()


@pytest.mark.parametrize(
    "kind", [one for one in vars(errors).values() if isinstance(one, type)], ids=lambda kind: kind.__name__
)
def test_an_errors_docstring_is_its_message_unless_another_is_given(kind: type[errors.HogboxError]) -> None:
    assert str(kind()) == kind.__doc__
    assert str(kind("mended")) == "mended"


def test_importing_hogbox_imports_nothing_but_itself() -> None:
    modules, acts, threads = watch("import hogbox")
    assert modules - sys.stdlib_module_names == {"hogbox"}
    assert acts == []
    assert threads == 1


@pytest.mark.parametrize("name", ["AsyncPostHog", "Event", "HogboxError", "PostHog"])
def test_a_public_name_imports_no_framework_and_no_driver_and_starts_nothing(name: str) -> None:
    modules, acts, threads = watch(f"from hogbox import {name}")
    assert modules & (FRAMEWORKS | DRIVERS) == set()
    assert acts == []
    assert threads == 1


@pytest.mark.parametrize("name", ["Event", "HogboxError"])
def test_what_needs_no_database_loads_none(name: str) -> None:
    modules, _, _ = watch(f"from hogbox import {name}")
    assert modules & ({"httpx2", "sqlalchemy"} | FRAMEWORKS | DRIVERS) == set()
