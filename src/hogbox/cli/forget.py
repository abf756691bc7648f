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
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.cli.terminal import say

OneProject = Annotated[str | None, typer.Option(help="Only in this project, by its token; default: in all.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def forget(
    distinct_id: Annotated[str, typer.Argument(help="The person's distinct id.", metavar="DISTINCT_ID")],
    project: OneProject = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Remove a person's events from the outbox and from the dead letters, after a question.

    The distinct id is removed from stored error messages too. Exits with 1 where events are encrypted and can't be
    opened: whose they are is unknown. What was delivered, or is just being sent, is PostHog's: delete the person there
    too. Notes of exposures hold hashes only, from which nobody is found; they end by themselves.

    Example: hogbox forget c-19 --dry-run
    """
    with closing(open_database(load_settings(database_url, None, table_prefix))) as database:
        search = _Search(PersonStore(database), DeadLetterStore(database), distinct_id, project)
        found = search.count()
        if dry_run or not found.anything:
            say(f"{found.waiting} events in the outbox, {found.dead} dead letters; nothing was removed")
            if found.messages:
                say(f"{found.messages} error messages name the person")
        else:
            if not yes:
                typer.confirm(found.question, abort=True)
            search.remove()
            found = search.count()
    if found.closed:
        say(
            f"{found.closed} events and dead letters can't be opened, and may be the person's: set {VARIABLE}", err=True
        )
        raise typer.Exit(1)


class _Found(NamedTuple):
    waiting: int
    dead: int
    messages: int
    closed: int
    """Events and dead letters that can't be opened."""

    @property
    def anything(self) -> bool:
        return self.waiting + self.dead + self.messages > 0

    @property
    def question(self) -> str:
        named = f", and the distinct id from {self.messages} error messages" if self.messages else ""
        return f"Remove {self.waiting} events of the outbox and {self.dead} dead letters{named} for good?"


class _Search:
    """What the database holds of one person, in one project or in all."""

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
        """The outbox first: an event that dies meanwhile is found among the dead letters. Their errors come last."""
        removed = self._outbox.remove(one.id for one in self._waiting() if one.opened)
        buried = self._letters.purge(one.id for one in self._dead() if one.opened)
        say(f"{removed} events removed from the outbox, {buried} dead letters removed")
        if changed := self._outbox.remove_mentions(self._outbox.find_mentions(self._person)):
            say(f"the distinct id removed from {changed} error messages")

    def _waiting(self) -> Iterator[Sought]:
        return self._outbox.find(self._person, self._project)

    def _dead(self) -> Iterator[Sought]:
        for letter in self._letters.find(Selection(project=self._project)):
            if (found := sought(letter.id, letter.payload, self._person)) is not None:
                yield found
