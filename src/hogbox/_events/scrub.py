"""Scrubbing: finds e-mail addresses, card numbers and tokens in text, and replaces them.

Every pattern takes time linear in the text, for any text: runs are matched possessively and begin only where no other
run continues, and everything else is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

REDACTED: Final = "[redacted]"
"""The replacement of everything that is found."""


class TextPattern(NamedTuple):
    """A pattern to find in text: its name, and a function that returns a text with all matches replaced."""

    name: str
    scrub: Callable[[str], str]

    def __repr__(self) -> str:
        return self.name


def of_regex(regex: re.Pattern[str]) -> TextPattern:
    """A pattern of the application's own: every match is replaced. Its running time is up to the application."""
    return TextPattern(repr(regex.pattern), lambda text: regex.sub(REDACTED, text))


_LOCAL: Final = r"[^\s@%<>()\[\],;:\"'\\/=?&#|{}]"
_ADDRESS: Final = re.compile(rf"(?<!{_LOCAL}){_LOCAL}++(?:@|%40)[\w-]++(?:\.[\w-]++)++")

# Not the decimals of a number; groups may be separated by a space, a hyphen or a no-break space.
_DIGITS: Final = re.compile(r"(?<![0-9])(?<![0-9]\.)[0-9]++(?:[ \-\u00a0][0-9]++)*+")
_GROUP: Final = re.compile(r"[0-9]++")
_CARD_LENGTHS: Final[dict[str, tuple[int, ...]]] = {
    "2": (16,),
    "3": (14, 15, 16),
    "4": (13, 16, 19),
    "5": (16,),
    "6": (16, 17, 18, 19),
}
"""The lengths that issuers use, by first digit. With the check digit, one in ten other numbers of that length match."""

_SHORTEST_CARD: Final = 13
_LONGEST_CARD: Final = 19
_MASTERCARD_2: Final = range(2221, 2721)
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

_WORD: Final = r"[A-Za-z0-9_\-]"
_NAMED: Final = (
    r"(?:passwords?|passwd|passphrase|pwd|secret(?:[_\-]?(?:access[_\-]?)?key)?|(?:api|access|private|auth)[_\-]?key|"
    r"token|authorization|cookie|session[_\-]?id)"
)
_AFTER_NAME: Final = re.compile(
    rf"({_NAMED}[\"']?\s{{0,9}}(?:=>|:=|[:=])\s{{0,9}})"
    r"(?:(?:bearer|basic|digest|token)\s{1,9})?(?:\"[^\"]*+\"|'[^']*+'|[^\s&,;\"'{}()\[\]][^\s&,;\"'{}()\[\]]*+)",
    re.IGNORECASE,
)
_COOKIES: Final = re.compile(r"(cookie[\"']?\s{0,9}:\s{0,9})[\"']?[^\r\n\"']++", re.IGNORECASE)
_BEARER: Final = re.compile(r"(bearer\s{1,9})[A-Za-z0-9._~+/=\-]{8,}+", re.IGNORECASE)
_USER_OF_URL: Final = re.compile(r"(?<=://)[^\s/@?#]++@")
_KEYS: Final = re.compile(
    rf"(?<!{_WORD})(?:"
    rf"(?:ph[a-z]|gh[pousr]|github_pat|glpat|npm|[spr]k_live|[spr]k_test|whsec)[_\-]{_WORD}{{8,}}+"
    rf"|sk-{_WORD}{{16,}}+|xox[a-z]-{_WORD}{{8,}}+|AIza{_WORD}{{30,}}+"
    rf"|A(?:KIA|SIA|GPA|IDA|ROA|NPA|NVA)[A-Z0-9]{{16}}(?!{_WORD})"
    rf"|eyJ{_WORD}{{8,}}+\.{_WORD}++(?:\.{_WORD}*+)*+"
    r")"
)
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY[\s\S]*?(?:-----END [A-Z ]{0,40}-----|\Z)")


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub(REDACTED, text) if "@" in text or "%40" in text else text


def _without_cards(text: str) -> str:
    return _DIGITS.sub(_without_cards_among, text)


