"""How fast a worker settles events: a rate over the last minute."""

from __future__ import annotations

from collections import deque
from typing import Final

_WINDOW: Final = 60.0


class Throughput:
    """Counts what is settled. Times are seconds on one monotonic clock."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def per_minute(self, now: float, settled: int) -> int:
        """The events settled a minute, of late; `settled` is how many there are since the worker began.

        A worker that began less than a minute ago is judged by the time that it has had.
        """
        while len(self._seen) > 1 and self._seen[1][0] <= now - _WINDOW:
            self._seen.popleft()
        began, before = self._seen[0] if self._seen else (now, settled)
        self._seen.append((now, settled))
        return round((settled - before) * 60 / (now - began)) if now > began else 0
