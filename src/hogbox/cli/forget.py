"""`hogbox forget`."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from hogbox._store.dead_letter import DeadLetterStore, Selection
from hogbox._store.person import PersonStore
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database

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

    What was delivered, or is just being sent, is PostHog's: delete the person there too. Notes of exposures hold hashes
    only, from which nobody is found; they end by themselves.

    Example: hogbox forget c-19 --dry-run
    """
    with closing(open_database(load_settings(database_url, None, table_prefix))) as database:
        outbox, letters = PersonStore(database), DeadLetterStore(database)
        meant = Selection(distinct_id=distinct_id, project=project)
        waiting = sum(1 for _ in outbox.find(distinct_id, project))
        dead = sum(1 for _ in letters.find(meant))
        if dry_run or not waiting + dead:
            typer.echo(f"{waiting} events in the outbox, {dead} dead letters; nothing was removed")
            return
        if not yes:
            typer.confirm(f"Remove {waiting} events of the outbox and {dead} dead letters for good?", abort=True)
        # The outbox first: an event that dies meanwhile is found among the dead letters.
        removed = outbox.remove(outbox.find(distinct_id, project))
        buried = letters.purge(letter.id for letter in letters.find(meant))
    typer.echo(f"{removed} events removed from the outbox, {buried} dead letters removed")
