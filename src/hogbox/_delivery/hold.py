"""Projects held back because PostHog refuses their token: one try now and then, by one sender."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Hold:
    attempt: int
    until: float


class Holds:
    """The projects that a worker holds back. Times are seconds on one monotonic clock. Guard it with a lock."""

    def __init__(self) -> None:
        self._holds: dict[str, _Hold] = {}

    def held(self, now: float) -> frozenset[str]:
        """The projects to leave alone at this moment."""
        return frozenset(project for project, hold in self._holds.items() if hold.until > now)

    def may_try(self, project: str, now: float, patience: float) -> bool:
        """Whether to send for the project. After a hold one caller may; others only `patience` seconds later."""
        hold = self._holds.get(project)
        if hold is None:
            return True
        if hold.until > now:
            return False
        hold.until = now + patience
        return True

    def attempts(self, project: str) -> int:
        """How often in a row the project was refused."""
        hold = self._holds.get(project)
        return hold.attempt if hold else 0

    def refuse(self, project: str, until: float) -> None:
        """Hold the project back, up to this moment."""
        self._holds[project] = _Hold(self.attempts(project) + 1, until)

    def accept(self, project: str) -> bool:
        """Let the project go; whether it was held."""
        return self._holds.pop(project, None) is not None
