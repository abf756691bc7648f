"""The patterns that mean the same in the service's dialect (Rust's) and here, parsed to a tree (section 9.4).

What the parser takes is decided: by Python's `re` where that cannot backtrack much, else by `automaton`. What
is certainly no pattern raises `InvalidPatternError`, and anything else `UnsupportedPatternError`: only the
service can say. Quantified groups with quantifiers inside are taken too: a linear engine answers them as
Rust's does.
"""

from __future__ import annotations

import re
from typing import Final

from hogbox.flags._pattern.tree import (
    Anchor,
    Character,
    Choice,
    Concatenation,
    InvalidPatternError,
    Node,
    Pattern,
    Repeat,
    UnsupportedPatternError,
    consumes,
    unfolded,
)

GREATEST_COUNT: Final = 255
"""A count above is left to the service, which limits the size of what it compiles."""

_LONGEST_PATTERN = 2_000
_DEEPEST_GROUP = 50
# The service refuses what compiles to more than 10 MB, and what it refuses matches for neither operator.
_MOST_UNFOLDED = 2_000

_SHORTHANDS = frozenset("dDsSwW")
_SHORTHAND_SOURCES = frozenset("\\" + letter for letter in _SHORTHANDS)
_CONTROLS = frozenset("nrtf")
_CLASS_PUNCTUATION = frozenset("\\-[]^.$*+?(){}|")
_COUNT = re.compile(r"\{([0-9]{1,4})(,?)([0-9]{0,4})\}")
_HEX = re.compile(r"[0-9A-Fa-f]{2}")


def parse(source: str) -> Pattern:
    """The pattern's tree; raises InvalidPatternError or UnsupportedPatternError."""
    if len(source) > _LONGEST_PATTERN:
        raise UnsupportedPatternError(f"longer than {_LONGEST_PATTERN} characters")
    if not source.isascii() and any(0xD800 <= ord(character) <= 0xDFFF for character in source):
        raise UnsupportedPatternError("half a surrogate pair")
    parser = _Parser(source)
    root = parser.choice(0)
    if parser.at < len(source):
        raise InvalidPatternError("an unopened )")
    if unfolded(root) > _MOST_UNFOLDED:
        raise UnsupportedPatternError(f"it unfolds into more than {_MOST_UNFOLDED} characters")
    return Pattern(root, parser.uses_word, parser.uses_space)


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.uses_word = False
        self.uses_space = False

    def choice(self, depth: int) -> Node:
        """Alternatives up to the end of the group or of the pattern."""
        if depth > _DEEPEST_GROUP:
            raise UnsupportedPatternError(f"groups deeper than {_DEEPEST_GROUP}")
        branches = [self._sequence(depth)]
        while self._take("|"):
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self, depth: int) -> Node:
        nodes: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            nodes.append(self._quantified(self._atom(depth)))
        return nodes[0] if len(nodes) == 1 else Concatenation(tuple(nodes))

    def _atom(self, depth: int) -> Node:
        character = self._next()
        if character in "*+?":
            raise InvalidPatternError(f"nothing before {character}")
        if character == "{":
            raise UnsupportedPatternError("a { that is not a count")
        if character in "^$":
            return Anchor(at_end=character == "$")
        if character == "(":
            return self._group(depth)
        if character == "[":
            return Character(self._class())
        if character == "\\":
            return Character(self._escape())
        return Character("." if character == "." else re.escape(character))

    def _group(self, depth: int) -> Node:
        if self._take("?") and not self._take(":"):
            raise UnsupportedPatternError("a group with a meaning of its own, (?...")
        node = self.choice(depth + 1)
        if not self._take(")"):
            raise InvalidPatternError("an unclosed (")
        return node

    def _quantified(self, node: Node) -> Node:
        counts = self._counts()
        if counts is None:
            return node
        if isinstance(node, Anchor) or not consumes(node):
            raise UnsupportedPatternError("a quantifier after nothing that takes characters")
        self._take("?")
        if self._peek() in ("*", "+", "?", "{"):
            raise UnsupportedPatternError("a possessive or stacked quantifier")
        return Repeat(node, *counts)

    def _counts(self) -> tuple[int, int | None] | None:
        if self._take("*"):
            return 0, None
        if self._take("+"):
            return 1, None
        if self._take("?"):
            return 0, 1
        if self._peek() != "{":
            return None
        match = _COUNT.match(self.source, self.at)
        if match is None:
            raise UnsupportedPatternError("a { that is not a count")
        self.at = match.end()
        low = int(match[1])
        high = int(match[3]) if match[3] else (None if match[2] else low)
        if max(low, high or 0) > GREATEST_COUNT:
            raise UnsupportedPatternError(f"a count above {GREATEST_COUNT}")
        if high is not None and low > high:
            raise InvalidPatternError("a reversed count")
        return low, high

    def _escape(self) -> str:
        character = self._next()
        if character == "":
            raise InvalidPatternError("a backslash at the end")
        if character in _SHORTHANDS:
            self.uses_word |= character in "wW"
            self.uses_space |= character in "sS"
            return "\\" + character
        if character in _CONTROLS:
            return "\\" + character
        if character == "x":
            return self._hexadecimal()
        if character.isascii() and character.isprintable() and not character.isalnum() and character not in "<>":
            return re.escape(character)
        raise UnsupportedPatternError(f"the escape \\{character}")

    def _hexadecimal(self) -> str:
        match = _HEX.match(self.source, self.at)
        if match is None:
            raise UnsupportedPatternError("an \\x without two hexadecimal digits")
        self.at = match.end()
        return "\\x" + match[0]

    def _class(self) -> str:
        opening = "[^" if self._take("^") else "["
        if self._peek() == "]":
            raise UnsupportedPatternError("a class that begins with ]")
        members: list[str] = []
        while not self._take("]"):
            members.append(self._member())
        return f"{opening}{''.join(members)}]"

    def _member(self) -> str:
        """One character, shorthand or range of a class, as Python's `re` reads it."""
        low = self._class_character()
        following = self.source[self.at : self.at + 2]
        if following[:1] != "-" or following in ("-", "-]"):
            return low
        if following == "--":
            raise UnsupportedPatternError("an operation on classes")
        self.at += 1
        high = self._class_character()
        if low in _SHORTHAND_SOURCES or high in _SHORTHAND_SOURCES:
            raise UnsupportedPatternError("a range that ends in a shorthand")
        if _code(low) > _code(high):
            raise InvalidPatternError("a reversed range")
        return f"{low}-{high}"

    def _class_character(self) -> str:
        if self.source[self.at : self.at + 2] in ("&&", "--", "~~"):
            raise UnsupportedPatternError("an operation on classes")
        character = self._next()
        if character == "":
            raise InvalidPatternError("an unclosed [")
        if character == "[":
            raise UnsupportedPatternError("a class inside a class")
        if character != "\\":
            return re.escape(character)
        escaped = self._peek()
        if escaped and not escaped.isalnum() and escaped not in _CLASS_PUNCTUATION:
            raise UnsupportedPatternError(f"the escape \\{escaped} in a class")
        return self._escape()

    def _peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def _next(self) -> str:
        character = self._peek()
        self.at += len(character)
        return character

    def _take(self, character: str) -> bool:
        found = self._peek() == character
        self.at += found
        return found


_CONTROL_CODES = {"n": 10, "r": 13, "t": 9, "f": 12}


def _code(character: str) -> int:
    """The code point of one member of a class, given as `re` source."""
    if len(character) == 1:
        return ord(character)
    if character[1] == "x":
        return int(character[2:], 16)
    return _CONTROL_CODES.get(character[1], ord(character[1]))
