"""Effects: what a flow needs of the database or of PostHog before it can go on.

A flow is a generator that decides and never waits: it yields effects, is sent the result of each, and returns its
result. So there is one implementation of each decision; `runner` and `async_runner` do the waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

from hogbox._store.handles.portable import Portable
from hogbox._wire.flags import FlagsRequest

T = TypeVar("T")


class Read(NamedTuple):
    """Read rows in the caller's transaction; where `ctx` is None, what is committed. The result is `Rows`."""

    ctx: Any
    statement: Portable
    values: tuple[Any, ...]


class Write(NamedTuple):
    """Run a statement in the caller's transaction; where `ctx` is None, in its own. The result: the rows changed."""

    ctx: Any
    statement: Portable
    values: tuple[Any, ...]


class Transact(NamedTuple):
    """Run a flow in one transaction of hogbox's own, which is its `ctx`. Its result is the flow's."""

    flow: Callable[[Any], Flow[Any]]


class Ask(NamedTuple):
    """Send a request to PostHog. The result is the status and the body of the answer; raises NoReply."""

    request: FlagsRequest


class Pause(NamedTuple):
    """Wait so many seconds. The result is None."""

    seconds: float


class Compute(NamedTuple):
    """Compute what takes milliseconds. The result is what the function returns."""

    function: Callable[[], Any]


Effect: TypeAlias = Read | Write | Transact | Ask | Pause | Compute

Flow: TypeAlias = Generator[Effect, Any, T]
