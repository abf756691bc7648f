"""Why an event waits: what stands between it and PostHog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from hogbox._delivery.share import Lease

_HELD: Final = {
    "token": "PostHog refuses the project's token",
    "quota": "PostHog refuses the project's events, since its quota is used up",
    "address": "PostHog does not take events at this address",
    None: "PostHog does not take the project's events",
}


class WaitState(NamedTuple):
    """What there is to know of a waiting event's surroundings. Times are in seconds."""

    lease: Lease
    workers: int
    """Those alive."""
    put_off: float
    """Until its shard is tried again; zero or less where it may be at once."""
    attempt: int
    last_error: str | None
    held: float | None
    """Until its project is tried again, where requests of the project fail or are refused."""
    hold_reason: str | None
    refused: str | None
    """What PostHog refuses of the project: "token", "quota" or "address"; None where its requests just fail."""
    ahead: int
    """Events of the same shard that are delivered before it."""


def why_waiting(now: WaitState) -> list[str]:
    """The reasons, the most fundamental one first; never empty."""
    return list(_reasons(now)) or [_in_line(now.ahead)]


def _reasons(now: WaitState) -> Iterator[str]:
    if now.workers == 0:
        yield "no worker runs: start hogbox worker, or run hogbox deliver"
    elif now.lease.free:
        yield "no worker holds its shard: one of those alive takes it over in a moment"
    if now.held is not None:
        when = f"it is tried again in {now.held:.0f} s" if now.held > 0 else "it is tried again now"
        yield f"{_HELD[now.refused]} ({now.hold_reason}): {when}"
    if now.put_off > 0:
        yield f"its shard is put off for {now.put_off:.0f} s after {now.attempt} failed attempts: {now.last_error}"
    elif now.attempt:
        yield f"its shard is tried again now, after {now.attempt} failed attempts: {now.last_error}"
    elif now.last_error and now.held is None:
        yield f"the last error of its shard was: {now.last_error}"


def _in_line(ahead: int) -> str:
    return f"nothing is in its way but {ahead} events ahead of it" if ahead else "nothing: it is about to be sent"
