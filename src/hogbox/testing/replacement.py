"""What stands in the place of hogbox's own reads of flags while a test sets them.

Nothing in the reads asks whether it is under test. All flags come through five methods of two classes, so these are
replaced, on the classes: clients that were made before, and those of other threads, are of the same classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

import pytest

from hogbox._client.effect import Flow, Read
from hogbox._client.flag_cache import FlagCache, Sight, Stamp
from hogbox._client.flag_reader import REMOTE, FlagReader, Result, require_fallback
from hogbox._client.local_flags import Person
from hogbox._client.snapshot import exposure_of
from hogbox._store.handles.portable import Portable
from hogbox._store.inspection.content import ContentStatements
from hogbox._wire.flags import FlagsAnswer, RemoteFlag
from hogbox.errors import ConfigurationError, TablesMissing
from hogbox.flags import FlagResult
from hogbox.testing.overlay import overlay, to_remote_flag
from hogbox.testing.override import FlagOverrides, Overrides

Method = Callable[..., Any]

_NOTHING_STORED: Final = Stamp(0, 0, None)
"""Of flags that only a test has set: no stored definitions have this revision."""


@contextmanager
def replaced(flags: FlagOverrides) -> Iterator[None]:
    """Let `flags` decide, for as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, replacement in _REPLACEMENTS:
            patch.setattr(owner, name, replacement(getattr(owner, name), flags))
        yield


def _read_plain(real: Callable[..., FlagResult | None], flags: FlagOverrides) -> Method:
    def read_plain(reader: FlagReader, *arguments: Any) -> FlagResult | None:
        """Nothing, so that `read` is asked."""
        return None if flags.overrides else real(reader, *arguments)

    return read_plain


def _read(real: Callable[..., Flow[Result | None]], flags: FlagOverrides) -> Method:
    def read(
        reader: FlagReader, ctx: Any, key: Any, person: Person | None, fallback: str | None, track: bool | None
    ) -> Flow[Result | None]:
        """A flag that is set takes no look at the database, where there may be none."""
        overrides = flags.overrides
        if person is None or not isinstance(key, str) or overrides.find(key, person.distinct_id) is None:
            return (yield from real(reader, ctx, key, person, fallback, track))
        require_fallback(fallback)
        local = overlay(None, overrides)
        result = local.evaluate(key, person)
        if result.value is not None and reader.tracks(track):
            yield from reader.note(ctx, exposure_of(result, person, local))
        return result

    return read


def _sight(real: Callable[..., Flow[Sight]], flags: FlagOverrides) -> Method:
    def sight(reader: FlagReader, ctx: Any, fallback: str | None) -> Flow[Sight]:
        """The flags that the transaction sees, if any, with what is set over them; as if some were stored."""
        overrides = flags.overrides
        if not overrides:
            return (yield from real(reader, ctx, fallback))
        require_fallback(fallback)
        seen = yield from real(reader, ctx, REMOTE)  # no warning where nothing is stored
        return seen._replace(stamp=seen.stamp or _NOTHING_STORED, flags=overlay(seen.flags, overrides))

    return sight


def _view(real: Callable[..., Flow[Sight]], flags: FlagOverrides) -> Method:
    def view(cache: FlagCache, handle: Any) -> Flow[Sight]:
        """The same, but that neither the tables nor, without a handle, a database need be there."""
        if not flags.overrides:
            return (yield from real(cache, handle))
        if handle is not None:
            there = cache.fresh() is not None or (yield from _is_there(cache, handle))
            return (yield from real(cache, handle)) if there else Sight(None, None)
        with suppress(TablesMissing, ConfigurationError):
            return (yield from real(cache, None))
        return Sight(None, None)

    return view


def _is_there(cache: FlagCache, handle: Any) -> Flow[bool]:
    """Whether there is a table of definitions. On PostgreSQL a look at one that is missing ends the transaction."""
    rows = yield Read(handle, Portable(ContentStatements(cache.tables).find_definitions, ()), ())
    return bool(rows[0][0])


def _answer(real: Callable[..., Flow[FlagsAnswer | None]], flags: FlagOverrides) -> Method:
    def answer(reader: FlagReader, person: Person | None, keys: Sequence[str] | None) -> Flow[FlagsAnswer | None]:
        """PostHog is asked only for flags that are not set; where all are wanted, those that are set are all."""
        overrides = flags.overrides
        if person is None or not overrides:
            return (yield from real(reader, person, keys))
        known = _remote_flags(overrides, person, keys)
        others = [key for key in keys or () if key not in known]
        asked = (yield from real(reader, person, others)) if others else None
        given = asked or FlagsAnswer()
        return replace(given, flags={**given.flags, **known})

    return answer


def _remote_flags(overrides: Overrides, person: Person, keys: Sequence[str] | None) -> Mapping[str, RemoteFlag]:
    found = {key: overrides.find(key, person.distinct_id) for key in (overrides.keys if keys is None else keys)}
    return {key: to_remote_flag(key, one) for key, one in found.items() if one is not None}


_REPLACEMENTS: Final[tuple[tuple[type, str, Callable[[Any, FlagOverrides], Method]], ...]] = (
    (FlagReader, "read_plain", _read_plain),
    (FlagReader, "read", _read),
    (FlagReader, "sight", _sight),
    (FlagReader, "answer", _answer),
    (FlagCache, "view", _view),
)
