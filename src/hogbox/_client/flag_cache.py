"""Flag cache: the flags that a process knows, compared with the database at most once per max age (P6).

    fresh?  -> the flags that all share, without a query or a lock
    else    -> read the stamp (revision, time, ETag) on the caller's handle
               -> known? -> the flags compiled before -> else read the text, and compile

What a transaction sees and others may not (an older snapshot, a change of its own that is not committed) is served to
its own handle only. It becomes what all share as soon as a second handle sees it too, or the same one a max age later.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

from hogbox._client.effect import Compute, Flow, Read
from hogbox._client.local_flags import KnownFlags, LocalFlags
from hogbox._store.definition import PROJECT, DefinitionStatements
from hogbox._store.handles.portable import Portable, Rows
from hogbox._store.schema.table import Tables
from hogbox.errors import DefinitionsError
from hogbox.flags import FlagSet

log = logging.getLogger("hogbox")

_KEPT: Final = 4
"""Revisions whose compiled flags are kept."""

_FORGOTTEN: Final = 60.0
"""Seconds after which nobody is expected to see a revision again: an older one then counts as the newer."""


class DefinitionsStamp(NamedTuple):
    """Tells definitions apart: a revision that was rolled back and another with its number differ in time."""

    revision: int
    fetched_at: int
    etag: str | None


F = TypeVar("F", bound=KnownFlags, covariant=True)


class Sight(NamedTuple, Generic[F]):
    """What a transaction sees: nothing stored (no stamp), what can't be read (no flags), or flags."""

    stamp: DefinitionsStamp | None
    flags: F | None
    digest: bytes = b""
    final: bool = False
    """Whether PostHog is not asked for what these flags leave open."""


class _Handle:
    """Recognises a handle without keeping it open; by its address alone where Python can't refer to it weakly."""

    __slots__ = ("_address", "_reference")

    def __init__(self, handle: object) -> None:
        self._address = id(handle)
        try:
            self._reference: Callable[[], object] | None = weakref.ref(handle)
        except TypeError:
            self._reference = None

    def is_(self, handle: object) -> bool:
        """Whether it is this one."""
        return self._reference() is handle if self._reference else self._address == id(handle)


class _Private(NamedTuple):
    """What only this handle is served, up to a moment."""

    handle: _Handle
    sight: Sight[LocalFlags]
    until: float


class _Doubt(NamedTuple):
    """A sight that is not everybody's yet: whose it was first, and since when."""

    stamp: DefinitionsStamp | None
    handle: _Handle
    since: float


