"""Changes: what differs between two states of the flags, for those who react to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hogbox._client.local_flags import FlagState, changed_keys, no_flags
from hogbox.flags import FlagResult
from hogbox.flags._result import comparable


@dataclass(frozen=True, slots=True)
class FlagChanges:
    """What differs between two revisions of the definitions. Revisions in between are not reported separately."""

    added: tuple[str, ...]
    """The keys of the flags that are new."""

    removed: tuple[str, ...]
    """The keys of the flags that are gone."""

    changed: tuple[str, ...]
    """The keys of the flags that are defined differently: all flags, where what they share differs, such as cohorts."""

    old_revision: int | None
    """The revision before; None where nothing was stored."""

    new_revision: int | None
    """The revision now; None where nothing is stored any more."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all these flags."""
        return (*self.added, *self.removed, *self.changed)


FlagChanges.__module__ = "hogbox"


@dataclass(frozen=True, slots=True)
class FlagResultChange:
    """A flag's result for one person before and after it changed."""

    key: str
    """The flag's key."""

    distinct_id: str
    """Whose result."""

    old: FlagResult
    """The result before; an inconclusive one too."""

    new: FlagResult
    """The result now."""

    revision: int | None
    """The revision of the definitions now; None where nothing is stored."""


FlagResultChange.__module__ = "hogbox"


class FlagTracker:
    """Compares each state with the one before. What can't be read is passed over.

    Arguments:
        known: The first state, if it is known already.
    """

    def __init__(self, known: FlagState | None) -> None:
        self._known = known if known is not None and known.readable else None

    @property
    def known(self) -> bool:
        """Whether there is a state to compare with."""
        return self._known is not None

    def see(self, state: FlagState) -> FlagChanges | None:
        """What has changed since the state that was seen before; None where nothing has."""
        if not state.readable:
            return None
        known, self._known = self._known, state
        return None if known is None else changes_between(known, state)


def changes_between(old: FlagState, new: FlagState) -> FlagChanges | None:
    """What differs between two states that are readable; None where no flag does."""
    if old.flags is new.flags:
        return None
    earlier, later = old.flags or no_flags(), new.flags or no_flags()
    keys = changed_keys(earlier, later) if old.flags and new.flags else (*later.keys, *earlier.keys)
    before, now = earlier.definitions, later.definitions
    if not keys:
        return None
    return FlagChanges(
        added=tuple(key for key in keys if key not in before),
        removed=tuple(key for key in keys if key not in now),
        changed=tuple(key for key in keys if key in before and key in now),
        old_revision=old.revision,
        new_revision=new.revision,
    )


def is_same_answer(one: FlagResult, other: FlagResult) -> bool:
    """Whether both give the same value and payload, whatever the reason."""
    return _answer(one) == _answer(other)


def _answer(result: FlagResult) -> tuple[Any, ...]:
    return result.conclusive, comparable(result.value), comparable(result.payload)
