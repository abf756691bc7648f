"""Patterns: what is decided here, by which engine, and that all engines agree."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hogbox.flags import FlagSet
from hogbox.flags._compiled.inline import Inline, inline_of
from hogbox.flags._operators.check import PropertyCheck
from hogbox.flags._operators.regex import regex
from hogbox.flags._pattern.automaton import Automaton
from hogbox.flags._pattern.parser import parse
from hogbox.flags._pattern.search import PatternSearch, _source
from hogbox.flags._pattern.tree import InvalidPatternError, UnsupportedPatternError
from tests.flags.samples import one_filter

ATOMS = st.sampled_from(
    ["a", "b", "c", ".", r"\d", r"\.", "[ab]", "[^a]", "[a-c1]", r"\x61", "^", "$", r"\w", r"[\d-]", "]"]
)
QUANTIFIERS = st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?"])
PATTERNS = st.recursive(
    st.one_of(ATOMS, st.just("")),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join),
        inner.map(lambda pattern: f"({pattern})"),
        st.tuples(inner, QUANTIFIERS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.tuples(ATOMS.filter(lambda atom: atom not in "^$"), QUANTIFIERS).map("".join),
    ),
    max_leaves=6,
)
SUBJECTS = st.text(alphabet="abc1.\n-é", max_size=9)


def _evaluate(operator: str, pattern: object, text: object) -> object:
    result = FlagSet.parse(one_filter(operator, pattern)).evaluate("f", distinct_id="u1", person_properties={"p": text})
    return result.value if result.conclusive else str(result.reason)


@settings(max_examples=1_000, deadline=None)
@given(PATTERNS, st.lists(SUBJECTS, min_size=1, max_size=4))
def test_the_linear_engine_finds_what_python_finds(pattern: str, texts: list[str]) -> None:
    try:
        tree = parse(pattern).root
    except UnsupportedPatternError:
        return
    automaton, expected = Automaton(tree), re.compile(_source(tree))
    for text in texts:
        assert automaton.search(text) == (expected.search(text) is not None)


@settings(max_examples=500, deadline=None)
@given(PATTERNS, st.lists(SUBJECTS, min_size=1, max_size=4))
def test_p7_a_pattern_means_what_it_means_to_python_but_for_the_end(pattern: str, texts: list[str]) -> None:
    search = re.compile(pattern.replace("$", r"\Z"))
    for text in texts:
        answer = _evaluate("regex", pattern, text)
        assert answer in (search.search(text) is not None, "unsupported_definition")
        opposite = _evaluate("not_regex", pattern, text)
        assert opposite == answer if isinstance(answer, str) else opposite is not answer


def _evaluate_inline(inline: Inline, check: PropertyCheck, value: object) -> object:
    expression = inline.expression.format(value="value", constant="constant", judge="judge")
    return eval(expression, {"value": value, "constant": inline.constant, "judge": check.judge})


@settings(max_examples=300, deadline=None)
@given(PATTERNS, SUBJECTS, st.sampled_from(["regex", "not_regex"]))
def test_the_inline_form_of_a_pattern_answers_the_same(pattern: str, text: str, operator: str) -> None:
    check = regex(operator, pattern)
    inline = inline_of(check)
    if inline is not None:
        assert _evaluate_inline(inline, check, text) == check.judge(text)


@pytest.mark.parametrize(
    "pattern", ["*", "+a", "a|*", "(?", "(", "a)", "[a", "[", "\\", "[z-a]", "a{3,2}", "(*)", r"[\x62-\x61]"]
)
def test_what_is_certainly_no_pattern_matches_for_neither_operator(pattern: str) -> None:
    if pattern == "(?":
        with pytest.raises(UnsupportedPatternError):
            parse(pattern)
        return
    with pytest.raises(InvalidPatternError):
        parse(pattern)
    assert _evaluate("regex", pattern, "a") is False
    assert _evaluate("not_regex", pattern, "a") is False


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)a",
        "(?=a)",
        r"\bfoo",
        r"\Aa",
        r"\p{L}",
        r"\<",
        "a++",
        "a**",
        "a{2}{3}",
        "x{",
        "{2}",
        "a{256}",
        "a{,3}",
        "^*",
        "()+",
        "(^)?",
        "[]a]",
        "[[:alpha:]]",
        "[a&&b]",
        "[a--b]",
        "[a~~b]",
        r"[\d-z]",
        r"[a-\d]",
        r"[\b]",
        r"[\ ]",
        r"\u0041",
        r"\xZZ",
        "\ud800",
        "a" * 2001,
        "(a{1,200}){11}",
        "(" * 51 + ")" * 51,
    ],
)
def test_p7_what_only_the_service_reads_is_unknown(pattern: str) -> None:
    with pytest.raises(UnsupportedPatternError):
        parse(pattern)
    assert _evaluate("regex", pattern, "a") == "unsupported_definition"
    assert _evaluate("not_regex", pattern, "a") == "unsupported_definition"


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        (r"\w", "a½", "unsupported_definition"),
        (r"\w", "é", True),
        (r"\W", "٣", False),
        (r"\s", "a\x1c", "unsupported_definition"),
        (r"\s", "a b", True),
        (r"\sé", "a é", True),
        (".", "\ud800", "unsupported_definition"),
        (r"[\-x]", "-", True),
        ("[-a]", "-", True),
        ("[a-]", "-", True),
        (r"[\x61-\x63]", "b", True),
        (r"[\t-\r]", "\n", True),
        (r"[\n-\f]", "\x0b", True),
        (r"[\^-\]]", "x", False),
        (r"^\$5\.00$", "$5.00", True),
        (r"^a\.b$", "a.b\n", False),
        ("^é", "école", True),
        ("é$", "café", True),
        ("a\nb", "a\nb", True),
        ("[é-ü]", "ü", True),
        ("(ab|cd)*x", "ababx", True),
        (r"^[\w.-]+@([\w-]+\.)+[a-z]{2,}$", "joe.x@mail.corp.io", True),
        (r"^[\w.-]+@([\w-]+\.)+[a-z]{2,}$", "joe.x@mail.corp.", False),
    ],
)
def test_characters_and_anchors_are_the_services(pattern: str, text: str, answer: object) -> None:
    assert _evaluate("regex", pattern, text) == answer


def test_a_long_text_goes_to_the_linear_engine_and_a_longer_one_to_the_service() -> None:
    pattern = parse(".*x.*y")
    search = PatternSearch(pattern)
    assert search.decide("x" * 1_000 + "y") is True
    assert search.decide("x" * 1_000) is False
    assert search.decide("x" * 90_000) == "unsupported_definition"
    assert search.decide("x" * 200_000) == "unsupported_definition"


def test_a_pattern_that_unfolds_too_far_is_left_to_the_service_where_the_text_is_long() -> None:
    search = PatternSearch(parse("(a?b?){200}(c?){200}$"))
    assert search.decide("x") == search.decide("y") == "unsupported_definition"


def test_the_linear_engine_forgets_rather_than_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hogbox.flags._pattern.automaton._MOST_ENTRIES", 3)
    automaton = Automaton(parse("(a|b)*a(a|b)(a|b)x|[^é]é").root)
    for text, found in (
        ("abaabx", True),
        ("bbbbbx", False),
        ("abcdefgé", True),
        ("abababab", False),
        ("baabx", True),
    ):
        assert automaton.search(text) is found
    assert len(automaton._rows) <= 4


def test_every_part_of_a_pattern_is_searched_on_the_empty_text() -> None:
    cases: dict[str, Any] = {
        "": True,
        "^$": True,
        "$^": True,
        "a*": True,
        "a|": True,
        "a": False,
        "(^a)|b$": False,
        "(a*)*": True,
    }
    for pattern, found in cases.items():
        assert Automaton(parse(pattern).root).search("") is found
        assert _evaluate("regex", pattern, "") is found