class FlagCache:
    """The flags of one project, for all threads of a process. Survives a fork."""

    def __init__(
        self,
        tables: Tables,
        project: str,
        timezone: str,
        max_age: float,
        contexts: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        statements = tables.once(DefinitionStatements)
        self.tables = tables
        self._project = (project,)
        self._timezone = timezone
        self._contexts = contexts
        self._max_age = max_age
        self._clock = clock
        self._read_stamp = Portable(statements.read_stamp, PROJECT)
        self._read_text = Portable(statements.read_text, PROJECT)
        self._current: Sight[LocalFlags] | None = None
        self._check_at = float("-inf")
        self._seen_at = 0.0
        self._doubt: _Doubt | None = None
        self._privates: dict[int, _Private] = {}
        self._recent: OrderedDict[DefinitionsStamp, Sight[LocalFlags]] = OrderedDict()
        self._lock = threading.Lock()
        self._process = os.getpid()

    def fresh(self) -> FlagSet | None:
        """The flags that all share, where no query is needed to tell; `view` for everybody else."""
        if self._clock() < self._check_at and not self._privates:
            current = self._current
            if current is not None and current.flags is not None:
                return current.flags.whole
        return None

    @property
    def current(self) -> Sight[LocalFlags] | None:
        """The flags that all share, of whatever age; None before the first look."""
        return self._current

    def look(self) -> Flow[Sight[LocalFlags]]:
        """What is committed now, whatever the age of what is known."""
        return self._look(None, self._clock())

    def stored(self, handle: Any) -> Flow[Rows]:
        """The row of the definitions that this handle's transaction sees; none where nothing is stored."""
        rows: Rows = yield Read(handle, self._read_text, self._project)
        return rows

    def view(self, handle: Any) -> Flow[Sight[LocalFlags]]:
        """What this handle's transaction (None: a committed one) sees, or saw at most a max age ago.

        Raises UnsupportedHandle, TablesError, or what the database raises.
        """
        now = self._clock()
        current = self._current
        if now < self._check_at and current is not None and not self._privates:
            return current
        private = self._privates.get(id(handle))
        if private is not None and private.handle.is_(handle):
            if now < private.until:
                return private.sight
        elif current is not None and not self._claim(now):
            return current
        return (yield from self._look(handle, now))

    def _claim(self, now: float) -> bool:
        """Whether this call is the one that looks; others are served what is known meanwhile."""
        if now < self._check_at:
            return False
        with self._own_lock():
            if now < self._check_at:
                return False
            self._check_at = now + self._max_age
            return True

    def _own_lock(self) -> threading.Lock:
        if self._process != os.getpid():
            # In a child of fork the lock may have been left locked by a thread that is not there.
            self._lock, self._process = threading.Lock(), os.getpid()
        return self._lock

    def _look(self, handle: Any, now: float) -> Flow[Sight[LocalFlags]]:
        try:
            sight = yield from self._read(handle)
        except BaseException:
            self._check_at = float("-inf")
            raise
        if self._is_everybodys(sight, handle, now):
            self._share(sight, handle, now)
        else:
            with self._own_lock():
                self._privates[id(handle)] = _Private(_Handle(handle), sight, now + self._max_age)
            # Whether others see it too is for others to say: the next of them looks at once.
            self._check_at = float("-inf")
        return sight

    def _share(self, sight: Sight[LocalFlags], handle: Any, now: float) -> None:
        self._current = sight
        self._seen_at = now
        if self._doubt is not None and self._doubt.stamp == sight.stamp:
            self._doubt = None
        if self._privates:
            with self._own_lock():
                self._privates.pop(id(handle), None)
                self._privates = {
                    key: one
                    for key, one in self._privates.items()
                    if now < one.until and one.sight.stamp != sight.stamp
                }
        self._check_at = now + self._max_age

    def _is_everybodys(self, sight: Sight[LocalFlags], handle: Any, now: float) -> bool:
        """Whether what this handle sees is certain to be committed, and no older than what is known."""
        known = self._current
        if handle is None or (known is not None and known.stamp == sight.stamp):
            return True
        if known is not None and sight.flags is not None and sight.flags is known.flags:
            return True  # the same text, fetched anew
        if known is not None and _is_older(sight.stamp, known.stamp):
            return now - self._seen_at > _FORGOTTEN
        doubt = self._doubt
        if doubt is not None and doubt.stamp == sight.stamp:
            return not doubt.handle.is_(handle) or now - doubt.since >= self._max_age
        self._doubt = _Doubt(sight.stamp, _Handle(handle), now)
        return False

    def _read(self, handle: Any) -> Flow[Sight[LocalFlags]]:
        rows = yield Read(handle, self._read_stamp, self._project)
        if not rows:
            return Sight(None, None)
        known = self._recent.get(DefinitionsStamp(*rows[0]))
        if known is not None:
            return known
        rows = yield Read(handle, self._read_text, self._project)
        if not rows:
            return Sight(None, None)
        *stamp, data = rows[0]
        sight: Sight[LocalFlags] = yield Compute(partial(self._remember, DefinitionsStamp(*stamp), data))
        return sight

    def _remember(self, stamp: DefinitionsStamp, data: str | bytes) -> Sight[LocalFlags]:
        text = data.decode() if isinstance(data, bytes) else data
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        same = next((sight for sight in list(self._recent.values()) if sight.digest == digest), None)
        sight = Sight(stamp, same.flags if same else self._parse(stamp, text), digest)
        with self._own_lock():
            self._recent[stamp] = sight
            while len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        return sight

    def _parse(self, stamp: DefinitionsStamp, text: str) -> LocalFlags | None:
        try:
            return LocalFlags.parse(text, self._timezone, self._contexts)
        except DefinitionsError as error:
            log.warning("the stored flag definitions (revision %d) can't be read: %s", stamp.revision, error)
            return None


def _is_older(one: DefinitionsStamp | None, other: DefinitionsStamp | None) -> bool:
    return other is not None and (one is None or one.revision < other.revision)
