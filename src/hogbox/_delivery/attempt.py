"""Attempts: which request of capture v1 a batch was in before, so that a repeat can say so (wire protocol 4.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hogbox._delivery.batch import Waiting
from hogbox._wire.batch import RequestIdentity

MOST_REMEMBERED: Final = 100_000
"""Events that are remembered. Beyond that all are forgotten: a repeat then counts as a new request."""


@dataclass(slots=True, eq=False)
class _Request:
    identity: RequestIdentity


class Attempts:
    """The requests of one worker whose events are not settled yet. Guard it with a lock."""

    def __init__(self) -> None:
        self._requests: dict[int, _Request] = {}

    def requests_of(self, rows: Iterable[Waiting]) -> Mapping[int, object]:
        """By event, the request that it was in last; without the events that were in none."""
        known = self._requests
        return {row.id: known[row.id] for row in rows if row.id in known} if known else {}

    def begin(self, rows: Sequence[Waiting], new: Callable[[], RequestIdentity]) -> RequestIdentity:
        """The identity of the request that is about to be made.

        It is another attempt of the request that all of these were in last, or else the one that `new` makes.
        """
        last = self._requests.get(rows[0].id)
        if last is not None and all(self._requests.get(row.id) is last for row in rows):
            last.identity = last.identity._replace(attempt=last.identity.attempt + 1)
            return last.identity
        if len(self._requests) + len(rows) > MOST_REMEMBERED:
            self._requests.clear()
        request = _Request(new())
        self._requests.update(dict.fromkeys((row.id for row in rows), request))
        return request.identity

    def forget(self, ids: Iterable[int]) -> None:
        """These events are settled, or gone."""
        if self._requests:
            for one in ids:
                self._requests.pop(one, None)
