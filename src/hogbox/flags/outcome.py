"""Three values: True (match), False (no match), or the `Reason` why that is unknown; joined by Kleene."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from hogbox.flags.reason import Reason, stronger

Outcome: TypeAlias = bool | Reason


def all_of(outcomes: Iterable[Outcome]) -> Outcome:
    """False as soon as one is False, else unknown if one is unknown, else True."""
    unknown: Reason | None = None
    for outcome in outcomes:
        if outcome is False:
            return False
        if outcome is not True:
            unknown = stronger(unknown, outcome)
    return True if unknown is None else unknown


def opposite(outcome: Outcome) -> Outcome:
    """True for False, False for True; what is unknown stays so."""
    return (not outcome) if isinstance(outcome, bool) else outcome
