"""What evaluating a flag gives."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class FlagResult:
    """A flag's value for one person, or that it is inconclusive, with the reason. Never changes."""

    __slots__ = (
        "_payload",
        "condition_index",
        "description",
        "has_experiment",
        "id",
        "key",
        "reason",
        "value",
        "version",
    )

    key: str
    """The flag's key."""

    value: bool | str | None
    """True, False, the key of a variant, or None where the answer needs what only PostHog has (inconclusive)."""

    reason: str | None
    """What decided, or why nothing could: a `Reason` where it was evaluated locally, else PostHog's code, if any."""

    condition_index: int | None
    """The condition that decided, from 0; None where none did."""

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
        value: bool | str | None,
        reason: str | None,
        condition_index: int | None = None,
        payload: Any = None,
        *,
        description: str | None = None,
        id: int | None = None,  # noqa: A002 - the field's name
        version: int | None = None,
        has_experiment: bool | None = None,
    ) -> None:
        self.key = key
        self.value = value
        self.reason = reason
        self.condition_index = condition_index
        self._payload = _text(payload)
        self.description = description
        self.id = id
        self.version = version
        self.has_experiment = has_experiment

    @property
    def conclusive(self) -> bool:
        """Whether there is a value: evaluated locally, it is certain that PostHog answers the same."""
        return self.value is not None

    @property
    def enabled(self) -> bool | None:
        """Whether the flag is on, in whatever variant; None (not False) where inconclusive."""
        return None if self.value is None else self.value is not False

    @property
    def variant(self) -> str | None:
        """The variant's key; None where there is none."""
        return self.value if isinstance(self.value, str) else None

    @property
    def payload(self) -> Any:
        """The payload of the value, decoded anew on each access, so that it is the caller's own (section 12).

        Text that is not JSON is given as it is; None where there is no payload.
        """
        return _decode(self._payload)

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
        # True == 1 in Python, but no value is a number.
        return (
            self.key,
            self.value,
            self.reason,
            self.condition_index,
            self._payload,
            self.description,
            self.id,
            self.version,
            self.has_experiment,
        )


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


def _decode(payload: Any) -> Any:
    if not isinstance(payload, str):
        return payload
    if not payload:
        return None
    try:
        return json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return payload


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
