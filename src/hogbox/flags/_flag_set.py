"""The public face: definitions in, answers with reasons out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from hogbox.errors import ConfigurationError
from hogbox.flags._bucket import identifier_of
from hogbox.flags._definition import DefinitionsDocument
from hogbox.flags._evaluator import Evaluator, PlainEvaluator
from hogbox.flags._person import EvaluatedPerson, Person
from hogbox.flags._result import FlagResult
from hogbox.flags._rules.flag import RulesFlag
from hogbox.flags._words.explanation import Explanation, explain_flag, explain_unknown
from hogbox.flags._words.rules_explanation import explain_rules


class FlagSet:
    """The flags of one definitions document, each read when it is first asked for.

    A set never changes, and threads may share one.
    """

    def __init__(self, definitions: DefinitionsDocument) -> None:
        self._definitions = definitions
        self._plain = PlainEvaluator(definitions)
        self._evaluator = _fastest(self._plain)
        self._fast_paths = self._evaluator.fast_paths

    @classmethod
    def parse(cls, document: bytes | bytearray | str | Mapping[str, Any], *, timezone: str | tzinfo = "UTC") -> FlagSet:
        """Reads a definitions document, as `GET /flags/definitions` answers it (bytes, text or decoded).

        A decoded document must not be changed afterwards: flags are read from it when they are first
        asked for. `timezone` is the project's, an IANA name or a tzinfo: dates without an offset are meant in
        it.

        Raises DefinitionsError for what is no such document, and ConfigurationError for an unknown time zone.
        A flag that cannot be understood raises nothing: it alone is inconclusive.
        """
        return cls(DefinitionsDocument.read(document, zone_of(timezone)))

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
        # The usual arguments may take a fast path; the others are checked first.
        if (
            type(distinct_id) is str
            and type(person_properties) is dict
            and (groups is None or type(groups) is dict)
            and group_properties is None
            and device_id is None
            and now is None
        ):
            result = fast_answer(self, key, distinct_id, person_properties, properties_complete)
            if result is not None:
                return result
        person = Person(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        return self._evaluator.evaluate(key, EvaluatedPerson(person, now or _clock))

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
        person = Person(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        return results_for(self, person, keys, now)

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
        person = Person(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        return explanation_for(self, key, person, now)


def flag_set_of(document: object, text: str, timezone: str | tzinfo) -> FlagSet:
    """What `FlagSet.parse` makes of a text, for a caller who has decoded it as well."""
    return FlagSet(DefinitionsDocument.read(document, zone_of(timezone), text))


def fast_answer(
    flag_set: FlagSet, key: str, distinct_id: str, person_properties: dict[str, Any], properties_complete: bool
) -> FlagResult | None:
    """What `evaluate` answers, for arguments that are checked already; None where it has to be asked."""
    fast_path = flag_set._fast_paths[key]
    if fast_path is None or (identifier := identifier_of(distinct_id)) is None:
        return None
    return fast_path(person_properties, identifier, properties_complete, None)


def result_for(flag_set: FlagSet, key: str, person: Person, now: datetime | None = None) -> FlagResult:
    """What `evaluate` answers for this person."""
    distinct_id, groups, properties, group_properties, device_id, complete = person
    if (
        type(distinct_id) is str
        and type(properties) is dict
        and (groups is None or type(groups) is dict)
        and group_properties is None
        and device_id is None
        and now is None
    ):
        fast = fast_answer(flag_set, key, distinct_id, properties, complete)
        if fast is not None:
            return fast
    return flag_set._evaluator.evaluate(key, EvaluatedPerson(person, now or _clock))


def results_for(
    flag_set: FlagSet, person: Person, keys: Iterable[str] | None = None, now: datetime | None = None
) -> dict[str, FlagResult]:
    """What `evaluate_all` answers for this person."""
    evaluated, evaluator = EvaluatedPerson(person, now or _clock), flag_set._evaluator
    if keys is None:
        return evaluator.evaluate_all(evaluated)
    return {key: evaluator.evaluate(key, evaluated) for key in keys}


def explanation_for(flag_set: FlagSet, key: str, person: Person, now: datetime | None = None) -> Explanation:
    """What `explain` answers for this person."""
    evaluated = EvaluatedPerson(person, now or _clock)
    flag = flag_set._plain.prepare(key, evaluated)
    if flag is None:
        return explain_unknown(key)
    return explain_rules(flag, evaluated) if isinstance(flag, RulesFlag) else explain_flag(flag, evaluated)


def _fastest(plain: PlainEvaluator) -> Evaluator:
    """The compiled evaluator if it is there: it gives the same answers in less time."""
    try:
        from hogbox.flags._compiled.evaluator import CompiledEvaluator
    except ModuleNotFoundError:
        return plain
    return CompiledEvaluator(plain)


def _clock() -> datetime:
    return datetime.now(UTC)


def zone_of(timezone: str | tzinfo) -> tzinfo:
    """A time zone by its name. Raises ConfigurationError for one that this machine does not know."""
    if timezone == "UTC":
        return UTC
    if isinstance(timezone, tzinfo):
        return timezone
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise ConfigurationError(f"{timezone!r} is not a time zone that this machine knows") from error
