"""The reference says what the code says: settings, errors, commands, tables, methods, the emulator."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import typer.main
from typer.testing import CliRunner

from hogbox import Event, PostHog, errors
from hogbox._settings.client import ClientSettings
from hogbox._settings.setting import Setting
from hogbox._settings.setting import rows as settings
from hogbox._store.schema.table import Tables
from hogbox.cli.app import build_app
from hogbox.emulator import Emulator, Fault, ReceivedEvent, ReceivedRequest, ScriptedResult
from hogbox.emulator import Settings as EmulatorSettings
from hogbox.emulator.control import _INDEX as CONTROLS
from hogbox.emulator.setting import Limits
from hogbox.settings import DeliverySettings
from tests.docs.page import DOCS, ROOT, Page, read_page, rows

TYPES = {int: "whole number", float: "number"}


def reference(name: str) -> Page:
    return read_page(DOCS / "reference" / f"{name}.md")


def code(cell: str) -> str:
    """The code in a cell of a table, without its backticks."""
    return cell.strip("`")


# Settings


def shown_default(row: Setting) -> str:
    return "none" if row.default in (None, "") else row.kind.show(row.default)


def test_the_settings_of_delivery_are_listed_as_in_the_table_of_settings() -> None:
    listed = [(code(row[0]), row[1], code(row[3])) for row in rows(reference("settings").section("Delivery"))]
    assert listed == [(row.variables[0], row.kind.name, shown_default(row)) for row in settings(DeliverySettings)]
    for row in rows(reference("settings").section("Delivery")):
        assert ("SECONDS" in row[0]) == (row[2] == "seconds")


def test_all_other_variables_are_listed_as_in_the_table_of_settings() -> None:
    arguments = inspect.signature(PostHog).parameters
    expected = {
        variable: (row.kind.name, argument if argument in arguments else "none", shown_default(row))
        for row in settings(ClientSettings)
        for variable in row.variables
        for argument in ["database" if row.name == "database_url" else row.argument]
    }
    page = reference("settings").section("Client and commands")
    listed = {code(row[0]): (row[1], code(row[2]), code(row[3])) for row in rows(page)}
    assert listed == expected


def test_every_setting_without_a_variable_is_an_argument() -> None:
    names = {row.argument for row in settings(ClientSettings) if not row.variables}
    assert names <= set(inspect.signature(PostHog).parameters)


def test_no_variable_in_the_code_is_missing() -> None:
    page = (DOCS / "reference" / "settings.md").read_text()
    for module in (ROOT / "src").rglob("*.py"):
        for name in re.findall(r"\b(?:HOGBOX|POSTHOG)_[A-Z_]*[A-Z]\b", module.read_text()):
            assert f"`{name}`" in page, f"{module}: {name}"


# Errors


def test_the_errors_are_listed_with_their_parents_and_default_messages() -> None:
    listed = [(code(row[0]), code(row[1]), row[2]) for row in rows(reference("errors").section("All errors"))]
    assert sorted(listed) == sorted(
        (name, error.__bases__[0].__name__, plain(inspect.getdoc(error))) for name, error in all_errors()
    )


def all_errors() -> Iterator[tuple[str, type[Exception]]]:
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            yield name, value


def plain(text: str | None) -> str:
    return " ".join((text or "").split())


# Commands


def command_names() -> list[str]:
    return list(below("hogbox", typer.main.get_command(build_app())))


def below(name: str, command: object) -> Iterator[str]:
    """The command and its sub-commands, each group before what is in it."""
    yield name
    for part, sub_command in getattr(command, "commands", {}).items():
        yield from below(f"{name} {part}", sub_command)


def test_every_command_is_listed() -> None:
    page = reference("commands")
    assert [heading for heading in page.headings if heading.startswith("hogbox")] == command_names()
    assert len(helps(page)) == len(command_names())


@pytest.mark.parametrize("command", command_names())
def test_the_help_of_a_command_is_quoted(command: str) -> None:
    arguments = [*command.split()[1:], "--help"]
    result = CliRunner().invoke(build_app(), arguments, prog_name="hogbox", terminal_width=78)
    assert result.exit_code == 0
    assert plain_lines(result.output) == plain_lines(helps(reference("commands"))[command])


def helps(page: Page) -> dict[str, str]:
    return {
        usage[1].strip(): block.text
        for block in page.blocks
        if (usage := re.match(r"Usage: (hogbox(?: [a-z-]+)*) ", block.text))
    }


def plain_lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


# Tables


def test_every_table_and_column_is_listed() -> None:
    page = reference("tables")
    tables = Tables("posthog_").metadata.tables
    assert sorted(heading for heading in page.headings if heading.startswith("posthog_")) == sorted(tables)
    for name, table in tables.items():
        listed = [(code(row[0]), row[1], row[2]) for row in rows(page.section(name))]
        assert listed == [
            (column.name, column_type(column), "yes" if column.nullable else "no") for column in table.columns
        ], name


def column_type(column: sa.Column[Any]) -> str:
    if isinstance(column.type, sa.Integer):
        return "integer"
    assert isinstance(column.type, sa.String)
    return f"text, {column.type.length}" if column.type.length else "text"


# Methods


def public_methods() -> dict[str, Callable[..., Any]]:
    found = dict(inspect.getmembers(PostHog, inspect.isfunction))
    return {name: method for name, method in found.items() if not name.startswith("_")}


def signatures() -> Mapping[str, str]:
    blocks = [block.text for block in reference("api").blocks if block.directive == "signature"]
    return {text[: text.index("(")].strip(): text for text in blocks}


def test_every_method_has_its_signature() -> None:
    assert sorted(signatures()) == sorted([*public_methods(), "PostHog"])


@pytest.mark.parametrize("name", ["PostHog", *public_methods()])
def test_a_signature_is_that_of_the_code(name: str) -> None:
    shown = ast.parse(f"def {signatures()[name].strip()}: ...").body[0]
    assert isinstance(shown, ast.FunctionDef)
    own = inspect.signature(PostHog if name == "PostHog" else public_methods()[name])
    expected = {
        parameter.name: None if parameter.default is parameter.empty else repr(parameter.default)
        for parameter in own.parameters.values()
        if parameter.name != "self"
    }
    assert arguments(shown.args) == expected
    keyword_only = [item.name for item in own.parameters.values() if item.kind is item.KEYWORD_ONLY]
    assert [argument.arg for argument in shown.args.kwonlyargs] == keyword_only


def arguments(shown: ast.arguments) -> dict[str, str | None]:
    """The names of the arguments with their defaults."""
    padding = [None] * (len(shown.args) - len(shown.defaults))
    names = [*shown.args, *shown.kwonlyargs]
    defaults = [*padding, *shown.defaults, *shown.kw_defaults]
    return {
        name.arg: None if default is None else repr(ast.literal_eval(default))
        for name, default in zip(names, defaults, strict=True)
    }


def test_the_fields_of_an_event_are_listed() -> None:
    listed = [code(row[0]) for row in rows(reference("api").section("Event"))]
    assert listed == list(Event.__annotations__)


# The emulator


def test_the_controls_of_the_emulator_are_listed() -> None:
    listed = [code(row[0]) for row in rows(reference("emulator").section("Control API"))]
    assert listed == list(CONTROLS)


@pytest.mark.parametrize(
    ("heading", "struct"),
    [("Settings", EmulatorSettings), ("Faults", Fault), ("Results", ScriptedResult), ("Limits", Limits)],
    ids=str,
)
def test_the_fields_of_the_emulator_are_listed_with_their_defaults(heading: str, struct: type) -> None:
    listed = {code(row[0]): code(row[1]) for row in rows(reference("emulator").section(heading))}
    fields = msgspec.structs.fields(struct)
    assert list(listed) == [field.name for field in fields]
    for field in fields:
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        assert ast.literal_eval(listed[field.name].replace(",", "")) == default, field.name


@pytest.mark.parametrize(
    ("heading", "struct"), [("Events", ReceivedEvent), ("Requests", ReceivedRequest)], ids=["events", "requests"]
)
def test_the_fields_that_the_emulator_reports_are_listed(heading: str, struct: type) -> None:
    listed = [code(row[0]) for row in rows(reference("emulator").section(heading))]
    assert listed == [field.name for field in msgspec.structs.fields(struct)]


def test_the_methods_of_the_emulator_are_listed() -> None:
    listed = [code(row[0]).partition("(")[0] for row in rows(reference("emulator").section("The class Emulator"))]
    public = [name for name in vars(Emulator) if not name.startswith("_")]
    assert listed == public


# Types


@pytest.mark.parametrize("module", ["hogbox", "hogbox.telemetry"])
def test_the_fields_and_properties_of_public_types_exist(module: str) -> None:
    for name, _, fields in rows(reference("types").section(module)):
        kind = getattr(importlib.import_module(module), code(name))
        own = {*dir(kind), *getattr(kind, "__annotations__", {})}
        assert set(re.findall(r"`(\w+)`", fields)) - {"Flags"} <= own | instance_attributes(kind), name


def instance_attributes(kind: object) -> set[str]:
    """The public attributes that a class's methods set."""
    return (
        set(re.findall(r"self\.([a-z]\w*)", inspect.getsource(kind)))
        if isinstance(kind, type) and kind.__name__ == "Telemetry"
        else set()
    )
