"""Evaluation contexts: OpenFeature's context as the arguments of hogbox's methods, and its validation."""

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
    """The person and groups of an evaluation, as arguments of the clients' methods."""

    distinct_id: str | None
    groups: Mapping[str, Any] | None
    person_properties: Mapping[str, Any] | None
    group_properties: Mapping[str, Mapping[str, Any]] | None
    device_id: str | None


def subject_of(context: EvaluationContext | None) -> Subject:
    """The person and groups of this context. Raises InvalidContextError for invalid groups or an invalid device id."""
    given = context or EvaluationContext()
    attributes = given.attributes
    device = attributes.get(DEVICE_ID)
    if device is not None and not isinstance(device, str):
        raise InvalidContextError(f"the attribute {DEVICE_ID!r} must be a text, not {device!r}")
    return Subject(
        distinct_id=given.targeting_key or None,
        groups=_mapping(attributes, GROUPS),
        person_properties={name: value for name, value in attributes.items() if name not in NOT_ATTRIBUTES},
        group_properties=_mapping(attributes, GROUP_PROPERTIES),
        device_id=device,
    )


def event_of(context: EvaluationContext | None, details: TrackingEventDetails | None) -> dict[str, Any]:
    """The arguments of `capture` for a tracking event."""
    subject = subject_of(context)
    properties: dict[str, Any] = {} if details is None else dict(details.attributes)
    if details is not None and details.value is not None:
        properties["value"] = details.value
    return {"distinct_id": subject["distinct_id"], "groups": subject["groups"], "properties": properties}


@contextmanager
def in_openfeatures_words() -> Iterator[None]:
    """Converts hogbox's errors to OpenFeature's."""
    try:
        yield
    except MissingDistinctId as error:
        raise TargetingKeyMissingError(
            "no targeting key, and no distinct id from identify or the request context"
        ) from error
    except (InvalidEvent, InvalidPerson) as error:
        raise InvalidContextError(str(error)) from error


def _mapping(attributes: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = attributes.get(name)
    if value is None or isinstance(value, Mapping):
        return value
    raise InvalidContextError(
        f"the attribute {name!r} must be a mapping by group type, such as {{'company': …}}, not {value!r}"
    )
