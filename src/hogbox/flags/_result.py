"""What evaluating a flag gives."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn, TypeAlias

FlagValue: TypeAlias = bool | str | int | float | dict[str, Any] | None
"""What a flag can be: True, False or the key of a variant; a flag with rules also any text, number or object, or None,
which is no value of its own.
"""

_WITHHELD: Final = "********* (encrypted)"


class FlagResult:
    """A flag's value for one person, or that it is inconclusive, with the reason. Never changes."""

    __slots__ = (
        "_payload",
        "conclusive",
        "condition_index",
        "config_version",
        "description",
        "failed",
        "has_experiment",
        "id",
        "key",
        "reason",
        "rule_id",
        "rule_type",
        "value",
        "variant_key",
        "version",
    )

    key: str
    """The flag's key."""

    value: FlagValue
    """The typed value; None if there is none: use your default. `conclusive` says why there is none."""

    conclusive: bool
    """Whether the flag was decided: evaluated locally, it is certain that PostHog answers the same.

    A flag with rules may be decided and have no value of its own: its default is null, or it is not active.
    """

    reason: str | None
    """What decided, or why nothing could: a `Reason` where it was evaluated locally, else PostHog's code, if any."""

    condition_index: int | None
    """The condition or the rule that decided, from 0; None where none did."""

    config_version: int
    """The format of the flag's definition: 1 (conditions) or 2 (rules)."""

    rule_type: str | None
    """The type of the rule that decided, such as `targeted_release`; None for a flag with conditions."""

    rule_id: str | None
    """The id of the rule that decided; None for a flag with conditions."""

    variant_key: str | None
    """The variant of an experiment, as PostHog names it; None where it was evaluated locally."""

    failed: bool
    """Whether PostHog could not evaluate the flag."""

    description: str | None
    """What decided, in PostHog's words; like the three below None where it was evaluated locally."""

    id: int | None
    """The flag's number in PostHog."""

    version: int | None
    """The version of the flag that PostHog evaluated."""

    has_experiment: bool | None
    """Whether an experiment uses the flag."""

    def __init__(
        self,
        key: str,
        value: FlagValue,
        reason: str | None,
        condition_index: int | None = None,
        payload: Any = None,
        *,
        conclusive: bool | None = None,
        config_version: int = 1,
        rule_type: str | None = None,
        rule_id: str | None = None,
        variant_key: str | None = None,
        failed: bool = False,
        description: str | None = None,
        id: int | None = None,  # noqa: A002 - the field's name
        version: int | None = None,
        has_experiment: bool | None = None,
    ) -> None:
        """`conclusive` is whether there is a value, unless it is given."""
        self.key = key
        self.value = value
        self.conclusive = value is not None if conclusive is None else conclusive
        self.reason = reason
        self.condition_index = condition_index
        self._payload = _text(payload)
        self.config_version = config_version
        self.rule_type = rule_type
        self.rule_id = rule_id
        self.variant_key = variant_key
        self.failed = failed
        self.description = description
        self.id = id
        self.version = version
        self.has_experiment = has_experiment

    @property
    def legacy_value(self) -> bool | str | None:
        """The value for callers that know no numbers and objects: `legacy_form`; None where inconclusive."""
        return legacy_form(self.value) if self.conclusive else None

    @property
    def enabled(self) -> bool | None:
        """Whether the flag is on, with whatever value; None (not False) where inconclusive."""
        if not self.conclusive:
            return None
        return self.value is not False and self.value is not None

    @property
    def variant(self) -> str | None:
        """The variant's key, or the text that is the value; None where there is none."""
        return self.value if isinstance(self.value, str) else None

    @property
    def payload(self) -> Any:
        """The payload of the value, decoded anew on each access, so that it is the caller's own (section 12).

        Text that is not JSON is given as it is; None where there is no payload. A number or an object is its own.
        """
        value = self.value
        if isinstance(value, bool | str) or value is None:
            return _decode(self._payload)
        return decoded_copy(value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FlagResult):
            return NotImplemented
        return self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts()[:4])

    def __repr__(self) -> str:
        index = "" if self.condition_index is None else f", condition_index={self.condition_index}"
        return f"FlagResult({self.key!r}, {self.value!r}, {self.reason!s}{index})"

    def _facts(self) -> tuple[object, ...]:
        return (
            self.key,
            comparable(self.value),
            self.reason,
            self.condition_index,
            self.conclusive,
            self._payload,
            self.config_version,
            self.rule_type,
            self.rule_id,
            self.variant_key,
            self.failed,
            self.description,
            self.id,
            self.version,
            self.has_experiment,
        )


def legacy_form(value: FlagValue) -> bool | str:
    """The value of a decided flag for callers that know no numbers and objects: True for these, False for none."""
    return value if isinstance(value, bool | str) else value is not None


def comparable(value: FlagValue) -> tuple[str, bool | str | None]:
    """A value as something hashable that equals no other value: in Python True == 1, and an object has no hash."""
    if isinstance(value, bool | str) or value is None:
        return ("plain", value)
    return ("json", compact_json(value))


def compact_json(value: FlagValue) -> str:
    """A value as the shortest JSON text, keys in order, by which two values are compared."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def decoded_copy(payload: Any) -> Any:
    """A payload of a definition, decoded from its JSON text; what is decoded already is copied."""
    return _decode(_text(payload))


def _text(payload: Any) -> Any:
    """The payload as the text that it is decoded from; itself where it cannot be one."""
    if isinstance(payload, str | None):
        return payload
    try:
        return json.dumps(payload, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return payload


def is_withheld(payload: object) -> bool:
    """Whether this is what PostHog sends in place of an encrypted payload, with its quotes or without."""
    return isinstance(payload, str) and payload.strip('"') == _WITHHELD


def _decode(payload: Any) -> Any:
    if not isinstance(payload, str):
        return payload
    if not payload or is_withheld(payload):
        return None
    try:
        return json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return payload


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
