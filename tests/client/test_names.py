"""The two clients have the same public names, in the same order, with the same arguments and the same first words."""

from __future__ import annotations

import ast
import inspect
import typing
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hogbox
from hogbox import AsyncFlags, AsyncPostHog, Flags, PostHog
from hogbox._client.async_change_methods import AsyncChangeMethods
from hogbox._client.async_flag_methods import AsyncFlagMethods
from hogbox._client.change_methods import ChangeMethods
from hogbox._client.flag_methods import FlagMethods

PAIRS = [(PostHog, AsyncPostHog), (FlagMethods, AsyncFlagMethods), (ChangeMethods, AsyncChangeMethods)]

DUNDERS = {"__aenter__": "__enter__", "__aexit__": "__exit__"}

PLAIN = {"__init__", "__repr__", "discarded", "flag_changes"}
"""What neither touches a database nor the network."""

OWN_TYPES = {
    "identify": "Callable[[Any], _DistinctId | Awaitable[_DistinctId]] | None",
}
"""Arguments that the asynchronous client takes in more forms."""


def public(kind: type) -> list[str]:
    names = [DUNDERS.get(name, name) for name in vars(kind)]
    found = [name for name in names if not name.startswith("_") or name in DUNDERS.values() or name in PLAIN]
    return [name for name in found if name not in ("__doc__", "__module__")]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_names_are_the_same_in_the_same_order(one: type, other: type) -> None:
    assert public(one) == public(other)


def methods() -> list[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    backwards = {name: dunder for dunder, name in DUNDERS.items()}
    return [
        (name, vars(one)[name], vars(other)[backwards.get(name, name)])
        for one, other in PAIRS
        for name in public(one)
        if callable(vars(one)[name])
    ]


@pytest.mark.parametrize(("name", "one", "other"), methods(), ids=[name for name, *_ in methods()])
def test_the_arguments_are_the_same(name: str, one: Callable[..., Any], other: Callable[..., Any]) -> None:
    mine, theirs = inspect.signature(one), inspect.signature(other)
    if name == "__init__":
        theirs = theirs.replace(parameters=[_as_in_posthog(one) for one in theirs.parameters.values()])
    assert list(mine.parameters.values()) == list(theirs.parameters.values())
    assert str(mine.return_annotation) == str(theirs.return_annotation).replace("AsyncFlag", "Flag")


def _as_in_posthog(parameter: inspect.Parameter) -> inspect.Parameter:
    own = inspect.signature(PostHog).parameters
    if parameter.name not in OWN_TYPES:
        return parameter
    assert parameter.annotation == OWN_TYPES[parameter.name]
    return parameter.replace(annotation=own[parameter.name].annotation)


@pytest.mark.parametrize(("name", "one", "other"), methods(), ids=[name for name, *_ in methods()])
def test_what_may_wait_is_awaited(name: str, one: Callable[..., Any], other: Callable[..., Any]) -> None:
    assert not inspect.iscoroutinefunction(one)
    assert inspect.iscoroutinefunction(other) == (name not in PLAIN)


@pytest.mark.parametrize(("name", "one", "other"), methods(), ids=[name for name, *_ in methods()])
def test_both_say_the_same_of_themselves(name: str, one: Callable[..., Any], other: Callable[..., Any]) -> None:
    first, second = ((inspect.getdoc(method) or "").partition("\n")[0] for method in (one, other))
    assert first == second


def test_annotations_can_be_resolved() -> None:
    for _, one, other in methods():
        for method in (one, other):
            typing.get_type_hints(
                method, localns=dict.fromkeys(["AsyncEngine", "Refresh", "Delivery", "Progress"], Any)
            )


def test_a_snapshot_is_read_in_plain_calls() -> None:
    names = {name for name in vars(Flags) if not name.startswith("_")}
    assert not any(inspect.iscoroutinefunction(getattr(AsyncFlags, name)) for name in names)
    assert set(dir(AsyncFlags)) - set(dir(Flags)) == {"_pending", "_write", "write_exposures"}


def test_whose_flags_are_read_is_one_value_below_the_public_methods() -> None:
    root = Path(hogbox.__file__).parent
    found = Counter(
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if {"groups", "group_properties", "device_id"} <= declared(node)
    )
    assert found == {
        "_client/flag_methods.py": 10,
        "_client/async_flag_methods.py": 10,
        "_client/change_methods.py": 1,
        "_client/async_change_methods.py": 1,
        "flags/_flag_set.py": 3,  # evaluate, evaluate_all, explain
        "_client/argument.py": 1,  # GivenPerson: as the client's caller passes it
        "flags/_person.py": 1,  # Person: as flags are evaluated for it
        "_wire/flags.py": 1,  # the request
        "cli/flag_person.py": 1,  # the options
        "emulator/flag_request.py": 1,
        "integrations/openfeature/evaluation.py": 1,
    }


def declared(node: ast.AST) -> set[str]:
    """The arguments of a function, the fields of a class."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
    body = node.body if isinstance(node, ast.ClassDef) else []
    return {one.target.id for one in body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)}
