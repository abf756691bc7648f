"""What the patterns find, what they leave alone, and that no text makes them slow."""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hogbox._events import scrub as module
from hogbox._events.scrub import CARD, EMAIL, TOKEN, of_regex, scrub

REGEXES = {name: value for name, value in vars(module).items() if isinstance(value, re.Pattern)}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to ada@example.com.", "write to [redacted]."),
        ("Ada <ada.l+x@mail.example.co.uk>", "Ada <[redacted]>"),
        ("https://x.org/?mail=ada%40example.com&page=2", "https://x.org/?mail=[redacted]&page=2"),
        ("jörg@exämple.de,b@c.d", "[redacted],[redacted]"),
        ("mention @ada, 3 @ 4, a@b", "mention @ada, 3 @ 4, a@b"),
    ],
)
def test_addresses(text: str, left: str) -> None:
    assert scrub(text, (EMAIL,)) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("4111111111111111", "[redacted]"),
        ("card 4111 1111 1111 1111 12/27", "card [redacted] 12/27"),
        ("5500-0000-0000-0004, 3782 822463 10005", "[redacted], [redacted]"),
        ("2223003122003222 and 7 4222222222222", "[redacted] and 7 [redacted]"),
        ("4111111111111112", "4111111111111112"),
        ("1732567033123 20261125210210 0.4111111111111111", "1732567033123 20261125210210 0.4111111111111111"),
        ("94111111111111111", "94111111111111111"),
        ("2026-11-25 21:02", "2026-11-25 21:02"),
    ],
)
def test_card_numbers(text: str, left: str) -> None:
    assert scrub(text, (CARD,)) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("phx_0123456789abcdef, phs_0123456789abcdef", "[redacted], [redacted]"),
        ("phc_0123456789abcdef", "[redacted]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("ghp_0123456789abcdefghij xoxb-1234-abcd-efgh", "[redacted] [redacted]"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln b", "a [redacted] b"),
        ("Authorization: Bearer abc.def-123", "Authorization: [redacted]"),
        ("sent bearer abc.def-12345", "sent bearer [redacted]"),
        ("Cookie: a=b; session=xyz\nHost: x", "Cookie: [redacted]\nHost: x"),
        ("{'password': 'two words', 'n': 1}", "{'password': [redacted], 'n': 1}"),
        ('DB_PASSWORD="x y"; a', "DB_PASSWORD=[redacted]; a"),
        ("?client_secret=abc&page=2", "?client_secret=[redacted]&page=2"),
        ("aws_secret_access_key = abc/def+ghi", "aws_secret_access_key = [redacted]"),
        ("postgresql://app:s3cret@db.example.com/x", "postgresql://[redacted]@db.example.com/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- x", "[redacted] x"),
        ("-----BEGIN PRIVATE KEY-----\ncut off", "[redacted]"),
        ("basic information, a token of thanks", "basic information, a token of thanks"),
        ("https://example.com/path?page=2", "https://example.com/path?page=2"),
    ],
)
def test_tokens(text: str, left: str) -> None:
    assert scrub(text, (TOKEN,)) == left


def test_a_pattern_of_ones_own() -> None:
    assert scrub("order A-17, ada@example.com", (of_regex(re.compile(r"A-\d+")), EMAIL)) == (
        "order [redacted], [redacted]"
    )


@given(st.text())
def test_nothing_is_found_twice(text: str) -> None:
    once = scrub(text)
    assert scrub(once) == once


def repeats(pattern: Any) -> list[tuple[Any, int]]:
    """All repetitions in a parsed expression: the kind, and how often at most."""
    found = []
    for operation, argument in pattern:
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
            found += [(operation, argument[1]), *repeats(argument[2])]
        elif operation is _constants.SUBPATTERN:
            found += repeats(argument[-1])
        elif operation is _constants.BRANCH:
            found += [one for branch in argument[1] for one in repeats(branch)]
    return found


@pytest.mark.parametrize("name", REGEXES)
def test_no_repetition_without_a_bound_can_be_tried_again_shorter(name: str) -> None:
    for operation, most in repeats(_parser.parse(REGEXES[name].pattern)):
        scan_to_an_end = name == "_PRIVATE_KEY" and operation is _constants.MIN_REPEAT
        assert operation is _constants.POSSESSIVE_REPEAT or most <= 50 or scan_to_an_end


FRAGMENTS = [
    *[
        "a",
        "@",
        "a@",
        "a@a",
        "a.",
        "@a.",
        "%40",
        "1",
        "4",
        "4 ",
        "1-",
        "4111 ",
        "0.",
        "eyJ",
        "eyJaaaaaaaa.",
        ".",
        "://",
    ],
    *["://a", "token", "token=", 'token="', "token='", "cookie: ", "bearer ", "ph", "phx_", "sk-", "AKIA", "A", "-"],
    *["-----BEGIN ", "-----BEGIN PRIVATE KEY", "-----END ", " ", "\n", '"', "password: ", "session_", "secret_key"],
]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4), st.sampled_from(["", "!", "x" * 99, '"']))
def test_long_texts_that_almost_match_take_linear_time(fragments: list[str], end: str) -> None:
    """In quadratic time each would take minutes: the test would run into its limit."""
    fragment = "".join(fragments)
    scrub(fragment * (100_000 // len(fragment)) + end)


def test_what_decides_whether_to_look_is_in_all_that_could_be_found() -> None:
    names = module._NAMED
    assert all(stem in names for stem in module._STEMS if stem != "key")
    alternatives = ["passwords", "passwd", "passphrase", "pwd", "secret", "api_key", "token", "authorization", "cookie"]
    for name in [*alternatives, "sessionid", "secret-access-key", "Auth-Key", "PRIVATEKEY", "accesskey"]:
        assert scrub(f"{name}=value", (TOKEN,)) == f"{name}=[redacted]"
        assert scrub(f"{name}=value {'.' * 999}", (TOKEN,)) == f"{name}=[redacted] {'.' * 999}"
    for key in [
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJI.eyJz.c2ln",
        "AIza" + "x" * 35,
        "ghp_0123456789",
        "sk-" + "x" * 20,
    ]:
        assert scrub(f"{key} {'.' * 999}", (TOKEN,)) == f"[redacted] {'.' * 999}"
