"""Which things lead to which, for cohorts and flags that refer to one another: without recursion, within a
limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class GraphTooLargeError(Exception):
    """More nodes can be reached than the limit allows."""


class Reachable(NamedTuple):
    """What can be reached from a node."""

    nodes: tuple[str, ...]
    """Each after all that it leads to, as far as there are no loops; the starting node is last."""

    components: dict[str, int]
    """Nodes with the same number lead to one another."""

    looping: frozenset[str]
    """The nodes that lead back to themselves."""

    def loops(self, node: str) -> bool:
        """Whether a node leads back to itself."""
        return node in self.looping

    def same_loop(self, one: str, other: str) -> bool:
        """Whether a step from one to the other is part of a loop."""
        return self.components[one] == self.components.get(other)


def order(start: str, leads_to: Callable[[str], Iterable[str]], limit: int) -> Reachable:
    """Tarjan's strongly connected components of what `start` reaches; raises GraphTooLargeError past `limit`
    nodes.
    """
    search = _ComponentSearch(leads_to, limit)
    search.run(start)
    return Reachable(tuple(search.nodes), search.components, frozenset(search.looping))


class _ComponentSearch:
    def __init__(self, leads_to: Callable[[str], Iterable[str]], limit: int) -> None:
        self._leads_to = leads_to
        self._limit = limit
        self._index: dict[str, int] = {}
        self._low: dict[str, int] = {}
        self._open: list[str] = []
        self.nodes: list[str] = []
        self.components: dict[str, int] = {}
        self.looping: set[str] = set()

    def run(self, start: str) -> None:
        path = [(start, self._enter(start))]
        while path:
            node, successors = path[-1]
            fresh = self._advance(node, successors)
            if fresh is not None:
                path.append((fresh, self._enter(fresh)))
                continue
            path.pop()
            self._leave(node)
            if path:
                parent = path[-1][0]
                self._low[parent] = min(self._low[parent], self._low[node])

    def _enter(self, node: str) -> list[str]:
        if len(self._index) >= self._limit:
            raise GraphTooLargeError(node)
        self._index[node] = self._low[node] = len(self._index)
        self._open.append(node)
        successors = list(self._leads_to(node))
        if node in successors:
            self.looping.add(node)
        return successors

    def _advance(self, node: str, successors: list[str]) -> str | None:
        """The next successor that was not visited yet, noting those that are still open."""
        while successors:
            successor = successors.pop()
            if successor not in self._index:
                return successor
            if successor not in self.components:
                self._low[node] = min(self._low[node], self._index[successor])
        return None

    def _leave(self, node: str) -> None:
        self.nodes.append(node)
        if self._low[node] != self._index[node]:
            return
        place = self._open.index(node)
        members, self._open[place:] = self._open[place:], []
        for member in members:
            self.components[member] = self._index[node]
        if len(members) > 1:
            self.looping.update(members)
