"""Searches a text for a pattern in time linear in both: all ways through the pattern at once.

Thompson's construction; a set of states is the bits of an integer, and the sets that were met are kept as
rows of a table, which grows as texts need it (a lazy deterministic automaton). What is in the table never
changes, and each entry is the same whoever adds it: threads may share an automaton.
"""

from __future__ import annotations

import re
from typing import Final

from hogbox.flags._pattern.tree import Anchor, Character, Choice, Concatenation, Node, Repeat, UnsupportedPatternError

WORK: Final = 50_000
"""The states times characters that one search may cost: some 10 ms at worst, 2 ms for a text of a usual kind.
"""

_MOST_STATES = 400
_MOST_ENTRIES = 20_000
_ACCEPT = 0


class Automaton:
    """A pattern, ready to be searched for."""

    def __init__(self, root: Node) -> None:
        """Raises UnsupportedPatternError where the pattern unfolds into too many states."""
        self._states = _States()
        start = self._states.add(root, _ACCEPT)
        self._longest = WORK // len(self._states.leads)
        self._restart = self._states.reach(start)
        self._ends = self._states.accepting_ends()
        self._matches_empty = bool(self._states.reach(start, at_start=True, at_end=True) & 1)
        self._rows: dict[int, _TransitionRow] = {}
        self._room = _MOST_ENTRIES
        self._first = self.row(self._states.reach(start, at_start=True))

    def search(self, text: str) -> bool | None:
        """Whether the pattern occurs in the text; None where finding out could take too long."""
        if not text:
            return self._matches_empty
        if len(text) > self._longest:
            return None
        row = self._first
        if row.accepts:
            return True
        for character in text:
            row = row[character]
            if row.accepts:
                return True
        return bool(row.states & self._ends)

    def row(self, states: int) -> _TransitionRow:
        """The row of a set of states, new if there is none yet."""
        row = self._rows.get(states)
        if row is None:
            row = _TransitionRow(self, states)
            if self._room > 0:
                self._rows[states] = row
        return row

    def step(self, states: int, character: str) -> _TransitionRow:
        """The row of where `character` leads; a search may begin anywhere, so the start is always added."""
        return self.row(self._states.after(states & self._states.taking(character)) | self._restart)

    def has_room(self) -> bool:
        """Whether one more entry may be kept; counts it."""
        self._room -= 1
        return self._room >= 0


class _TransitionRow(dict[str, "_TransitionRow"]):
    """Where each character leads from a set of states: looked up, or found out and kept."""

    __slots__ = ("accepts", "automaton", "states")

    def __init__(self, automaton: Automaton, states: int) -> None:
        super().__init__()
        self.automaton = automaton
        self.states = states
        self.accepts = bool(states & 1)

    def __missing__(self, character: str) -> _TransitionRow:
        row = self.automaton.step(self.states, character)
        if self.automaton.has_room():
            self[character] = row
        return row


class _States:
    """The states of a pattern: which character each takes, and where it leads. State 0 accepts."""

    def __init__(self) -> None:
        self.leads: list[tuple[int, ...]] = [()]
        self._anchors: dict[int, bool] = {}
        self._literals: dict[str, int] = {}
        self._classes: dict[re.Pattern[str], int] = {}
        self._consuming = 1
        self._taking: dict[str, int] = {}
        self._after: dict[int, int] = {}

    def add(self, node: Node, target: int) -> int:
        """Adds the states of a node that leads to `target`; returns where it begins."""
        if isinstance(node, Character):
            return self._add_character(node.source, target)
        if isinstance(node, Anchor):
            state = self._new(target)
            self._anchors[state] = node.at_end
            return state
        if isinstance(node, Concatenation):
            for part in reversed(node.nodes):
                target = self.add(part, target)
            return target
        if isinstance(node, Choice):
            return self._new(*[self.add(branch, target) for branch in node.nodes])
        return self._add_repeat(node, target)

    def _new(self, *targets: int) -> int:
        if len(self.leads) >= _MOST_STATES:
            raise UnsupportedPatternError(f"it unfolds into more than {_MOST_STATES} states")
        self.leads.append(targets)
        return len(self.leads) - 1

    def _add_character(self, source: str, target: int) -> int:
        state = self._new(target)
        self._consuming |= 1 << state
        if len(source) == 1 and source != ".":
            self._literals[source] = self._literals.get(source, 0) | 1 << state
        else:
            compiled = re.compile(source)
            self._classes[compiled] = self._classes.get(compiled, 0) | 1 << state
        return state

    def _add_repeat(self, node: Repeat, target: int) -> int:
        if node.high is None:
            loop = self._new()
            self.leads[loop] = (self.add(node.node, loop), target)
            begin = loop
        else:
            begin = target
            for _ in range(node.high - node.low):
                begin = self._new(self.add(node.node, begin), target)
        for _ in range(node.low):
            begin = self.add(node.node, begin)
        return begin

    def reach(self, state: int, *, at_start: bool = False, at_end: bool = False) -> int:
        """The states that `state` stands for, as bits: through those that take nothing, and anchors that
        hold.

        An end anchor that does not hold yet stays among them, for `accepting_ends`.
        """
        seen, waiting = 0, [state]
        while waiting:
            state = waiting.pop()
            if seen >> state & 1:
                continue
            seen |= 1 << state
            anchor = self._anchors.get(state)
            holds = at_end if anchor else at_start if anchor is False else not self._consuming >> state & 1
            if holds:
                waiting.extend(self.leads[state])
        return seen

    def taking(self, character: str) -> int:
        """The states that take this character, as bits."""
        states = self._taking.get(character)
        if states is None:
            states = self._literals.get(character, 0)
            for source, bits in self._classes.items():
                if source.fullmatch(character):
                    states |= bits
            if len(self._taking) < _MOST_ENTRIES:
                self._taking[character] = states
        return states

    def after(self, states: int) -> int:
        """Where these states lead once each has taken a character, as bits: never the start of the text."""
        reached = 0
        while states:
            lowest = states & -states
            states ^= lowest
            reach = self._after.get(lowest)
            if reach is None:
                (target,) = self.leads[lowest.bit_length() - 1]
                reach = self._after[lowest] = self.reach(target)
            reached |= reach
        return reached

    def accepting_ends(self) -> int:
        """The end anchors that lead to a match at the end of the text, as bits."""
        return sum(
            1 << state for state, at_end in self._anchors.items() if at_end and self.reach(state, at_end=True) & 1
        )
