"""A person from options: `--property plan=pro --group company=c-19 --group-property company.seats=12`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import typer

from hogbox.flags._person import Person


def person_of(
    distinct_id: str,
    properties: Iterable[str] | None,
    groups: Iterable[str] | None,
    group_properties: Iterable[str] | None,
    device_id: str | None,
    complete: bool,
) -> Person:
    """The options, taken apart. Raises typer.BadParameter for one that is not of its form."""
    of_groups: dict[str, dict[str, Any]] = {}
    for text in group_properties or ():
        name, value = _pair(text, "--group-property company.seats=12")
        kind, dot, key = name.partition(".")
        if not (kind and dot and key):
            raise typer.BadParameter(f"{text!r} has no group type: write --group-property company.seats=12")
        of_groups.setdefault(kind, {})[key] = json_or_text(value)
    given = (_pair(text, "--property plan=pro") for text in properties or ())
    return Person(
        distinct_id=distinct_id,
        groups=dict(_pair(text, "--group company=c-19") for text in groups or ()),
        person_properties={key: json_or_text(value) for key, value in given},
        group_properties=of_groups,
        device_id=device_id,
        properties_complete=complete,
    )


def json_or_text(text: str) -> Any:
    """The text parsed as JSON; the text itself if it is not JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(name: str) -> None:
    raise ValueError(name)


def _pair(text: str, example: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise typer.BadParameter(f"{text!r} is not a name=value pair: write {example}")
    return key, value
