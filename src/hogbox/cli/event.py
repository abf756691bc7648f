"""`hogbox event`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any, Final

import typer

from hogbox._delivery.wait_reason import why_waiting
from hogbox._events.dead_letter import read_event
from hogbox._events.event import ANALYTICS
from hogbox._events.identifier import parse_uuid
from hogbox._store.connections.database import Database
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.inspection.search import EventSearch, WaitingEvent
from hogbox._store.selection import DeadLetterRow, Selection
from hogbox._wire.host import shorten
from hogbox._wire.printable import counted, one_line
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.cli.table import moment_of
from hogbox.cli.terminal import say

Scanned = Annotated[
    int, typer.Option("--scan", min=1, help="Maximum number of outbox ids to search, starting at the oldest.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_AHEAD: Final = 20_000
"""Number of events in the shard to search for earlier ones of the same person."""

_NEITHER: Final = (
    "It was delivered; or its transaction was rolled back or is still open; or before_send discarded it; or its dead "
    "letter was removed. PostHog has it only in the first case."
)


def event(
    uuid: Annotated[str, typer.Argument(help="The uuid that the capturing method returned.", metavar="UUID")],
    scan: Scanned = 2_000_000,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
) -> None:
    """Show where an event is, and why it is waiting. Exits with 1 if it is neither waiting nor a dead letter.

    The outbox has no index on uuids, so it is scanned, which takes about a second per million events.

    Example: hogbox event 0190a0b0-0000-7000-8000-000000000001
    """
    wanted = parse_uuid(uuid)
    if wanted is None:
        raise typer.BadParameter(f"{uuid!r} is not a valid uuid")
    with closing(open_database(load_settings(database_url, None, table_prefix))) as database:
        found = _look(database, wanted, scan)
    if as_json:
        say(json.dumps(found, indent=2))
    else:
        say("\n".join(_lines(found)))
    raise typer.Exit(0 if found["waiting"] or found["dead_letters"] else 1)


def _look(database: Database, uuid: str, scan: int) -> dict[str, Any]:
    search = EventSearch(database)
    # Dead letters are searched last, so that an event that becomes one in between is found.
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
        "lane": found.lane,
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


def _lines(found: dict[str, Any]) -> Iterator[str]:
    if waiting := found["waiting"]:
        lane = "" if waiting["lane"] == ANALYTICS else f", lane {waiting['lane']}"
        yield f"waiting in the outbox: id {waiting['id']}, shard {waiting['shard']}, project {waiting['project']}{lane}"
        yield f"  {waiting['event']!r} of {waiting['distinct_id']!r}, captured at {waiting['captured_at']}"
        least = "" if waiting["ahead_is_exact"] else "at least "
        behind = f"behind {least}{counted(waiting['ahead_of_person'], 'event')} of the same person"
        yield f"  {behind}, {waiting['ahead_in_shard']} in the shard"
        yield from (f"  why: {one_line(why)}" for why in waiting["why"])
    for letter in found["dead_letters"]:
        status = f", status {letter['status']}" if letter["status"] else ""
        yield f"dead letter {letter['id']} since {letter['died_at']}{status}"
        yield f"  why: {one_line(letter['reason'])}"
        yield f"  hogbox dead show {letter['id']}"
    if not waiting and not found["dead_letters"]:
        yield f"not waiting ({found['outbox_searched']} searched), not a dead letter"
        yield f"  {_NEITHER}"