def _without_cards_among(found: re.Match[str]) -> str:
    """Groups of digits without card numbers; a card number starts and ends at the limits of groups."""
    text = found[0]
    if len(text) < _SHORTEST_CARD:
        return text
    groups = [(match.start(), match.end()) for match in _GROUP.finditer(text)]
    kept: list[str] = []
    done = first = 0
    while first < len(groups):
        start = groups[first][0]
        last = _card_end(text, groups, first)
        if last is not None:
            kept += [text[done:start], REDACTED]
            done = groups[last][1]
        first = first + 1 if last is None else last + 1
    return "".join([*kept, text[done:]])


def _card_end(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The group with which the longest card number ends that begins with the first one, with one kind of separator."""
    digits, end = "", None
    for number in range(first, min(len(groups), first + _LONGEST_CARD)):
        start, stop = groups[number]
        separator = text[groups[first][1] : groups[first][1] + 1]
        if len(digits) + stop - start > _LONGEST_CARD or (number > first and text[start - 1] != separator):
            break
        digits += text[start:stop]
        if _is_card(digits):
            end = number
    return end


def _is_card(digits: str) -> bool:
    if len(digits) not in _CARD_LENGTHS.get(digits[0], ()):
        return False
    return (digits[0] != "2" or int(digits[:4]) in _MASTERCARD_2) and _adds_up(digits)


def _adds_up(digits: str) -> bool:
    """Luhn's check, with which a card number detects a mistyped digit."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += _DOUBLED[int(digit)] if place % 2 else int(digit)
    return total % 10 == 0


def _without_tokens(text: str) -> str:
    if len(text) < _SHORTEST_TOKEN:
        return text
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    if "://" in text:
        text = _USER_OF_URL.sub(f"{REDACTED}@", text)
    short, lowered = len(text) < _SHORT, text.lower()
    if ("=" in text or ":" in text) and (short or any(stem in lowered for stem in _STEMS)):
        text = _COOKIES.sub(rf"\1{REDACTED}", text)
        text = _AFTER_NAME.sub(rf"\1{REDACTED}", text)
    if "bearer" in lowered:
        text = _BEARER.sub(rf"\1{REDACTED}", text)
    return _KEYS.sub(REDACTED, text) if short or any(mark in text for mark in _MARKS) else text


_SHORT: Final = 256
"""Texts up to this length are searched directly: checking first whether the search is needed would take longer."""

_STEMS: Final = ("pass", "pwd", "secret", "key", "token", "authorization", "cookie", "session")
"""Every name that `_NAMED` finds contains one of them. Most texts contain none, which is much faster to check."""

_MARKS: Final = ("_", "-", "eyJ", "AIza", "AKIA", "ASIA", "AGPA", "AIDA", "AROA", "ANPA", "ANVA")
"""Every key that `_KEYS` finds contains one of them."""

_SHORTEST_TOKEN: Final = 5
"""`pwd=x`: anything shorter has no room for one."""

EMAIL: Final = TextPattern("EMAIL", _without_addresses)
"""E-mail addresses, in URLs too, where their `@` is written `%40`."""

CARD: Final = TextPattern("CARD", _without_cards)
"""Numbers as long as card numbers that begin and add up as they do (Luhn), in one piece or in groups."""

SECRET_NAMES: Final = (
    "*password*",
    "*passwd*",
    "*passphrase*",
    "pwd",
    "*secret*",
    "*token*",
    "*api_key*",
    "*apikey*",
    "*authorization*",
    "*cookie*",
    "*credential*",
    "*private_key*",
    "*session_key*",
)
"""Patterns for names of properties that are secret regardless of their values."""

TOKEN: Final = TextPattern("TOKEN", _without_tokens)
"""Keys of PostHog, AWS, GitHub, GitLab, Slack, Stripe, Google, npm and OpenAI, bearer tokens, JSON Web Tokens, private
keys, user and password in a URL, and what stands after `password=`, `secret:`, `token=` and the like."""

PATTERNS: Final = (TOKEN, EMAIL, CARD)
"""All of them. Tokens come first: a password in a URL would read as an address."""


def scrub(text: str, patterns: tuple[TextPattern, ...] = PATTERNS) -> str:
    """The text with `REDACTED` in place of everything that the patterns find."""
    for pattern in patterns:
        text = pattern.scrub(text)
    return text
