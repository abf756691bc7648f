"""What `hogbox` exports, and what importing it costs."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hogbox
from hogbox import errors, integrations
from tests.docs.page import DOCS

PUBLIC = [
    "AsyncFlagChangeStream",
    "AsyncFlags",
    "AsyncPostHog",
    "BeforeSend",
    "Delivery",
    "DeliverySettings",
    "Discarded",
    "Event",
    "FlagChangeStream",
    "FlagChanges",
    "FlagResult",
    "FlagResultChange",
    "FlagSubscription",
    "FlagValues",
    "Flags",
    "HogboxError",
    "PostHog",
    "Progress",
    "Refresh",
    "StoredFlagDefinitions",
    "__version__",
]

MODULES = {
    "aio": {"AsyncPostHog"},
    "bound": {"BoundPostHog"},
    "cli": {"main"},
    "client": {"PostHog"},
    "context": {
        "Context",
        "get_context",
        "get_context_device_id",
        "get_context_distinct_id",
        "get_context_session_id",
        "get_tags",
        "identify_context",
        "new_context",
        "scoped",
        "set_context_device_id",
        "set_context_session",
        "tag",
        "use_context",
    },
    "emulator": {"Emulator", "ScriptedResult", "Fault", "ReceivedEvent", "ReceivedRequest", "Settings"},
    "encryption": {"move_payload", "open_payload"},
    "errors": {one.__name__ for one in vars(errors).values() if isinstance(one, type)},
    "flags": {
        "MISSING",
        "ConditionExplanation",
        "Explanation",
        "FilterExplanation",
        "FlagResult",
        "FlagSet",
        "FlagValue",
        "Reason",
        "RolloutExplanation",
    },
    "integrations.celery": {"HogboxCelery"},
    "integrations.django": {"AsyncDjangoPostHog", "DjangoPostHog", "aposthog", "posthog"},
    "integrations.fastapi": {
        "AsyncPostHogDep",
        "HogboxMiddleware",
        "PostHogDep",
        "async_flags_of",
        "flags_of",
        "get_async_posthog",
        "get_posthog",
        "posthog_lifespan",
    },
    "integrations.flask": {"Hogbox", "current_posthog"},
    "integrations.openfeature": {"AsyncHogboxProvider", "HogboxProvider"},
    "integrations.opentelemetry": {"Instrumentation", "instrument"},
    "integrations.prometheus": {"HogboxCollector"},
    "integrations.starlette": {
        "ExtraProperties",
        "FindDistinctId",
        "HogboxMiddleware",
        "RequestFilter",
        "posthog_lifespan",
    },
    "integrations.tracing": {"TracingHeaders"},
    "redaction": {"CARD", "EMAIL", "PATTERNS", "SECRET_NAMES", "TOKEN", "Redactor", "TextPattern"},
    "schema": {"check_tables", "create_tables", "migration_sql", "migration_sql_from"},
    "settings": {"DeliverySettings"},
    "telemetry": {
        "ANSWERED",
        "DEAD",
        "DELIVERED",
        "INCONCLUSIVE",
        "LOCAL",
        "REMOTE",
        "REPEATED",
        "EventsSettled",
        "FlagsAsked",
        "FlagsEvaluated",
        "Handler",
        "LeasesChanged",
        "Refreshed",
        "RequestDone",
        "ResultsStated",
        "Telemetry",
        "TelemetryEvent",
    },
    "testing": {"AsyncCapturedEvents", "CapturedEvent", "CapturedEvents", "DeadLetter", "FlagOverrides"},
}
"""The public modules, and the names that applications may use of them."""

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


def test_every_public_class_has_a_docstring() -> None:
    for name in PUBLIC:
        if isinstance(value := getattr(hogbox, name), type):
            assert inspect.getdoc(value)


def test_public_types_show_a_module_that_has_them() -> None:
    for name in PUBLIC:
        value = getattr(hogbox, name)
        if isinstance(value, type):
            assert "._" not in value.__module__
            assert getattr(importlib.import_module(value.__module__), name) is value


@pytest.mark.parametrize("module", ["aio", "client", "_client.flag_methods", "_client.async_flag_methods"])
def test_the_types_in_signatures_of_public_methods_are_public(module: str) -> None:
    source = ast.parse((Path(hogbox.__file__).parent / f"{module.replace('.', '/')}.py").read_text())
    homes = {
        alias.name: node.module or ""
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for method in public_methods(source):
        annotations = [method.returns, *(one.annotation for one in (*method.args.args, *method.args.kwonlyargs))]
        used = {node.id for one in annotations if one for node in ast.walk(one) if isinstance(node, ast.Name)}
        private = {name for name in used if homes.get(name, "").startswith("hogbox._")}
        assert private <= set(PUBLIC) | {name for names in MODULES.values() for name in names}, method.name


def public_methods(source: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    bodies = [node.body for node in source.body if isinstance(node, ast.ClassDef)]
    for one in itertools.chain(*bodies):
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and (one.name == "__init__" or one.name[0] != "_"):
            yield one


def public_modules() -> set[str]:
    """The modules and packages without an underscore; of `integrations`, those inside of it."""
    return {
        name.removeprefix("hogbox.")
        for place, prefix in ((hogbox.__path__, "hogbox."), (integrations.__path__, "hogbox.integrations."))
        for _, name, _ in pkgutil.iter_modules(place, prefix)
        if not name.rpartition(".")[2].startswith("_") and name != "hogbox.integrations"
    }


def test_the_public_modules_are_these() -> None:
    assert public_modules() == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_what_a_public_module_defines_is_exported_or_has_an_underscore(name: str) -> None:
    module = importlib.import_module(f"hogbox.{name}")
    exported = set(getattr(module, "__all__", MODULES[name]))
    assert exported == MODULES[name]
    assert defined_names(Path(module.__file__ or "")) <= exported | {"log"}


def defined_names(source: Path) -> set[str]:
    """The names without an underscore that a module defines itself."""
    found: set[str] = set()
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(target.id for target in targets if isinstance(target, ast.Name))
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("name", ["", *MODULES])
def test_every_public_name_is_documented(name: str) -> None:
    pages = [*(DOCS / "reference").glob("*.md"), *(DOCS / "how-to").glob("*.md")]
    words = set(re.findall(r"\w+", " ".join(page.read_text() for page in pages)))
    assert (MODULES[name] if name else set(PUBLIC) - {"__version__"}) <= words


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
