"""Evaluation contexts: for whom a flag is evaluated, in the words of PostHog; and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypedDict

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import InvalidContextError, TargetingKeyMissingError
from openfeature.track import TrackingEventDetails

from hogbox.errors import InvalidEvent, InvalidPerson, MissingDistinctId

GROUPS: Final = "groups"
GROUP_PROPERTIES: Final = "group_properties"
DEVICE_ID: Final = "$device_id"

NOT_ATTRIBUTES: Final = frozenset({GROUPS, GROUP_PROPERTIES, DEVICE_ID})
"""All other attributes are properties of the person."""


class Subject(TypedDict):
    """For whom, as the methods of the clients take it."""

    distinct_id: str | None
    groups: Mapping[str, Any] | None
    person_properties: Mapping[str, Any] | None
    group_properties: Mapping[str, Mapping[str, Any]] | None
    device_id: str | None


def subject_of(context: EvaluationContext | None) -> Subject:
    """For whom this context asks. Raises InvalidContextError where groups or a device are not what they should be."""
    given = context or EvaluationContext()
    attributes = given.attributes
    device = attributes.get(DEVICE_ID)
    if device is not None and not isinstance(device, str):
        raise InvalidContextError(f"the attribute {DEVICE_ID!r} is a device's id, not {device!r}")
    return Subject(
        distinct_id=given.targeting_key or None,
        groups=_mapping(attributes, GROUPS),
        person_properties={name: value for name, value in attributes.items() if name not in NOT_ATTRIBUTES},
        group_properties=_mapping(attributes, GROUP_PROPERTIES),
        device_id=device,
    )


def event_of(context: EvaluationContext | None, details: TrackingEventDetails | None) -> dict[str, Any]:
    """Whose event a tracked one is, and what it tells, as `capture` takes it."""
    subject = subject_of(context)
    properties: dict[str, Any] = {} if details is None else dict(details.attributes)
    if details is not None and details.value is not None:
        properties["value"] = details.value
    return {"distinct_id": subject["distinct_id"], "groups": subject["groups"], "properties": properties}


@contextmanager
def in_openfeatures_words() -> Iterator[None]:
    """Raises OpenFeature's errors in place of hogbox's."""
    try:
        yield
    except MissingDistinctId as error:
        raise TargetingKeyMissingError("no targeting key, and nothing else says whose flags to evaluate") from error
    except (InvalidEvent, InvalidPerson) as error:
        raise InvalidContextError(str(error)) from error


def _mapping(attributes: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = attributes.get(name)
    if value is None or isinstance(value, Mapping):
        return value
    raise InvalidContextError(f"the attribute {name!r} maps types of groups, as in {{'company': …}}, not {value!r}")
