"""A regular expression as a tree: what `parser` reads, and `regex` and `automaton` search for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


class InvalidPatternError(Exception):
    """Certainly no regular expression, in any dialect."""


class UnsupportedPatternError(Exception):
    """Outside of what both dialects share."""


@dataclass(frozen=True, slots=True)
class Character:
    """One character: `source` is a class, an escape or a literal that Python's `re` reads alike."""

    source: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """The start or the very end of the text."""

    at_end: bool


@dataclass(frozen=True, slots=True)
class Concatenation:
    """One after the other; of nothing, the empty text."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any of them."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """At least `low` times, at most `high` (None: without limit)."""

    node: Node
    low: int
    high: int | None


Node: TypeAlias = Character | Anchor | Concatenation | Choice | Repeat


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern and which shorthands it uses: the two engines differ in a few characters of those."""

    root: Node
    uses_word: bool
    uses_space: bool


def unfolded(node: Node) -> int:
    """How many characters the pattern has with its counted repetitions written out."""
    if isinstance(node, Concatenation | Choice):
        return sum(map(unfolded, node.nodes))
    if isinstance(node, Repeat):
        return unfolded(node.node) * max(node.low + 1 if node.high is None else node.high, 1)
    return 1


def consumes(node: Node) -> bool:
    """Whether there is anything in the node but anchors and empty texts."""
    if isinstance(node, Concatenation | Choice):
        return any(map(consumes, node.nodes))
    return not isinstance(node, Anchor)
