"""Unanchored searches that cannot hang (section 9.4).

Python's `re` backtracks, so it only gets texts for which its worst case is known to be small; longer ones,
and patterns with quantifiers inside quantifiers, go to `automaton`, which is linear. Past its limit too:
unknown.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from hogbox.flags._pattern.automaton import Automaton
from hogbox.flags._pattern.tree import (
    Anchor,
    Character,
    Choice,
    Concatenation,
    Node,
    Pattern,
    Repeat,
    UnsupportedPatternError,
    unfolded,
)
from hogbox.flags._reason import Outcome, Reason
from hogbox.flags._value import Json, text_of

WORK: Final = 1_000_000
"""The steps that one search of Python's `re` may take: some 10 ms at worst."""

_LONGEST_TEXT: Final = 100_000

# How much slower the automaton goes than `re`.
_AUTOMATON_STEP: Final = 20

# Where Python's \s is not Rust's.
_PYTHON_SPACES = frozenset("\x1c\x1d\x1e\x1f")
_INFINITE = float("inf")


def search_of(pattern: Pattern) -> LiteralSearch | PatternSearch:
    """The cheapest way to search for the pattern."""
    return _literal(pattern) or PatternSearch(pattern)


@dataclass(frozen=True, slots=True)
class LiteralSearch:
    """A pattern of nothing but literal characters, with or without anchors: it needs no engine."""

    literal: str
    at_start: bool
    at_end: bool

    def __call__(self, seen: Json) -> bool:
        """Whether the literal is in a value's text, where the anchors want it."""
        text = text_of(seen)
        if self.at_start:
            return text == self.literal if self.at_end else text.startswith(self.literal)
        return text.endswith(self.literal) if self.at_end else self.literal in text


def _literal(pattern: Pattern) -> LiteralSearch | None:
    nodes = pattern.root.nodes if isinstance(pattern.root, Concatenation) else (pattern.root,)
    start = bool(nodes) and nodes[0] == Anchor(at_end=False)
    end = len(nodes) > start and nodes[-1] == Anchor(at_end=True)
    characters = [_character(node) for node in nodes[start : len(nodes) - end]]
    if None in characters:
        return None
    literal = "".join(character for character in characters if character is not None)
    return LiteralSearch(literal, start, end)


def _character(node: Node) -> str | None:
    """The one character that a node takes, if it is a literal that stands for itself."""
    if not isinstance(node, Character) or node.source == ".":
        return None
    if len(node.source) == 1:
        return node.source
    is_escaped_punctuation = len(node.source) == 2 and node.source[0] == "\\" and not node.source[1].isalnum()
    return node.source[1] if is_escaped_punctuation else None


class PatternSearch:
    """One pattern, on the engine that is fast and safe for the text at hand."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.costs = _safe_costs(pattern.root)
        """Growing lengths of texts that `re` may search, each with the most steps that it can take."""
        self._longest = self.costs[-1][0] if self.costs else 0
        self.expression = re.compile(_source(pattern.root)) if self._longest else None
        """The pattern for `re`; None where that could backtrack too much in any text."""
        self._automaton: Automaton | UnsupportedPatternError | None = None

    def __call__(self, seen: Json) -> Outcome:
        """Whether the pattern occurs in a value's text."""
        return self.decide(text_of(seen))

    def cost(self, length: int) -> int:
        """The most steps that a text of this length can take."""
        place = bisect_left(self.costs, (length, 0))
        if place < len(self.costs):
            return self.costs[place][1]
        return min(_AUTOMATON_STEP * unfolded(self.pattern.root) * length, WORK)

    def decide(self, text: str) -> Outcome:
        """Whether the pattern occurs; unknown where the engines differ or the search could take too long."""
        if len(text) > _LONGEST_TEXT or not self._agrees(text):
            return Reason.UNSUPPORTED_DEFINITION
        if self.expression and len(text) <= self._longest:
            return self.expression.search(text) is not None
        found = self._search_linearly(text)
        return Reason.UNSUPPORTED_DEFINITION if found is None else found

    def _agrees(self, text: str) -> bool:
        """Whether every shorthand means the same to Rust and Python for every character of the text."""
        if self.pattern.uses_space and not _PYTHON_SPACES.isdisjoint(text):
            return False
        if text.isascii():
            return True
        foreign = [character for character in set(text) if not character.isascii()]
        if any("\ud800" <= character <= "\udfff" for character in foreign):
            return False
        return not self.pattern.uses_word or all(character.isalpha() or character.isdecimal() for character in foreign)

    def _search_linearly(self, text: str) -> bool | None:
        automaton = self._automaton
        if automaton is None:
            try:
                automaton = Automaton(self.pattern.root)
            except UnsupportedPatternError as too_large:
                automaton = too_large
            self._automaton = automaton
        return automaton.search(text) if isinstance(automaton, Automaton) else None


def _source(node: Node) -> str:
    """The pattern in Python's words; only whether it matches is asked, so nothing is captured or lazy."""
    if isinstance(node, Character):
        return node.source
    if isinstance(node, Anchor):
        # Python's own $ also matches before a final newline.
        return r"\Z" if node.at_end else r"\A"
    if isinstance(node, Concatenation):
        return "".join([_source(part) for part in node.nodes])
    if isinstance(node, Choice):
        return f"(?:{'|'.join([_source(branch) for branch in node.nodes])})"
    high = "" if node.high is None else node.high
    return f"(?:{_source(node.node)}){{{node.low},{high}}}"


def _safe_costs(root: Node) -> list[tuple[int, int]]:
    """Growing lengths of texts, each with the most steps that `re` can take for one, up to WORK."""
    costs = []
    length = 16
    while length <= _LONGEST_TEXT and (steps := _steps(root, length)) <= WORK:
        costs.append((length, int(steps)))
        length += length // 2
    return costs


def _steps(root: Node, length: int) -> float:
    """An upper bound of what a failing search costs: every place to start, times every way through."""
    _, work = _ways(root, length)
    # Elsewhere than at the start of the text an anchored pattern fails at once.
    anchored = isinstance(root, Concatenation) and root.nodes[:1] == (Anchor(at_end=False),)
    return work + length if anchored else (length + 1) * work


def _ways(node: Node, length: int) -> tuple[float, float]:
    """In how many ways a node can match at one place of a text of `length`, and the steps to try them all."""
    if isinstance(node, Character | Anchor):
        return 1, 1
    if isinstance(node, Choice):
        parts = [_ways(branch, length) for branch in node.nodes]
        return sum(ways for ways, _ in parts), sum(work for _, work in parts) + 1
    if isinstance(node, Concatenation):
        ways, work = 1.0, 1.0
        for part in node.nodes:
            more, each = _ways(part, length)
            work += ways * each
            ways *= more
        return ways, work
    return _ways_of_repeat(node, length)


def _ways_of_repeat(node: Repeat, length: int) -> tuple[float, float]:
    ways, work = _ways(node.node, length)
    rounds = min(length, _INFINITE if node.high is None else node.high)
    if ways > 1 and rounds > 1:
        return _INFINITE, _INFINITE
    return rounds - min(node.low, rounds) + ways, (rounds + 1) * work
