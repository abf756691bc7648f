"""For whom a flag is evaluated: what the caller passed, with the additions of section 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from hogbox.errors import InvalidPerson
from hogbox.flags._bucket import Identity, encoded, identifier_of
from hogbox.flags._reason import Outcome, Reason
from hogbox.flags._value import UNUSABLE, is_number, json_value, text_of

Clock: TypeAlias = Callable[[], datetime]

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
"""No properties."""

Value: TypeAlias = bool | str
"""What a flag can be: False, True or the key of a variant."""


FLAG_STEPS: Final = 4_000_000
"""What the filters of one flag may cost, in steps of some 10 ns: 50 ms with all else. All flags of one call share as
much beyond `LEAST_STEPS`."""

LEAST_STEPS: Final = 2_000_000
"""What every flag may cost, whatever the flags before it used up."""


class EvaluatedGroup:
    """A group that the person acts for: its bucket and its properties."""

    __slots__ = ("identity", "properties")

    def __init__(self, key: object, properties: Mapping[str, Any]) -> None:
        """`key` must be usable (see `is_usable`); one that can't be read has no bucket."""
        text = key if isinstance(key, str) else text_of(key) if is_number(key) else None
        identifier = None if text is None else encoded(text)
        self.identity = Identity(identifier, None if identifier else Reason.MISSING_CONTEXT)
        self.properties = {"$group_key": key, **properties}


class Person(NamedTuple):
    """For whom a flag is evaluated, as the caller passed it: the arguments of `FlagSet.evaluate`."""

    distinct_id: str
    groups: Mapping[str, Any] | None = None
    person_properties: Mapping[str, Any] | None = None
    group_properties: Mapping[str, Mapping[str, Any]] | None = None
    device_id: str | None = None
    properties_complete: bool = False


class EvaluatedPerson:
    """One call's view of a person; also remembers what it found out about cohorts and other flags."""

    __slots__ = (
        "_given_groups",
        "_group_properties",
        "_groups",
        "_now",
        "_shared_steps",
        "_steps",
        "cohorts",
        "complete",
        "device",
        "distinct",
        "distinct_id",
        "has_properties",
        "properties",
        "targets",
    )

    def __init__(self, person: Person, now: datetime | Clock) -> None:
        """Raises InvalidPerson where an argument is of the wrong type."""
        distinct_id, groups, properties, group_properties, device_id, complete = person
        _check(distinct_id, device_id, now)
        self.properties: dict[str, Any] = {"distinct_id": distinct_id, **_mapping("person_properties", properties)}
        self.distinct_id = distinct_id
        self.distinct = identifier_of(distinct_id)
        self.has_properties = properties is not None
        self.device = device_id
        self.complete = complete
        self.cohorts: dict[str, Outcome] = {}
        self.targets: dict[str, frozenset[Value] | None] = {}
        self._group_properties = _mapping("group_properties", group_properties)
        for name in self._group_properties:
            _mapping(f"group_properties[{name!r}]", self._group_properties[name])
        self._given_groups = _mapping("groups", groups)
        self._groups: dict[str, EvaluatedGroup | None] = {}
        self._now: datetime | Clock = now
        self._shared_steps = self._steps = FLAG_STEPS

    def begin_flag(self) -> None:
        """Gives the next flag a budget of its own, less what the flags before it took from the shared one."""
        self._steps = max(self._shared_steps, LEAST_STEPS)

    def spend(self, steps: int) -> bool:
        """Counts steps of the flag that is being evaluated; False where its budget does not hold them."""
        self._steps -= steps
        self._shared_steps -= steps
        return self._steps >= 0

    @property
    def now(self) -> datetime:
        """The time of the call: the caller's, else the clock's, read at most once and only if it matters."""
        if not isinstance(self._now, datetime):
            self._now = self._now()
        return self._now

    def group(self, type_name: str) -> EvaluatedGroup | None:
        """The group of this type; None where none was given that is usable (section 4)."""
        if type_name not in self._groups:
            key = json_value(self._given_groups.get(type_name))
            properties = self._group_properties.get(type_name) or {}
            self._groups[type_name] = EvaluatedGroup(key, properties) if is_usable(key) else None
        return self._groups[type_name]

    def by_distinct_id(self) -> Identity:
        """The bucket of a flag without a bucketing of its own."""
        return Identity(self.distinct, None if self.distinct else Reason.MISSING_CONTEXT)

    def by_device(self) -> Identity:
        """The bucket of a flag that goes by device: the argument, else the property (rule B3)."""
        for candidate in (self.device, json_value(self.properties.get("$device_id"))):
            if isinstance(candidate, str) and candidate:
                identifier = encoded(candidate)
                return Identity(identifier, None if identifier else Reason.MISSING_CONTEXT)
        return Identity(None, Reason.MISSING_CONTEXT, device_missing=True)


def _check(distinct_id: object, device_id: object, now: datetime | Clock) -> None:
    if not isinstance(distinct_id, str):
        raise InvalidPerson(f"distinct_id is a text, not {type(distinct_id).__name__}")
    if device_id is not None and not isinstance(device_id, str):
        raise InvalidPerson(f"device_id is a text or None, not {type(device_id).__name__}")
    if not callable(now) and getattr(now, "tzinfo", None) is None:
        raise InvalidPerson("now is a datetime with a time zone")


def _mapping(name: str, value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if type(value) is dict:
        return value
    if value is None:
        return NOTHING
    if not isinstance(value, Mapping):
        raise InvalidPerson(f"{name} is a mapping or None, not {type(value).__name__}")
    return value


def is_usable(key: object) -> bool:
    """Whether a group's key counts: text that is not empty, or a number (rule G3); what can't be read may be either."""
    if isinstance(key, str):
        return key != ""
    return key is UNUSABLE or (isinstance(key, int | float) and not isinstance(key, bool))
