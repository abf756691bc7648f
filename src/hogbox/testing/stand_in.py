"""What stands in for the sources of flags while a test sets some: their answers, with what is set over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any, Final

from hogbox._client.effect import Flow, Read
from hogbox._client.flag_cache import DefinitionsStamp, Sight
from hogbox._client.flag_source import STAND_IN, ProjectFlags
from hogbox._client.local_flags import KnownFlags
from hogbox._store.handles.portable import Portable
from hogbox._store.inspection.content import ContentStatements
from hogbox._wire.flag_record import FlagRecord
from hogbox._wire.flags import FlagsAnswer
from hogbox.errors import ConfigurationError, TablesMissing
from hogbox.flags._person import Person
from hogbox.testing.overlay import SetFlags, to_record
from hogbox.testing.override import FlagOverrides, Overrides

_NOTHING_STORED: Final = DefinitionsStamp(0, 0, None)
"""Of flags that only a test has set: no stored definitions have this revision."""


def decided_by(flags: FlagOverrides) -> AbstractContextManager[None]:
    """Let `flags` decide what all clients of the process read, for as long as the block lasts."""
    return STAND_IN.standing_in(lambda real: SetFlagSource(real, flags.overrides))


class SetFlagSource:
    """The flags of one project, with what a test has set over them. Of a disabled client too."""

    def __init__(self, real: ProjectFlags, overrides: Overrides) -> None:
        self._real = real
        self._overrides = overrides

    def see(self, ctx: Any, key: str | None, person: Person | None) -> Flow[Sight[KnownFlags]]:
        """The flags that the transaction sees, if any, with what is set over them; as if some were stored."""
        if not self._overrides:
            return (yield from self._real.see(ctx, key, person))
        if key is not None and person is not None and self._overrides.find(key, person.distinct_id) is not None:
            # No look at the database, where there may be none.
            return Sight(_NOTHING_STORED, SetFlags(None, self._overrides), final=True)
        seen = yield from self._look(ctx)
        return Sight(seen.stamp or _NOTHING_STORED, SetFlags(seen.flags, self._overrides))

    def ask(self, person: Person, keys: Sequence[str] | None, disable_geoip: bool | None) -> Flow[FlagsAnswer | None]:
        """PostHog is asked only for flags that are not set; where all are wanted, those that are set are all."""
        if not self._overrides:
            return (yield from self._real.ask(person, keys, disable_geoip))
        known = _records(self._overrides, person, keys)
        others = [key for key in keys or () if key not in known]
        asked = (yield from self._real.ask(person, others, disable_geoip)) if others else None
        given = asked or FlagsAnswer()
        return replace(given, flags={**given.flags, **known})

    def _look(self, ctx: Any) -> Flow[Sight[KnownFlags]]:
        """What is stored. Neither the tables nor, without a handle, a database need be there."""
        if ctx is not None:
            return (yield from self._real.see(ctx, None, None)) if (yield from self._is_there(ctx)) else _NOTHING
        with suppress(TablesMissing, ConfigurationError):
            return (yield from self._real.see(None, None, None))
        return _NOTHING

    def _is_there(self, ctx: Any) -> Flow[bool]:
        """Whether a look can succeed. On PostgreSQL a look at a table that is missing ends the transaction."""
        cache = self._real.cache
        if self._real.disabled or cache.fresh() is not None:
            return True
        rows = yield Read(ctx, Portable(ContentStatements(cache.tables).find_definitions, ()), ())
        return bool(rows[0][0])


_NOTHING: Final[Sight[KnownFlags]] = Sight(None, None)


def _records(overrides: Overrides, person: Person, keys: Sequence[str] | None) -> Mapping[str, FlagRecord]:
    found = {key: overrides.find(key, person.distinct_id) for key in (overrides.keys if keys is None else keys)}
    return {key: to_record(key, one) for key, one in found.items() if one is not None}
