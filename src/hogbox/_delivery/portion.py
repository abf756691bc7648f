"""How many events a read asks for: payloads beyond the limit of bytes would be read in vain."""

from __future__ import annotations

from typing import Final

_LEAST: Final = 8
_ROOM: Final = 2
"""Times the events that fit, as far as is known: their sizes differ."""

_GROWTH: Final = 4


class Portion:
    """Follows the sizes of the events that were read. Threads may share it: a lost change is made up for later."""

    def __init__(self, average: float, size: int) -> None:
        """For events of this average size and reads of at most `size` bytes."""
        self._events = max(_LEAST, _ROOM * int(size / max(average, 1.0)))

    def ask(self, events: int) -> int:
        """How many events to ask for, where as many would be wanted."""
        return min(events, self._events)

    def note(self, asked: int, events: int, *, cut: bool) -> None:
        """What came of it: so many events, and whether the limit of bytes cut them."""
        if cut:
            self._events = max(_LEAST, _ROOM * events)
        elif events >= asked:
            self._events = max(self._events, _GROWTH * asked)
