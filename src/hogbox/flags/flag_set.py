"""The public face: definitions in, answers with reasons out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from types import CodeType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hogbox.errors import ConfigurationError
from hogbox.flags.bucket import identifier_of
from hogbox.flags.decision import Decision
from hogbox.flags.definition import Definitions
from hogbox.flags.explanation import Explanation, explain_flag, explain_unknown
from hogbox.flags.flag import Flag
from hogbox.flags.person import Person, person_of
from hogbox.flags.prerequisite import prerequisites
from hogbox.flags.reason import Reason
from hogbox.flags.result import FlagResult
from hogbox.flags.shortcut import Plan, Shortcut, constant, goes_without_person, write_shortcut
from hogbox.flags.whole import Whole

UNKNOWN_FLAG = Decision(None, Reason.UNKNOWN_FLAG)


class _Entry(NamedTuple):
    """The short way to a flag's result."""

    shortcut: Shortcut
    short_without_person: Shortcut | None
    """The same, where it can do without a Person."""


class FlagSet:
    """The flags of one definitions document, each compiled when it is first asked for.

    A set never changes, and threads may share one: what two of them compile at the same time is the same.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._flags: dict[str, Flag] = {}
        self._entries: dict[str, _Entry] = {}
        self._codes: dict[str, CodeType] = {}
        self._whole: Whole | None = None

    @classmethod
    def parse(cls, document: bytes | bytearray | str | Mapping[str, Any], *, timezone: str | tzinfo = "UTC") -> FlagSet:
        """Reads a definitions document, as `GET /flags/definitions` answers it (bytes, text or decoded).

        A decoded document must not be changed afterwards: flags are compiled from it when they are first
        asked for. `timezone` is the project's, an IANA name or a tzinfo: dates without an offset are meant in
        it.

        Raises DefinitionsError for what is no such document, and ConfigurationError for an unknown time zone.
        A flag that cannot be understood raises nothing: it alone is inconclusive.
        """
        return cls(Definitions.read(document, _zone(timezone)))

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all flags, inactive ones too, in the order of the document."""
        return tuple(self._definitions.flags)

    @property
    def problems(self) -> tuple[str, ...]:
        """What in the list of flags is no flag, in sentences; usually nothing."""
        return self._definitions.problems

    def evaluate(
        self,
        key: str,
        *,
        distinct_id: str,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool = False,
        now: datetime | None = None,
    ) -> FlagResult:
        """What the flag is for one person; see `FlagResult`.

        `groups` are `{type name: key}`, `group_properties` are `{type name: properties}`. A property that is
        not passed is unknown, because PostHog may hold it, unless `properties_complete` vouches that all of
        them are passed (section 19). `now` is a time with a zone, for relative dates; default: the current
        time.

        Raises InvalidPerson where an argument is of the wrong type, and nothing else.
        """
        # The usual arguments take the short way; the others are checked on the long one.
        if (
            type(distinct_id) is str
            and type(person_properties) is dict
            and (groups is None or type(groups) is dict)
            and group_properties is None
            and device_id is None
            and now is None
        ):
            result = self.evaluate_plain(key, distinct_id, person_properties, properties_complete)
            if result is not None:
                return result
        entry = self._entries.get(key) or self._enter(key)
        person = person_of(
            distinct_id,
            groups,
            person_properties,
            group_properties,
            device_id,
            properties_complete,
            now or _clock,
        )
        if person.distinct is None:
            return self._answer(key, person)
        return entry.shortcut(person.properties, person.distinct, person.complete, person)

    def evaluate_plain(
        self, key: str, distinct_id: str, person_properties: dict[str, Any], properties_complete: bool
    ) -> FlagResult | None:
        """The short way of `evaluate`, its arguments checked already; None where it takes the long one."""
        short = (self._entries.get(key) or self._enter(key)).short_without_person
        if short is None or (identifier := identifier_of(distinct_id)) is None:
            return None
        return short(person_properties, identifier, properties_complete, None)

    def evaluate_all(
        self,
        *,
        distinct_id: str,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool = False,
        now: datetime | None = None,
        keys: Iterable[str] | None = None,
    ) -> dict[str, FlagResult]:
        """What every flag, or each of `keys`, is for one person; the arguments are those of `evaluate`."""
        person = person_of(
            distinct_id,
            groups,
            person_properties,
            group_properties,
            device_id,
            properties_complete,
            now or _clock,
        )
        properties, identifier, complete = person.properties, person.distinct, person.complete
        if identifier is None:
            return {key: self._answer(key, person) for key in (self._definitions.flags if keys is None else keys)}
        if keys is not None:
            return {key: self._shortcut(key)(properties, identifier, complete, person) for key in keys}
        if self._whole is None:
            self._whole = Whole([self._plan(key) for key in self._definitions.flags], self._shortcut)
        return self._whole.evaluate(properties, identifier, complete, person)

    def explain(
        self,
        key: str,
        *,
        distinct_id: str,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool = False,
        now: datetime | None = None,
    ) -> Explanation:
        """Why `evaluate` answers what it answers, with every condition and property; the arguments are the
        same.
        """
        person = person_of(
            distinct_id,
            groups,
            person_properties,
            group_properties,
            device_id,
            properties_complete,
            now or _clock,
        )
        if key not in self._definitions.flags:
            return explain_unknown(FlagResult(key, UNKNOWN_FLAG, None))
        flag = self._flag(key)
        self._settle(flag, person)
        person.begin_flag()
        return explain_flag(flag, person)

    def _answer(self, key: str, person: Person) -> FlagResult:
        """The long way, for any key."""
        if key not in self._definitions.flags:
            return FlagResult(key, UNKNOWN_FLAG, None)
        flag = self._flag(key)
        self._settle(flag, person)
        person.begin_flag()
        return flag.result(flag.decide(person, flag.examine(person)))

    def _shortcut(self, key: str) -> Shortcut:
        return (self._entries.get(key) or self._enter(key)).shortcut

    def _enter(self, key: str) -> _Entry:
        """Compiles what a key names; a key that names nothing is not remembered."""
        if key not in self._definitions.flags:
            unknown = constant(FlagResult(key, UNKNOWN_FLAG, None))
            return _Entry(unknown, unknown)
        plan = self._plan(key)
        shortcut = write_shortcut(plan, self._codes)
        entry = self._entries[key] = _Entry(shortcut, shortcut if goes_without_person(plan.flag) else None)
        return entry

    def _plan(self, key: str) -> Plan:
        return Plan(self._flag(key), partial(self._answer, key))

    def _flag(self, key: str) -> Flag:
        flag = self._flags.get(key)
        if flag is None:
            flag = self._flags[key] = Flag(self._definitions.flags[key], self._definitions)
        return flag

    def _settle(self, flag: Flag, person: Person) -> None:
        """Decides what the flag depends on, and tells the person."""
        if not flag.dependencies:
            return
        if flag.prerequisites is None:
            flag.prerequisites = prerequisites(flag, self._flag)
        for key in flag.prerequisites:
            if key not in person.targets:
                target = self._flag(key)
                person.begin_flag()
                person.targets[key] = target.decide(person, target.examine(person)).values


def _clock() -> datetime:
    return datetime.now(UTC)


def _zone(timezone: str | tzinfo) -> tzinfo:
    if timezone == "UTC":
        return UTC
    if isinstance(timezone, tzinfo):
        return timezone
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise ConfigurationError(f"{timezone!r} is no time zone that this machine knows") from error
