"""Small definitions for tests."""

from __future__ import annotations

from typing import Any


def document(*flags: dict[str, Any]) -> dict[str, Any]:
    """A document with these flags."""
    return {"flags": list(flags)}


def flag(key: str, *conditions: dict[str, Any], active: bool = True, **filters: Any) -> dict[str, Any]:
    """A flag with these conditions; for everybody if there are none."""
    return {"key": key, "active": active, "filters": {"groups": list(conditions) or [{}], **filters}}


def condition(*filters: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A condition with these filters."""
    return {"properties": list(filters), **more}


def person_filter(key: str, operator: str | None, value: object) -> dict[str, Any]:
    """A filter on a person's property."""
    return {"key": key, "type": "person", "operator": operator, "value": value}


def one_filter(operator: str | None, value: object) -> dict[str, Any]:
    """A document with the flag `f`, on for whom the property `p` satisfies the filter."""
    return document(flag("f", condition(person_filter("p", operator, value))))
