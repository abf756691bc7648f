"""Steps: what a plan needs done by the database or PostHog before it can go on.

A plan is a generator that decides and waits for nothing: it yields steps, is sent what each came to, and returns its
result. So there is one implementation of each decision; `performer` and `async_performer` do the waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

from hogbox._store.handles.portable import Portable
from hogbox._wire.flags import FlagsRequest

T = TypeVar("T")


class Read(NamedTuple):
    """Read rows in the caller's transaction; where `ctx` is None, what is committed. Comes to `Rows`."""

    ctx: Any
    statement: Portable
    values: tuple[Any, ...]


class Write(NamedTuple):
    """Run a statement in the caller's transaction; where `ctx` is None, in its own. Comes to the rows changed."""

    ctx: Any
    statement: Portable
    values: tuple[Any, ...]


class Transact(NamedTuple):
    """Carry out a plan in one transaction of hogbox's own, which is its `ctx`. Comes to the plan's result."""

    plan: Callable[[Any], Plan[Any]]


class Ask(NamedTuple):
    """Send a request to PostHog. Comes to the status and the body of the answer, or raises Unanswered."""

    request: FlagsRequest


class Pause(NamedTuple):
    """Wait so many seconds. Comes to None."""

    seconds: float


class Compute(NamedTuple):
    """Compute what takes milliseconds. Comes to what the function returns."""

    function: Callable[[], Any]


Step: TypeAlias = Read | Write | Transact | Ask | Pause | Compute

Plan: TypeAlias = Generator[Step, Any, T]
