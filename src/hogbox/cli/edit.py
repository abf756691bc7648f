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
from hogbox._events.dead_letter import IdentityChanged, mend, pretty
from hogbox._events.event import Event, to_row
from hogbox._events.historical import without_mark
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.selection import DeadLetterRow
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.cli.selection import select_letters
from hogbox.cli.terminal import say
from hogbox.errors import InvalidEvent, UsageError

Retry = Annotated[bool, typer.Option("--retry", help="Put it back into the outbox at once.")]
AllowUuid = Annotated[bool, typer.Option("--allow-uuid", help="Accept another uuid: another event to PostHog.")]
AllowTimestamp = Annotated[
    bool, typer.Option("--allow-timestamp", help="Accept another timestamp: another event to PostHog.")
]
Force = Annotated[bool, typer.Option("--force", help="Accept what PostHog would refuse again.")]


def edit(
    which: Annotated[str, typer.Argument(help="Id or uuid of a dead letter.", metavar="ID|UUID")],
    retry: Retry = False,
    allow_uuid: AllowUuid = False,
    allow_timestamp: AllowTimestamp = False,
    force: Force = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Open a dead letter's event in your editor ($VISUAL, $EDITOR), check it, and keep it as the dead letter.

    An unchanged file changes nothing. One that is no event is kept, and told where; on a terminal you may go on.

    Example: hogbox dead edit 17 --retry
    """
    with closing(open_database(load_settings(database_url, None, table_prefix))) as database:
        store = DeadLetterStore(database)
        letter = _one(store, which)
        path = _write(letter)
        accept = partial(mend, payload=letter.text, other_uuid=allow_uuid, other_timestamp=allow_timestamp, force=force)
        try:
            event = _edited(path, pretty(letter.text), accept)
        except UsageError:
            raise  # its text says whether the file is kept, and where
        except BaseException:
            path.unlink(missing_ok=True)  # interrupted or crashed: no decrypted event stays behind
            raise
        if event is None:
            say("nothing was changed")
            return
        row = to_row(event, letter.project)._replace(lane=letter.lane)
        row = row._replace(payload=Cipher.load(os.environ).seal(row.payload, row))
        if not store.replace(letter, row, event["uuid"], retry=retry):
            raise UsageError(f"dead letter {letter.id} was taken or changed meanwhile; your text is kept in {path}")
        path.unlink()
    say(f"dead letter {letter.id} is " + ("put back" if retry else "changed: hogbox dead retry puts it back"))


def _edited(path: Path, before: str, accept: Callable[[str], Event]) -> Event | None:
    """What the user makes of the file, as soon as it is accepted; None, and no file, where it stays as it was."""
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
        raise UsageError(f"there is no dead letter {which}: hogbox dead list shows what there is")
    if len(letters) > 1:
        raise UsageError(f"{which} is the uuid of {len(letters)} dead letters: name one by its id")
    return letters[0]


def _write(letter: DeadLetterRow) -> Path:
    """A new file with the event, which nobody else may read."""
    handle, name = tempfile.mkstemp(prefix=f"hogbox-dead-letter-{letter.id}-", suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(pretty(letter.text))
    return Path(name)


def _open_editor(path: Path) -> None:
    """Wait until the user's editor has ended."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603 - what the user says
    except (OSError, ValueError) as error:  # ValueError: quotes that don't match, or a NUL
        path.unlink()
        raise UsageError(f"the editor {editor!r} can't be started ({error}): set VISUAL or EDITOR") from error
    if done.returncode:
        raise UsageError(f"the editor {editor!r} ended with {done.returncode}: nothing was changed; see {path}")


def _offer(error: InvalidEvent, path: Path) -> None:
    """Say what is wrong; return where somebody is there and wants to go on."""
    hint = f"; --allow-{error.field} accepts it" if isinstance(error, IdentityChanged) else ""
    say(f"not accepted: {error}{hint}", err=True)
    if not (sys.stdin.isatty() and typer.confirm("Edit it again?", default=True, err=True)):
        raise UsageError(f"nothing was changed; your text is kept in {path}") from error
