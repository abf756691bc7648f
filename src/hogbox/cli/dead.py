"""`hogbox dead`: list, show, retry, edit, export and purge dead letters."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from hogbox._events.dead_letter import refused_again
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.selection import DeadLetterRow
from hogbox._wire.printable import counted, one_line
from hogbox.cli.dead_letter import HEAD, cells, facts, in_full, payload_of
from hogbox.cli.edit import edit
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.cli.selection import (
    All,
    DistinctId,
    EventName,
    Limit,
    NewerThan,
    OlderThan,
    Project,
    Reason,
    Which,
    require_some,
    select_letters,
)
from hogbox.cli.table import lined_up
from hogbox.cli.terminal import say

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Newest = Annotated[int, typer.Option(min=1, help="Maximum number to list, newest first.")]
Force = Annotated[bool, typer.Option("--force", help="Include events that PostHog would refuse again.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write; it must not exist yet.")]


def dead_app() -> typer.Typer:
    """The subcommands."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Inspect, retry, edit and remove dead letters.")
    app.command("list")(list_letters)
    for command in (show, retry, edit, export, purge):
        app.command()(command)
    return app


@contextmanager
def _store(database_url: str | None, table_prefix: str | None) -> Iterator[DeadLetterStore]:
    with closing(open_database(load_settings(database_url, None, table_prefix))) as database:
        yield DeadLetterStore(database)


def list_letters(
    which: Which = None,
    reason: Reason = None,
    event: EventName = None,
    distinct_id: DistinctId = None,
    project: Project = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Newest = 50,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """List dead letters, newest first.

    Example: hogbox dead list --reason proxy --newer-than 7d
    """
    wanted = select_letters(which, reason, event, distinct_id, project, older_than, newer_than, limit)
    with _store(database_url, table_prefix) as store:
        letters = list(store.find(wanted, newest_first=True))
    if as_json:
        say(json.dumps([facts(letter) for letter in letters], indent=2))
    elif letters:
        say(lined_up(HEAD, [cells(letter) for letter in letters]))
    else:
        say("no dead letters")


def show(
    which: Which = None,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Show dead letters in full, with their events. Exits with 1 if none is found.

    Example: hogbox dead show 17
    """
    wanted = require_some(select_letters(which), everything=False)
    with _store(database_url, table_prefix) as store:
        letters = list(store.find(wanted))
    if as_json:
        say(json.dumps([{**facts(letter), "payload": payload_of(letter)} for letter in letters], indent=2))
    else:
        say("\n".join(map(in_full, letters)) or "no such dead letter", nl=not letters)
    raise typer.Exit(0 if letters else 1)


def retry(
    which: Which = None,
    reason: Reason = None,
    event: EventName = None,
    distinct_id: DistinctId = None,
    project: Project = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Limit = None,
    everything: All = False,
    force: Force = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Requeue dead letters: move them back to the outbox, in order, with the same uuid and timestamp.

    They are delivered after all events that are waiting now, including those of the same person. Events that PostHog
    is known to refuse are skipped, unless --force is given. Exits with 1 if any are skipped.

    Example: hogbox dead retry --reason proxy
    """
    wanted = require_some(
        select_letters(which, reason, event, distinct_id, project, older_than, newer_than, limit), everything
    )
    skipped = 0

    def retryable(letters: Iterator[DeadLetterRow]) -> Iterator[DeadLetterRow]:
        nonlocal skipped
        for letter in letters:
            if not force and (why := refused_again(letter.text, letter.lane)):
                skipped += 1
                say(f"{letter.id} skipped: {one_line(why)}", err=True)
            else:
                yield letter

    with _store(database_url, table_prefix) as store:
        done = store.retry(retryable(store.find(wanted)))
    say(f"{done} requeued" + (f", {skipped} skipped: edit them with hogbox dead edit" if skipped else ""))
    raise typer.Exit(1 if skipped else 0)


def export(
    which: Which = None,
    reason: Reason = None,
    event: EventName = None,
    distinct_id: DistinctId = None,
    project: Project = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Limit = None,
    output: Output = None,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Export dead letters as JSON lines, with their events. Nothing is removed.

    Example: hogbox dead export --older-than 30d --output letters.jsonl
    """
    wanted = select_letters(which, reason, event, distinct_id, project, older_than, newer_than, limit)
    count = 0
    with _store(database_url, table_prefix) as store, _opened(output) as write:
        for letter in store.find(wanted):
            count += 1
            write(json.dumps({**facts(letter), "payload": payload_of(letter)}))
    say(f"{count} exported", err=True)


def purge(
    which: Which = None,
    reason: Reason = None,
    event: EventName = None,
    distinct_id: DistinctId = None,
    project: Project = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Limit = None,
    everything: All = False,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Permanently remove dead letters, after a confirmation.

    Example: hogbox dead purge --older-than 30d
    """
    wanted = require_some(
        select_letters(which, reason, event, distinct_id, project, older_than, newer_than, limit), everything
    )
    with _store(database_url, table_prefix) as store:
        ids = [letter.id for letter in store.find(wanted)]
        if ids and not yes:
            typer.confirm(f"Permanently remove {counted(len(ids), 'dead letter')}?", abort=True)
        say(f"{store.purge(ids)} removed")


@contextmanager
def _opened(output: Path | None) -> Iterator[Any]:
    """A function that writes a line to a new file, or to standard output."""
    if output is None:
        yield say
        return
    try:
        # Events hold personal data: nobody else may read the file. "x" follows no symbolic link.
        with open(output, "x", encoding="utf-8", opener=_private) as file:
            yield lambda line: file.write(f"{line}\n")
    except FileExistsError:
        raise typer.BadParameter(f"{output} already exists") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
