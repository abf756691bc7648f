"""Every citation of the specification, in code and tests, leads to a heading, a row or an item that exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.page import DOCS, ROOT

SPECIFICATION = DOCS / "specification"
WIRE, EVALUATION = SPECIFICATION / "wire-protocol.md", SPECIFICATION / "flag-evaluation.md"

_NUMBER = r"\d+(?:\.\d+)*"
_LIST = rf"({_NUMBER}(?:(?:, | and |, and | to ){_NUMBER})*)"
_OF_WIRE = re.compile(rf"wire protocol(?:'s)?,?(?: sections?)? {_LIST}")
_SECTION = re.compile(rf"\bsections? {_LIST}")
_RULE = re.compile(r"\brules? ([A-Z]\d+(?:(?:, | and ){1}[A-Z]\d+)*)")
_ELSEWHERE = re.compile(r"\b(the design's|evaluation spec)\b")

_HEADING = re.compile(rf"#+ ({_NUMBER})\.? ")
_ROW = re.compile(r"\| ([A-Z]\d+) \|")


class Citation(NamedTuple):
    where: str
    page: Path
    name: str


def sources() -> list[Path]:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    return sorted(file for file in files if file != Path(__file__))


def citations() -> Iterator[Citation]:
    for file in sources():
        text = " ".join(file.read_text().split())
        where = str(file.relative_to(ROOT))
        for found in _OF_WIRE.finditer(text):
            yield from (Citation(where, WIRE, number) for number in re.findall(_NUMBER, found[1]))
        if "flags" not in file.parent.parts:
            continue
        for found in _SECTION.finditer(_OF_WIRE.sub("", text)):
            yield from (Citation(where, EVALUATION, number) for number in re.findall(_NUMBER, found[1]))
        for found in _RULE.finditer(text):
            yield from (Citation(where, EVALUATION, rule) for rule in re.findall(r"[A-Z]\d+", found[1]))


@cache
def names(page: Path) -> frozenset[str]:
    lines = page.read_text().splitlines()
    found = [(_HEADING.match(line) or _ROW.match(line)) for line in lines]
    return frozenset(one[1] for one in found if one)


CITATIONS = list(citations())


def test_the_specification_is_cited() -> None:
    assert len(CITATIONS) > 80
    assert {citation.page for citation in CITATIONS} == {WIRE, EVALUATION}


@pytest.mark.parametrize("page", [WIRE, EVALUATION], ids=lambda page: page.stem)
def test_every_citation_leads_somewhere(page: Path) -> None:
    lost = [f"{one.where}: {one.name}" for one in CITATIONS if one.page == page and one.name not in names(page)]
    assert not lost, f"not in {page.name}: {lost}"


def test_nothing_cites_a_page_that_is_not_in_the_repository() -> None:
    lost = [str(file.relative_to(ROOT)) for file in sources() if _ELSEWHERE.search(file.read_text())]
    assert not lost
