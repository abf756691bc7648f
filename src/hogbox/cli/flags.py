"""`hogbox flags`: list, show, evaluate, explain and compare the stored flag definitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from difflib import get_close_matches
from typing import Annotated, NoReturn

import typer

from hogbox._operations.stored_flags import Document, ProjectNotChosen, StoredFlags
from hogbox.cli.flag_document import difference_document, explanation_document, result_document
from hogbox.cli.flag_person import person_of
from hogbox.cli.flag_view import (
    difference_view,
    explanation_view,
    flag_table,
    flag_view,
    print_document,
    print_view,
    result_view,
)
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.errors import ConfigurationError, UnknownFlag
from hogbox.flags import FlagSet
from hogbox.flags._flag_set import explanation_for, result_for
from hogbox.flags._result import FlagResult
from hogbox.flags._words.change import difference, last_changes
from hogbox.flags._words.description import describe_flags

INCONCLUSIVE = 3
"""The exit code for a flag that is inconclusive here or not defined."""

Project = Annotated[
    str | None,
    typer.Option(help="Project token or its beginning, if several are stored.  [env: POSTHOG_PROJECT_TOKEN]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[str, typer.Argument(help="The flag's key.")]
DistinctId = Annotated[str, typer.Option("--distinct-id", help="The person's distinct id.")]
Property = Annotated[
    list[str] | None,
    typer.Option(help="Person property: plan=pro, seats=12, beta=true. Parsed as JSON, or text. Repeatable."),
]
Group = Annotated[list[str] | None, typer.Option(help="Group type and key: company=c-19. Repeatable.")]
GroupProperty = Annotated[list[str] | None, typer.Option(help="Group property: company.seats=12. Repeatable.")]
DeviceId = Annotated[str | None, typer.Option(help="The person's device id.")]
Complete = Annotated[bool, typer.Option("--complete", help="Treat properties that are not given as not set.")]
Timezone = Annotated[str, typer.Option(help="The project's time zone, for dates without an offset.")]
Revisions = Annotated[list[int] | None, typer.Argument(help="One or two revisions; default: the last two.")]


def flags_app() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    app.callback()(_flags)
    app.command("list")(list_flags)
    app.command("show")(show_flag)
    app.command("eval")(eval_flag)
    app.command("explain")(explain_flag)
    app.command("diff")(diff_revisions)
    return app


def _flags() -> None:
    """Inspect the stored flag definitions.

    Example: hogbox flags list --database-url sqlite:///app.db
    """


def list_flags(
    database_url: DatabaseUrl = None,
    project: Project = None,
    as_json: AsJson = False,
    table_prefix: TablePrefix = None,
) -> None:
    """List all flags.

    Example: hogbox flags list --database-url sqlite:///app.db
    """
    with _stored(database_url, project, table_prefix) as stored:
        number, document = stored.read()
        history = stored.read_history()
    changed = last_changes([(one.number, one.document) for one in history])
    described = describe_flags(document)
    if as_json:
        print_document([{**asdict(one), "last_changed": changed.get(key)} for key, one in described.items()])
        return
    oldest = history[-1].number if history else number
    print_view(flag_table(described.values(), changed, oldest, revision=number))


def show_flag(
    key: Key,
    database_url: DatabaseUrl = None,
    project: Project = None,
    as_json: AsJson = False,
    table_prefix: TablePrefix = None,
) -> None:
    """Describe a flag: its conditions, variants and payloads, and the parts that only PostHog can evaluate.

    Example: hogbox flags show new-checkout --database-url sqlite:///app.db
    """
    with _stored(database_url, project, table_prefix) as stored:
        described = describe_flags(stored.read().document)
    if key not in described:
        _unknown(key, described)
    if as_json:
        print_document(asdict(described[key]))
    else:
        print_view(flag_view(described[key]))


def eval_flag(
    key: Key,
    distinct_id: DistinctId,
    database_url: DatabaseUrl = None,
    property: Property = None,  # noqa: A002 - the option's name
    group: Group = None,
    group_property: GroupProperty = None,
    device_id: DeviceId = None,
    complete: Complete = False,
    timezone: Timezone = "UTC",
    project: Project = None,
    as_json: AsJson = False,
    table_prefix: TablePrefix = None,
) -> None:
    """Evaluate a flag for a person. Captures no event and sends no request.

    Exits with 0 if the flag is on, 1 if it is off, 3 if it is inconclusive here or not defined.

    Example: hogbox flags eval new-checkout --distinct-id u1 --property plan=pro --database-url sqlite:///app.db
    """
    person = person_of(distinct_id, property, group, group_property, device_id, complete)
    result = result_for(_flag_set(_read(database_url, project, table_prefix), timezone), key, person)
    if as_json:
        print_document(result_document(result))
    else:
        print_view(result_view(result))
    raise typer.Exit(_exit_code(result))


def explain_flag(
    key: Key,
    distinct_id: DistinctId,
    database_url: DatabaseUrl = None,
    property: Property = None,  # noqa: A002 - the option's name
    group: Group = None,
    group_property: GroupProperty = None,
    device_id: DeviceId = None,
    complete: Complete = False,
    timezone: Timezone = "UTC",
    project: Project = None,
    as_json: AsJson = False,
    table_prefix: TablePrefix = None,
) -> None:
    """Explain the value of a flag for a person: every condition and filter with the value that it saw.

    Exit codes are those of `hogbox flags eval`.

    Example: hogbox flags explain new-checkout --distinct-id u1 --property plan=pro --database-url sqlite:///app.db
    """
    person = person_of(distinct_id, property, group, group_property, device_id, complete)
    explanation = explanation_for(_flag_set(_read(database_url, project, table_prefix), timezone), key, person)
    if as_json:
        print_document(explanation_document(explanation))
    else:
        print_view(explanation_view(explanation))
    raise typer.Exit(_exit_code(explanation.result))


def diff_revisions(
    revisions: Revisions = None,
    database_url: DatabaseUrl = None,
    project: Project = None,
    as_json: AsJson = False,
    table_prefix: TablePrefix = None,
) -> None:
    """Compare two revisions of the definitions, or one revision with the current one.

    Exits with 0, whether or not they differ.

    Example: hogbox flags diff 6 7 --database-url sqlite:///app.db
    """
    wanted = revisions or []
    if len(wanted) > 2:
        raise typer.BadParameter("at most two revisions")
    with _stored(database_url, project, table_prefix) as stored:
        before, after = (stored.read_revision(number) for number in stored.choose_revisions(wanted))
    found = difference(before.document, after.document)
    if as_json:
        print_document(difference_document(found, before.number, after.number))
    else:
        print_view(difference_view(found, before.number, after.number))


@contextmanager
def _stored(database_url: str | None, project: str | None, table_prefix: str | None) -> Iterator[StoredFlags]:
    settings = load_settings(database_url, None, table_prefix, project)
    with closing(open_database(settings)) as database:
        try:
            stored = StoredFlags(database, settings.project_token)
        except ProjectNotChosen as error:
            raise ConfigurationError(f"{error}: pass --project with a token, or with its beginning") from None
        yield stored


def _read(database_url: str | None, project: str | None, table_prefix: str | None) -> Document:
    with _stored(database_url, project, table_prefix) as stored:
        return stored.read().document


def _flag_set(document: Document, timezone: str) -> FlagSet:
    return FlagSet.parse(document, timezone=timezone)


def _unknown(key: str, known: Iterable[str]) -> NoReturn:
    near = get_close_matches(key, known, cutoff=0.5)
    meant = f": did you mean {' or '.join(map(repr, near))}?" if near else ": run `hogbox flags list` to see all"
    raise UnknownFlag(f"there is no flag {key!r} in the definitions{meant}")


def _exit_code(result: FlagResult) -> int:
    return INCONCLUSIVE if result.enabled is None else int(not result.enabled)
