"""Which flags to decide before a flag that depends on them, without recursion (section 11)."""

from __future__ import annotations

from collections.abc import Callable

from hogbox.flags.flag import Flag
from hogbox.flags.graph import GraphTooLargeError, order

_MOST_FLAGS = 200
"""A flag that leads to more is left to the service."""


def prerequisites(flag: Flag, flag_of: Callable[[str], Flag]) -> tuple[str, ...]:
    """The keys of the flags to decide first, in order.

    Marks the dependencies that are part of a loop as unsettled, those of the flags on the way too. Whoever
    marks them marks the same ones, so it does not matter who comes first.
    """
    try:
        reachable = order(flag.key, lambda key: flag_of(key).targets, _MOST_FLAGS)
    except GraphTooLargeError:
        for item in flag.dependencies:
            item.unsettled = True
        return ()
    for key in reachable.nodes:
        for item in flag_of(key).dependencies:
            if item.target is not None and reachable.same_loop(key, item.target):
                item.unsettled = True
    return reachable.nodes[:-1]
