"""The reference of `hogbox.flags` lists what the module exports, member by member."""

from __future__ import annotations

import dataclasses

import pytest

from hogbox import flags
from tests.docs.page import DOCS, read_page, rows

PAGE = read_page(DOCS / "reference" / "flags.md")


def listed(heading: str) -> list[str]:
    return [row[0].strip("`").partition("(")[0] for row in rows(PAGE.section(heading))]


def members(public: type) -> list[str]:
    if dataclasses.is_dataclass(public):
        return [field.name for field in dataclasses.fields(public)]
    own = {*vars(public), *getattr(public, "__annotations__", ())}
    return sorted(name for name in own if not name.startswith("_"))


def test_every_exported_class_has_a_section() -> None:
    assert {name for name in flags.__all__ if name != "MISSING"} <= set(PAGE.headings)


@pytest.mark.parametrize(
    "name", [name for name in flags.__all__ if isinstance(getattr(flags, name), type) and name != "Reason"]
)
def test_every_member_is_listed(name: str) -> None:
    assert sorted(listed(name)) == sorted(members(getattr(flags, name)))


def test_every_reason_is_listed() -> None:
    assert listed("Reason") == list(flags.Reason)
