"""Stamp: the data of a capture, stored on the exception, so that a second capture of the same raise is the same event.

The stamp is stored in the exception's own `__dict__`, read and written without any code of its class. To the rest of
the program it is a plain string, the event's uuid: an exception with a stamp can be pickled, copied and shown as JSON
without hogbox.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from itertools import takewhile
from types import FrameType, TracebackType
from typing import Any, Final, TypeGuard

_NAME: Final = "__hogbox_stamp__"

_MOST_CALLERS: Final = 1000
"""The most frames that are remembered of a capture's stack."""

_TRACEBACK: Final = vars(BaseException)["__traceback__"]
_DICT: Final = vars(BaseException)["__dict__"]


class Stamp(str):
    """The uuid, timestamp and distinct id of an exception's capture, and where its propagation was at that time."""

    timestamp: str
    distinct_id: str
    personless: bool
    """Whether the distinct id was generated because none was known."""
    traceback: TracebackType | None
    """Its outermost entry at the last capture: held, so that no later entry can be mistaken for it."""
    earlier: TracebackType | None
    """The entry at which an earlier raise of the same object begins."""
    callers: Mapping[tuple[int, int], int]
    """The frames through which it can go on from there, each with its distance. Not held: their locals are large."""
    context: weakref.ref[Any] | None

    @property
    def uuid(self) -> str:
        """The event's uuid."""
        return str(self)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def make_stamp(uuid: str, timestamp: str, distinct_id: str, *, personless: bool) -> Stamp:
    """The stamp of an event."""
    stamp = Stamp(uuid)
    stamp.timestamp, stamp.distinct_id, stamp.personless = timestamp, distinct_id, personless
    return stamp


def find_stamp(error: BaseException, context: object) -> Stamp | None:
    """The stamp of an earlier capture of the same raise; None if there is none, or the exception was raised again.

    An exception without a traceback was not raised, and its captures can't be distinguished: each is an event. An
    exception that is captured first and raised later counts as captured once.
    """
    stamp, traceback = _kept(error), traceback_of(error)
    if stamp is None or traceback is None:
        return None
    return stamp if stamp.traceback is None or _goes_on(stamp, traceback, context) else None


def put_stamp(error: BaseException, stamp: Stamp, context: object) -> None:
    """Store the stamp on the exception, for its current traceback and request context (None: outside of any)."""
    kept = make_stamp(stamp.uuid, stamp.timestamp, stamp.distinct_id, personless=stamp.personless)
    before = _kept(error)
    kept.earlier = None if before is None else before.earlier if before == stamp else before.traceback
    kept.traceback = traceback_of(error)
    kept.callers = _callers(kept.traceback)
    kept.context = None if context is None else weakref.ref(context)
    _dict(error)[_NAME] = kept


def is_exception(thing: object) -> TypeGuard[BaseException]:
    """By the real type: an object's `__class__` may be wrong, or raise."""
    return issubclass(type(thing), BaseException)


def traceback_of(error: BaseException) -> TracebackType | None:
    """Python's own traceback of an exception, even if its class overrides the attribute."""
    found: TracebackType | None = _TRACEBACK.__get__(error)
    return found


def _kept(error: BaseException) -> Stamp | None:
    stamp = _dict(error).get(_NAME)
    return stamp if type(stamp) is Stamp else None


def _dict(error: BaseException) -> dict[str, Any]:
    found: dict[str, Any] = _DICT.__get__(error)
    return found


def _goes_on(stamp: Stamp, traceback: TracebackType, context: object) -> bool:
    """Whether an exception with this traceback is still propagating from the place where the stamp was made.

    Python adds an entry at the front for each frame that the exception leaves, and keeps the old entries when the same
    object is raised again. So the entries added since decide: if they are the callers of the stamp's frame, in order,
    it is the same raise. An exception that is passed between threads or tasks of one request continues in other frames,
    but not through an instruction that it passed before.
    """
    added = _added(traceback, stamp.traceback)
    if added is None:
        return False
    if _climbs(added, stamp):
        return True
    if context is None or stamp.context is None or stamp.context() is not context:
        return False
    known = {
        _instruction(entry) for entry in takewhile(lambda one: one is not stamp.earlier, _entries(stamp.traceback))
    }
    return known.isdisjoint(map(_instruction, added))


def _added(traceback: TracebackType, earlier: TracebackType | None) -> list[TracebackType] | None:
    """The entries before an earlier one, the oldest first; None where the earlier one is not among them."""
    added: list[TracebackType] = []
    for entry in _entries(traceback):
        if entry is earlier:
            return added[::-1]
        added.append(entry)
    return None


def _climbs(added: list[TracebackType], stamp: Stamp) -> bool:
    """Whether each entry is of a frame that called the one before, or is the same one further on (`raise error`)."""
    distance, instruction = 0, stamp.traceback.tb_lasti if stamp.traceback else -1
    for entry in added:
        found = stamp.callers.get(_identity(entry.tb_frame), -1)
        if found < distance or (found == distance and entry.tb_lasti == instruction):
            return False
        distance, instruction = found, entry.tb_lasti
    return True


def _callers(traceback: TracebackType | None) -> Mapping[tuple[int, int], int]:
    callers: dict[tuple[int, int], int] = {}
    frame = None if traceback is None else traceback.tb_frame
    while frame is not None and len(callers) < _MOST_CALLERS:
        # Without a call for each: a stack of an application has a hundred frames.
        callers[id(frame), id(frame.f_code)] = len(callers)
        frame = frame.f_back
    return callers


def _identity(frame: FrameType) -> tuple[int, int]:
    """A frame by its address and its code: addresses are used again once a frame has gone."""
    return id(frame), id(frame.f_code)


def _instruction(entry: TracebackType) -> tuple[int, int]:
    return id(entry.tb_frame.f_code), entry.tb_lasti


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
