"""Condition: a state that the log mentions when it begins and when it is over, however often it is met in between."""

from __future__ import annotations

from typing import Final

OVER_AFTER: Final = 10.0
"""Seconds without a failure after which something that comes and goes counts as well again: a flapping server or
database would fill the log otherwise."""

MOST_KEYS: Final = 1000
"""Keys that the log mentions one by one: a project has hundreds of flags, and a log is not to be filled with them."""


class Condition:
    """Whether something is the case. Times are seconds on one monotonic clock.

    `over_after`: how long it must not have been met before it counts as over.
    """

    __slots__ = ("_met_at", "_over_after", "_what", "since")

    def __init__(self, over_after: float = 0.0) -> None:
        self._over_after = over_after
        self._what: object = None
        self._met_at = 0.0
        self.since: float | None = None
        """When it began; None while it is not the case."""

    def begin(self, now: float = 0.0, what: object = None) -> bool:
        """It is the case now. Returns whether that is news: it was not, or `what` is the case differs from before."""
        news = self.since is None or what != self._what
        if self.since is None:
            self.since = now
        self._met_at, self._what = now, what
        return news

    def end(self, now: float = 0.0) -> bool:
        """It is not met now. Returns whether it is over by that, and had begun."""
        if self.since is None or now - self._met_at < self._over_after:
            return False
        self.since = None
        return True


class OnceEach:
    """Whether something is met for the first time, for each key. Of too many keys, further ones are not new."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: set[str] = set()

    def begin(self, key: str) -> bool:
        """It is met with this key now. Returns whether that is news."""
        if key in self._known or len(self._known) >= MOST_KEYS:
            return False
        self._known.add(key)
        return True
