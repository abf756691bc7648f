"""`hogbox forget`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, NamedTuple

import typer

from hogbox._encryption import VARIABLE
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.person import PersonStore, Sought, sought
from hogbox._store.selection import Selection
from hogbox._wire.printable import counted
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.cli.terminal import say

OneProject = Annotated[str | None, typer.Option(help="Only in the project with this token; default: all projects.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count, remove nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def forget(
    distinct_id: Annotated[str, typer.Argument(help="The person's distinct id.", metavar="DISTINCT_ID")],
    project: OneProject = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Remove a person's events from the outbox and from the dead letters, after a confirmation.

    The distinct id is also removed from stored error messages. Exits with 1 if there are encrypted events that can't be
    decrypted: they may be the person's. Events that were delivered, or are being sent, are at PostHog: delete the
    person there as well. Exposure records contain only hashes, which identify nobody, and expire.

    Example: hogbox forget c-19 --dry-run
    """
    with closing(open_database(load_settings(database_url, None, table_prefix))) as database:
        search = _Search(PersonStore(database), DeadLetterStore(database), distinct_id, project)
        found = search.count()
        if dry_run or not found.anything:
            waiting, dead = counted(found.waiting, "event"), counted(found.dead, "dead letter")
            say(f"{waiting} in the outbox, {dead}; nothing was removed")
            if found.messages:
                say(f"{counted(found.messages, 'error message')} with the distinct id")
        else:
            if not yes:
                typer.confirm(found.question, abort=True)
            search.remove()
            found = search.count()
    if found.closed:
        closed = "1 event or dead letter" if found.closed == 1 else f"{found.closed} events and dead letters"
        say(f"{closed} can't be decrypted, and may be the person's: set {VARIABLE}", err=True)
        raise typer.Exit(1)


class _Found(NamedTuple):
    waiting: int
    dead: int
    messages: int
    closed: int
    """Events and dead letters that can't be decrypted."""

    @property
    def anything(self) -> bool:
        return self.waiting + self.dead + self.messages > 0

    @property
    def question(self) -> str:
        waiting, dead = counted(self.waiting, "event"), counted(self.dead, "dead letter")
        named = f", and the distinct id in {counted(self.messages, 'error message')}" if self.messages else ""
        return f"Permanently remove {waiting} from the outbox and {dead}{named}?"


class _Search:
    """One person's data in the database, in one project or in all."""

    def __init__(self, outbox: PersonStore, letters: DeadLetterStore, distinct_id: str, project: str | None) -> None:
        self._outbox = outbox
        self._letters = letters
        self._person = distinct_id
        self._project = project

    def count(self) -> _Found:
        opened = {True: 0, False: 0}
        for one in self._waiting():
            opened[one.opened] += 1
        waiting = opened[True]
        for one in self._dead():
            opened[one.opened] += 1
        messages = len(self._outbox.find_mentions(self._person))
        return _Found(waiting, opened[True] - waiting, messages, opened[False])

    def remove(self) -> None:
        """Remove everything. The outbox comes first, so that an event that dies meanwhile is found as a dead letter."""
        removed = self._outbox.remove(one.id for one in self._waiting() if one.opened)
        buried = self._letters.purge(one.id for one in self._dead() if one.opened)
        say(f"{counted(removed, 'event')} removed from the outbox, {counted(buried, 'dead letter')} removed")
        if changed := self._outbox.remove_mentions(self._outbox.find_mentions(self._person)):
            say(f"distinct id removed from {counted(changed, 'error message')}")

    def _waiting(self) -> Iterator[Sought]:
        return self._outbox.find(self._person, self._project)

    def _dead(self) -> Iterator[Sought]:
        for letter in self._letters.find(Selection(project=self._project)):
            if (found := sought(letter.id, letter.payload, self._person)) is not None:
                yield found
