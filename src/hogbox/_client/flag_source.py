"""Flag source: where a reader's flags come from. The default is what is stored and PostHog; a test may stand in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeAlias

from hogbox._client.effect import Flow
from hogbox._client.flag_cache import FlagCache, Sight
from hogbox._client.local_flags import KnownFlags, LocalFlags
from hogbox._client.remote import Remote
from hogbox._wire.flags import FlagsAnswer
from hogbox.flags._person import Person


class FlagSource(Protocol):
    """Answers the two questions of a reader, as flows."""

    def see(self, ctx: Any, key: str | None, person: Person | None) -> Flow[Sight[KnownFlags]]:
        """The local flags that this transaction sees; with a key, to read only this one for this person.

        Raises UnsupportedHandle, TablesError, or what the database raises.
        """

    def ask(self, person: Person, keys: Sequence[str] | None, disable_geoip: bool | None) -> Flow[FlagsAnswer | None]:
        """What PostHog answers for the person's flags, or for those with these keys; None where it is not asked.

        Raises RemoteEvaluationError.
        """


class ProjectFlags:
    """The flags of one project: those that are stored, and those that PostHog evaluates. None of a disabled client."""

    def __init__(self, cache: FlagCache, remote: Remote, disabled: bool) -> None:
        self.cache = cache
        self.disabled = disabled
        self._remote = remote

    def see(self, ctx: Any, key: str | None, person: Person | None) -> Flow[Sight[LocalFlags]]:  # noqa: ARG002
        """The stored flags that this transaction sees, whichever is read."""
        return _nothing() if self.disabled else self.cache.view(ctx)

    def look(self) -> Flow[Sight[LocalFlags]]:
        """The stored flags that are committed now."""
        return _nothing() if self.disabled else self.cache.look()

    def ask(self, person: Person, keys: Sequence[str] | None, disable_geoip: bool | None) -> Flow[FlagsAnswer | None]:
        """What PostHog answers now."""
        if self.disabled:
            return None
        return (yield from self._remote.ask(person, keys, disable_geoip))


def _nothing() -> Flow[Sight[LocalFlags]]:
    yield from ()
    return Sight(None, None)


Replace: TypeAlias = Callable[[ProjectFlags], FlagSource]
"""Makes the source that a reader asks in place of its own."""


class StandIn:
    """What readers ask in place of their own sources; nothing but in tests."""

    __slots__ = ("replace",)

    def __init__(self) -> None:
        self.replace: Replace | None = None

    @contextmanager
    def standing_in(self, replace: Replace) -> Iterator[None]:
        """Let all readers ask the source that `replace` makes of theirs, for as long as the block lasts."""
        before, self.replace = self.replace, replace
        try:
            yield
        finally:
            self.replace = before


STAND_IN: Final = StandIn()
"""One for the process: a test's flags hold for clients that the application made when it was imported, of which the
test knows nothing, and for those that it makes later, in any thread."""
