"""regex and not_regex: an unanchored search that cannot hang (section 9.4).

Python's `re` backtracks, so it only gets texts for which its worst case is known to be small; longer ones,
and patterns with quantifiers inside quantifiers, go to `automaton`, which is linear. Past its limit too:
unknown.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from hogbox.flags.automaton import Automaton
from hogbox.flags.check import Check, Inline, negated, unsupported
from hogbox.flags.outcome import Outcome
from hogbox.flags.parser import parse
from hogbox.flags.pattern import (
    Anchor,
    Character,
    Choice,
    InvalidPatternError,
    Node,
    Pattern,
    Repeat,
    Sequence,
    UnsupportedPatternError,
    unfolded,
)
from hogbox.flags.reason import Reason
from hogbox.flags.value import Json, text_of

WORK: Final = 1_000_000
"""The steps that one search of Python's `re` may take: some 10 ms at worst."""

UNCOUNTED: Final = 20_000
"""A search that takes no more steps than these is not counted."""

_LONGEST_TEXT: Final = 100_000

# How much slower the automaton goes than `re`.
_AUTOMATON_STEP: Final = 20

# Where Python's \s is not Rust's.
_PYTHON_SPACES = frozenset("\x1c\x1d\x1e\x1f")
_INFINITE = float("inf")


def regex(operator_name: str, value: Json) -> Check:
    """regex or not_regex with the pattern `value`; an invalid pattern matches for neither."""
    try:
        pattern = parse(text_of(value))
    except InvalidPatternError as invalid:
        return Check(lambda _: False, problem=f"the pattern is invalid: {invalid}")
    except UnsupportedPatternError as unsupported_part:
        return unsupported(f"only the service's engine reads the pattern: {unsupported_part}")

    check = _literal(pattern) or Search(pattern).check()
    return check if operator_name == "regex" else negated(check)


def _literal(pattern: Pattern) -> Check | None:
    """A pattern of nothing but literal characters, with or without anchors, needs no engine."""
    nodes = pattern.root.nodes if isinstance(pattern.root, Sequence) else (pattern.root,)
    start = bool(nodes) and nodes[0] == Anchor(at_end=False)
    end = len(nodes) > start and nodes[-1] == Anchor(at_end=True)
    characters = [_character(node) for node in nodes[start : len(nodes) - end]]
    if None in characters:
        return None
    literal = "".join(character for character in characters if character is not None)
    expression = {
        (False, False): "{constant} in {value}",
        (True, False): "{value}.startswith({constant})",
        (False, True): "{value}.endswith({constant})",
        (True, True): "{value} == {constant}",
    }[start, end]
    return Check(_literal_judge(literal, start, end), inline=Inline(str, expression, literal))


def _literal_judge(literal: str, start: bool, end: bool) -> Callable[[Json], bool]:
    if start and end:
        return lambda seen: text_of(seen) == literal
    if start:
        return lambda seen: text_of(seen).startswith(literal)
    if end:
        return lambda seen: text_of(seen).endswith(literal)
    return lambda seen: literal in text_of(seen)


def _character(node: Node) -> str | None:
    """The one character that a node takes, if it is a literal that stands for itself."""
    if not isinstance(node, Character) or node.source == ".":
        return None
    if len(node.source) == 1:
        return node.source
    is_escaped_punctuation = len(node.source) == 2 and node.source[0] == "\\" and not node.source[1].isalnum()
    return node.source[1] if is_escaped_punctuation else None


class Search:
    """One pattern, on the engine that is fast and safe for the text at hand."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern
        self._costs = _safe_costs(pattern.root)
        self._longest = self._costs[-1][0] if self._costs else 0
        self._compiled = re.compile(_source(pattern.root)) if self._longest else None
        self._automaton: Automaton | UnsupportedPatternError | None = None

    def check(self) -> Check:
        """Whether the pattern occurs in a value's text."""
        inline = None
        if self._compiled is not None and not self._pattern.uses_space:
            # A text of ASCII raises no doubts but about spaces.
            inline = Inline(str, "{constant}({value}) is not None", self._compiled.search, self._longest_uncounted())
        return Check(lambda seen: self.decide(text_of(seen)), inline=inline, cost=self.cost)

    def cost(self, length: int) -> int:
        """The most steps that a text of this length can take."""
        place = bisect_left(self._costs, (length, 0))
        if place < len(self._costs):
            return self._costs[place][1]
        return min(_AUTOMATON_STEP * unfolded(self._pattern.root) * length, WORK)

    def _longest_uncounted(self) -> int:
        return max((length for length, steps in self._costs if steps <= UNCOUNTED), default=0)

    def decide(self, text: str) -> Outcome:
        """Whether the pattern occurs; unknown where the engines differ or the search could take too long."""
        if len(text) > _LONGEST_TEXT or not self._agrees(text):
            return Reason.UNSUPPORTED_DEFINITION
        if self._compiled and len(text) <= self._longest:
            return self._compiled.search(text) is not None
        found = self._search_linearly(text)
        return Reason.UNSUPPORTED_DEFINITION if found is None else found

    def _agrees(self, text: str) -> bool:
        """Whether every shorthand means the same to Rust and Python for every character of the text."""
        if self._pattern.uses_space and not _PYTHON_SPACES.isdisjoint(text):
            return False
        if text.isascii():
            return True
        foreign = [character for character in set(text) if not character.isascii()]
        if any("\ud800" <= character <= "\udfff" for character in foreign):
            return False
        return not self._pattern.uses_word or all(character.isalpha() or character.isdecimal() for character in foreign)

    def _search_linearly(self, text: str) -> bool | None:
        automaton = self._automaton
        if automaton is None:
            try:
                automaton = Automaton(self._pattern.root)
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
    if isinstance(node, Sequence):
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
    anchored = isinstance(root, Sequence) and root.nodes[:1] == (Anchor(at_end=False),)
    return work + length if anchored else (length + 1) * work


def _ways(node: Node, length: int) -> tuple[float, float]:
    """In how many ways a node can match at one place of a text of `length`, and the steps to try them all."""
    if isinstance(node, Character | Anchor):
        return 1, 1
    if isinstance(node, Choice):
        parts = [_ways(branch, length) for branch in node.nodes]
        return sum(ways for ways, _ in parts), sum(work for _, work in parts) + 1
    if isinstance(node, Sequence):
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
