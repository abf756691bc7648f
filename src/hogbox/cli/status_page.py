"""How a status looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hogbox._operations.finding import Severity
from hogbox._operations.page import how_to_open
from hogbox._operations.status import StatusReport, document
from hogbox._store.inspection.snapshot import BacklogSummary
from hogbox._wire.printable import counted, one_line

_COLOURS: Final = {Severity.HEALTHY: "green", Severity.DEGRADED: "yellow", Severity.BROKEN: "red"}
_MOST: Final = 10
"""Lines of a list; JSON has all of them."""


def page_of(status: StatusReport) -> RenderableType:
    """Everything, the findings first."""
    facts = document(status)
    return Group(
        *_verdict(status),
        _heading("Backlog"),
        *_backlog(status, facts["backlog"]["by_project"]),
        _heading("Workers"),
        *_workers(facts["workers"], facts["shards"]),
        *_section("Held back", _held(facts["held"])),
        *_section("Put off", _put_off(facts["shards"]["put_off"])),
        *_section("Dead letters", _dead(facts["dead_letters"])),
        _heading("Flag definitions"),
        *(_definitions(facts["definitions"]) or [Text("  none, and none are refreshed")]),
        _heading(f"Settings (tables of version {facts['schema_version']})"),
        _table(["setting", "value", "source"], ([one.name, one.value, one.source] for one in status.settings)),
    )


def seconds(value: float | None) -> str:
    """A duration for people."""
    if value is None:
        return "never"
    whole = abs(value)
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole / size:.0f} {name}"
    return f"{whole:.0f} s"


def _verdict(status: StatusReport) -> Iterable[RenderableType]:
    yield Text(status.severity.name.lower(), style=f"bold {_COLOURS[status.severity]}")
    for finding in status.findings:
        line = Text(f"  {finding.severity.name.lower()}: ", style=_COLOURS[finding.severity])
        yield line.append(one_line(finding.text), style="default")
        if finding.page:
            yield Text(f"    see: {how_to_open(finding.page)}")


def _backlog(status: StatusReport, by_project: Sequence[dict[str, object]]) -> Iterable[RenderableType]:
    backlog = status.standing.backlog
    if not backlog.events:
        yield Text("  nothing waits")
        return
    drained = f"empty in {seconds(status.drained_in)} at this rate" if status.per_minute else "nothing is delivered"
    yield Text(
        f"  {_count(backlog, backlog.events)} events wait, the oldest for {seconds(backlog.oldest)}; "
        f"{status.per_minute} a minute are settled: {drained}"
    )
    yield _table(["project", "events"], ([one["project"], one["events"]] for one in by_project[:_MOST]))


def _count(backlog: BacklogSummary, events: int) -> str:
    return f"about {events}" if backlog.estimated else str(events)


def _workers(workers: Sequence[dict[str, object]], shards: dict[str, object]) -> Iterable[RenderableType]:
    columns = ["worker", "host", "pid", "version", "heartbeat", "shards", "delivered", "dead", "a minute"]
    rows = (
        [
            one["id"],
            one["host"],
            one["pid"],
            one["version"],
            f"{seconds(_number(one['silent_seconds']))} ago{'' if one['alive'] else ', silent'}",
            one["shards"],
            one["delivered"],
            one["dead"],
            one["per_minute"],
        ]
        for one in workers
    )
    yield _table(columns, rows) if workers else Text("  none is alive")
    yield Text(f"  {counted(int(str(shards['unowned'])), 'shard')} unassigned, {shards['waiting']} with pending events")


def _held(held: Sequence[dict[str, object]]) -> Iterable[RenderableType]:
    if held:
        rows = (
            [one["project"], one["waiting"], seconds(_number(one["held_seconds"])), _again(one), one["reason"]]
            for one in held
        )
        yield _table(["project", "events", "since", "tried again", "reason"], rows)


def _put_off(put_off: Sequence[dict[str, object]]) -> Iterable[RenderableType]:
    if put_off:
        rows = ([one["shard"], one["attempt"], _again(one), one["last_error"]] for one in put_off[:_MOST])
        yield _table(["shard", "attempt", "tried again", "last error"], rows)
        if len(put_off) > _MOST:
            yield Text(f"  and {len(put_off) - _MOST} more")


def _dead(dead: dict[str, object]) -> Iterable[RenderableType]:
    reasons = dead["reasons"]
    if isinstance(reasons, list) and reasons:
        yield Text(f"  {'at least ' if dead['at_least'] else ''}{dead['events']} events")
        rows = ([one["events"], one["status"] or "", seconds(one["seconds"]), one["reason"]] for one in reasons[:_MOST])
        yield _table(["events", "HTTP", "last one", "reason"], rows)


def _definitions(definitions: Sequence[dict[str, object]]) -> list[RenderableType]:
    return [Text(f"  {one['project']}: {_stored(one)}; {_refreshed(one)}; {_polls(one)}") for one in definitions]


def _stored(one: dict[str, object]) -> str:
    if one["revision"] is None:
        return "nothing stored"
    age = seconds(_number(one["age_seconds"]))
    return f"revision {one['revision']}, {age} old, {'with' if one['etag'] else 'without'} an ETag"


def _refreshed(one: dict[str, object]) -> str:
    due = _number(one["next_poll_in_seconds"])
    following = "not planned" if due is None else f"in {seconds(due)}" if due > 0 else f"due {seconds(due)} ago"
    if one["last_status"] is None:
        return f"never refreshed; next poll {following}"
    outcome = "/".join(str(part) for part in (one["last_status"], one["last_reason"]) if part)
    last = seconds(_number(one["last_seconds"]))
    return f"last refresh {outcome} {last} ago by {one['polled_by'] or 'nobody'}; next poll {following}"


def _polls(one: dict[str, object]) -> str:
    return f"{one['polls']} polls made, {one['polls_alone']} if each worker polled alone"


def _again(one: dict[str, object]) -> str:
    wait = _number(one["again_in_seconds"]) or 0.0
    return f"in {seconds(wait)}" if wait >= 0 else f"due {seconds(wait)} ago"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _section(title: str, content: Iterable[RenderableType]) -> list[RenderableType]:
    shown = list(content)
    return [_heading(title), *shown] if shown else []


def _heading(title: str) -> Text:
    return Text(f"\n{title}", style="bold")


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row("", *(Text(one_line(cell)) for cell in row))
    return table
