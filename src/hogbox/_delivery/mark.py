"""Up to which id no transaction can commit an event any more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

_PREPARED: Final = "-1/"
"""How the name of a transaction begins that was prepared for a commit in two phases."""


@dataclass(frozen=True, slots=True)
class WriterWatch:
    """The ids up to `last` were handed out before it was asked who writes; `writers` of those have not ended yet.

    While a transaction holds an id that it has taken it is among the writers: once these have ended the ids are closed.
    """

    last: int
    writers: frozenset[str]

    @property
    def closed(self) -> bool:
        """Whether no transaction can commit an event with such an id any more."""
        return not self.writers

    def look(self, writers: Collection[str]) -> WriterWatch:
        """The same after it was asked again who writes.

        A transaction that is prepared goes on under another name. Where one has left, each that is prepared now may be
        it.
        """
        left = self.writers.intersection(writers)
        if all(name.startswith(_PREPARED) for name in self.writers - left):
            return WriterWatch(self.last, left)
        return WriterWatch(self.last, left | {name for name in writers if name.startswith(_PREPARED)})
