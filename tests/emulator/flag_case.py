"""Flag definitions for these tests, in PostHog's format."""

from __future__ import annotations

from typing import Any

from hogbox.emulator import Emulator


def flag(key: str, *conditions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An active flag that is on where one of the conditions matches; without any, for everybody."""
    filters = {"groups": list(conditions) or [{"properties": [], "rollout_percentage": 100}]}
    filters |= fields.pop("filters", {})
    return {"id": 71, "key": key, "name": key, "active": True, "version": 4, "filters": filters, **fields}


def where(key: str, value: Any = True, operator: str = "exact", kind: str = "person", **fields: Any) -> dict[str, Any]:
    """A condition with one filter."""
    item = {"key": key, "value": value, "operator": operator, "type": kind}
    item |= {name: fields.pop(name) for name in ("group_type_index", "dependency_chain") if name in fields}
    return {"properties": [item], "rollout_percentage": 100, **fields}


def on(other: str, value: bool | str = True) -> dict[str, Any]:
    """A condition on another flag."""
    return where(other, value, "flag_evaluates_to", "flag", dependency_chain=[other])


def definitions(*flags: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"flags": list(flags), "group_type_mapping": {"0": "company"}, "cohorts": {}, **fields}


DOCUMENT = definitions(
    flag("on"),
    flag("pro", where("plan", "pro")),
    flag("big", where("seats", 10, "gt", "group", group_type_index=0), filters={"aggregation_group_type_index": 0}),
    flag("off", active=False),
)
"""Flags for everybody, for some persons, for some groups, and for nobody."""


def asked(emulator: Emulator) -> int:
    """How often somebody's flags were requested."""
    return sum(request.path.startswith("/flags") for request in emulator.requests())
