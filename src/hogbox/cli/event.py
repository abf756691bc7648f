"""`hogbox event`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any, Final

import typer

from hogbox._delivery.wait_reason import why_waiting
from hogbox._events.dead_letter import read_event
from hogbox._events.identifier import parse_uuid
from hogbox._store.connections.database import Database
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.inspection.search import EventSearch, WaitingEvent
from hogbox._store.selection import DeadLetterRow, Selection
from hogbox._wire.host import shorten
from hogbox._wire.printable import one_line
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.cli.table import moment_of
from hogbox.cli.terminal import say

Scanned = Annotated[
    int, typer.Option("--scan", min=1, help="Look through so many ids of the outbox at most, from the oldest on.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_AHEAD: Final = 20_000
"""Events of the shard to look through for those of the same person."""

_NEITHER: Final = (
    "It was delivered; or its transaction rolled back or is still open; or before_send refused it; or its dead letter "
    "was removed. PostHog has it in the first case only."
)


def event(
    uuid: Annotated[str, typer.Argument(help="What the capturing method returned.", metavar="UUID")],
    scan: Scanned = 2_000_000,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Tell where an event is, and why it waits. Exits with 1 where it is neither waiting nor a dead letter.

    The outbox has no index on uuids: it is looked through, which takes a second or so for each million events.

    Example: hogbox event 0190a0b0-0000-7000-8000-000000000001
    """
    wanted = parse_uuid(uuid)
    if wanted is None:
        raise typer.BadParameter(f"{uuid!r} is no uuid")
    with closing(open_database(load_settings(database_url, None, table_prefix))) as database:
        found = _look(database, wanted, scan)
    if as_json:
        say(json.dumps(found, indent=2))
    else:
        say("\n".join(_told(found)))
    raise typer.Exit(0 if found["waiting"] or found["dead_letters"] else 1)


def _look(database: Database, uuid: str, scan: int) -> dict[str, Any]:
    search = EventSearch(database)
    # The dead letters last: an event that dies in between is found there.
    scanned = search.scan(uuid, scan)
    letters = list(DeadLetterStore(database).find(Selection(uuids=(uuid,))))
    return {
        "uuid": uuid,
        "waiting": _waiting(search, scanned.found) if scanned.found else None,
        "dead_letters": [_letter(letter) for letter in letters],
        "outbox_searched": "all" if scanned.complete else f"the oldest {scan} ids",
    }


def _waiting(search: EventSearch, found: WaitingEvent) -> dict[str, Any]:
    position = search.position(found, _AHEAD)
    now = search.circumstances(found)
    event = read_event(found.text)
    return {
        "id": found.id,
        "event": event.get("event"),
        "distinct_id": event.get("distinct_id"),
        "timestamp": event.get("timestamp"),
        "project": shorten(found.project),
        "shard": found.shard,
        "captured_at": moment_of(found.created_at),
        "ahead_of_person": position.ahead,
        "ahead_is_exact": position.exact,
        "ahead_in_shard": now.ahead,
        "why": why_waiting(now),
    }


def _letter(letter: DeadLetterRow) -> dict[str, Any]:
    return {
        "id": letter.id,
        "died_at": moment_of(letter.died_at),
        "status": letter.status,
        "reason": letter.reason,
    }


def _told(found: dict[str, Any]) -> Iterator[str]:
    if waiting := found["waiting"]:
        yield f"waits in the outbox: id {waiting['id']}, shard {waiting['shard']}, project {waiting['project']}"
        yield f"  {waiting['event']!r} of {waiting['distinct_id']!r}, captured at {waiting['captured_at']}"
        least = "" if waiting["ahead_is_exact"] else "at least "
        behind = f"behind {least}{waiting['ahead_of_person']} events of the same person"
        yield f"  {behind}, {waiting['ahead_in_shard']} of the shard"
        yield from (f"  why: {one_line(why)}" for why in waiting["why"])
    for letter in found["dead_letters"]:
        status = f", status {letter['status']}" if letter["status"] else ""
        yield f"is dead letter {letter['id']} since {letter['died_at']}{status}"
        yield f"  why: {one_line(letter['reason'])}"
        yield f"  hogbox dead show {letter['id']}"
    if not waiting and not found["dead_letters"]:
        yield f"neither waits ({found['outbox_searched']} searched) nor is a dead letter"
        yield f"  {_NEITHER}"
