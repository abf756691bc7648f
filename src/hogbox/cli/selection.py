"""Selects dead letters by ids, uuids and filters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from hogbox._events.identifier import parse_uuid
from hogbox._store.selection import Selection
from hogbox.errors import UsageError

_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_age(text: str) -> float:
    """The seconds in an age such as 90s, 15m, 12h, 7d or 2w."""
    if match := _AGE.fullmatch(text.strip().lower()):
        return float(match[1]) * _SECONDS[match[2]]
    raise typer.BadParameter(f"{text!r} is not a valid age: write 90s, 15m, 12h, 7d or 2w")


Which = Annotated[list[str] | None, typer.Argument(help="Ids or uuids of dead letters.", metavar="ID|UUID")]
Reason = Annotated[str | None, typer.Option(help="Only dead letters with this text in their reason.")]
EventName = Annotated[str | None, typer.Option("--event", help="Only events with this name.")]
DistinctId = Annotated[str | None, typer.Option(help="Only events of this person.")]
Project = Annotated[str | None, typer.Option(help="Only this project: its token, or as shown, phc_abcd….")]
OlderThan = Annotated[
    float | None, typer.Option(parser=parse_age, metavar="AGE", help="Only if they died longer ago: 12h, 7d.")
]
NewerThan = Annotated[
    float | None, typer.Option(parser=parse_age, metavar="AGE", help="Only if they died more recently: 12h, 7d.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Maximum number, oldest first.")]
All = Annotated[bool, typer.Option("--all", help="All dead letters.")]


def select_letters(
    which: Sequence[str] | None,
    reason: str | None = None,
    event: str | None = None,
    distinct_id: str | None = None,
    project: str | None = None,
    older_than: float | None = None,
    newer_than: float | None = None,
    limit: int | None = None,
) -> Selection:
    """The selection for these arguments and options."""
    ids = tuple(int(name) for name in which or () if name.isascii() and name.isdigit())
    uuids = tuple(_require_uuid(name) for name in which or () if not (name.isascii() and name.isdigit()))
    return Selection(
        ids=ids,
        uuids=uuids,
        reason=reason,
        event=event,
        distinct_id=distinct_id,
        project=project,
        older_than=older_than,
        newer_than=newer_than,
        limit=limit,
    )


def require_some(selection: Selection, everything: bool) -> Selection:
    """The selection. Raises UsageError if nothing is selected and `--all` is not given."""
    if selection.everything and not everything:
        raise UsageError("select dead letters by ids, uuids or a filter such as --reason, or pass --all")
    return selection


def _require_uuid(text: str) -> str:
    if uuid := parse_uuid(text):
        return uuid
    raise typer.BadParameter(f"{text!r} is neither a dead letter's id nor a uuid")
