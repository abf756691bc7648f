"""`hogbox dead edit`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hogbox._encryption import Cipher
from hogbox._events.dead_letter import IdentityChanged, correct, pretty
from hogbox._events.event import Event, to_row
from hogbox._events.historical import without_mark
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.selection import DeadLetterRow
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.cli.selection import select_letters
from hogbox.cli.terminal import say
from hogbox.errors import InvalidEvent, UsageError

Retry = Annotated[bool, typer.Option("--retry", help="Requeue it immediately.")]
AllowUuid = Annotated[
    bool, typer.Option("--allow-uuid", help="Accept a different uuid; PostHog will treat it as a new event.")
]
AllowTimestamp = Annotated[
    bool, typer.Option("--allow-timestamp", help="Accept a different timestamp; PostHog will treat it as a new event.")
]
Force = Annotated[bool, typer.Option("--force", help="Accept an event that PostHog would refuse again.")]


def edit(
    which: Annotated[str, typer.Argument(help="Id or uuid of a dead letter.", metavar="ID|UUID")],
    retry: Retry = False,
    allow_uuid: AllowUuid = False,
    allow_timestamp: AllowTimestamp = False,
    force: Force = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Edit a dead letter's event in your editor ($VISUAL or $EDITOR), validate it, and save it.

    Nothing is saved if the file is unchanged. If the event is invalid, the file is kept and its path is printed; on a
    terminal you can edit it again.

    Example: hogbox dead edit 17 --retry
    """
    with closing(open_database(load_settings(database_url, None, table_prefix))) as database:
        store = DeadLetterStore(database)
        letter = _one(store, which)
        path = _write(letter)
        accept = partial(
            correct,
            payload=letter.text,
            lane=letter.lane,
            other_uuid=allow_uuid,
            other_timestamp=allow_timestamp,
            force=force,
        )
        try:
            event = _edited(path, pretty(letter.text), accept)
        except UsageError:
            raise  # its message includes the path of a file that is kept
        except BaseException:
            path.unlink(missing_ok=True)  # interrupted or crashed: leave no decrypted event behind
            raise
        if event is None:
            say("nothing changed")
            return
        row = to_row(event, letter.project)._replace(lane=letter.lane)
        row = row._replace(payload=Cipher.load(os.environ).seal(row.payload, row))
        if not store.replace(letter, row, event["uuid"], retry=retry):
            raise UsageError(f"dead letter {letter.id} was removed or changed meanwhile; your edit is kept in {path}")
        path.unlink()
    say(f"dead letter {letter.id} " + ("requeued" if retry else "changed; requeue it with hogbox dead retry"))


def _edited(path: Path, before: str, accept: Callable[[str], Event]) -> Event | None:
    """The edited event, once it is valid; None if the user left the file unchanged, which is then removed."""
    while True:
        _open_editor(path)
        content = path.read_bytes()
        try:
            text = without_mark(content).decode("utf-8", "surrogateescape")
            if text == before:
                path.unlink()
                return None
            return accept(text)
        except InvalidEvent as error:
            _offer(error, path)


def _one(store: DeadLetterStore, which: str) -> DeadLetterRow:
    letters = list(store.find(select_letters([which])))
    if not letters:
        raise UsageError(f"there is no dead letter {which}: run hogbox dead list to see all")
    if len(letters) > 1:
        raise UsageError(f"{len(letters)} dead letters have the uuid {which}: select one by its id")
    return letters[0]


def _write(letter: DeadLetterRow) -> Path:
    """A new file with the event; other users can't read it."""
    handle, name = tempfile.mkstemp(prefix=f"hogbox-dead-letter-{letter.id}-", suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(pretty(letter.text))
    return Path(name)


def _open_editor(path: Path) -> None:
    """Run the user's editor and wait until it exits."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603 - the user's own setting
    except (OSError, ValueError) as error:  # ValueError: quotes that don't match, or a NUL
        path.unlink()
        raise UsageError(f"the editor {editor!r} can't be started ({error}): set VISUAL or EDITOR") from error
    if done.returncode:
        raise UsageError(f"the editor {editor!r} exited with {done.returncode}: nothing changed; see {path}")


def _offer(error: InvalidEvent, path: Path) -> None:
    """Print what is wrong; return if the user wants to edit again, else raise UsageError."""
    hint = f"; --allow-{error.field} accepts it" if isinstance(error, IdentityChanged) else ""
    say(f"invalid event: {error}{hint}", err=True)
    if not (sys.stdin.isatty() and typer.confirm("Edit it again?", default=True, err=True)):
        raise UsageError(f"nothing changed; your edit is kept in {path}") from error
