"""`posthog_flags`: which flags a test sets, to what, and for whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from hogbox._events.identity import resolve
from hogbox.errors import UsageError


class Override(NamedTuple):
    """What a flag is, because a test says so."""

    value: bool | str | None
    payload: str | None
    """As JSON."""
    everybody: bool
    """Whether it is so for all."""


class Overrides:
    """What a test has set so far. Never changes: whoever holds it, such as a snapshot, goes on with what it says."""

    def __init__(self, overrides: Mapping[tuple[str, str | None], Override]) -> None:
        self._overrides = overrides
        self.keys = tuple(dict.fromkeys(key for key, _ in overrides))
        """The flags that are set for anybody."""

    def __bool__(self) -> bool:
        return bool(self._overrides)

    def find(self, key: str, distinct_id: str | None) -> Override | None:
        """What the flag is set to for this person, else for everybody; None where it is not set."""
        return self._overrides.get((key, distinct_id)) or self._overrides.get((key, None))

    def having(self, key: str, distinct_id: str | None, override: Override) -> Overrides:
        """These, and one more."""
        return Overrides({**self._overrides, (key, distinct_id): override})


class FlagOverrides:
    """Sets what feature flags are, for all clients of the process, in all threads, until the test ends.

    Flags that are not set keep their answers: those of the stored definitions, or none where nothing is stored. Takes a
    mapping of several flags at once, too: `posthog_flags({"new-checkout": True, "button": "blue"})`.
    """

    def __init__(self) -> None:
        self.overrides = Overrides({})

    def __call__(self, values: Mapping[str, bool | str | None], *, distinct_id: str | int | UUID | None = None) -> None:
        """Set several flags, as `set` does."""
        for key, value in values.items():
            self.set(key, value, distinct_id=distinct_id)

    def set(
        self,
        key: str,
        value: bool | str | None,
        *,
        distinct_id: str | int | UUID | None = None,
        payload: Any = None,
    ) -> None:
        """Set one flag from here on; what was set for the same flag and person before is replaced.

        Arguments:
            key: The flag's key; there need be no such flag.
            value: True, False, the key of a variant, or None for inconclusive: reads then give their default.
            distinct_id: For whom; default: for everybody for whom nothing else is set.
            payload: Of this value, as the application will read it; anything that JSON can say.

        Raises UsageError, at once, for what no flag can be.
        """
        person = None if distinct_id is None else resolve(None, distinct_id)
        override = Override(_value(key, value), _payload(key, value, payload), person is None)
        self.overrides = self.overrides.having(_key(key), person, override)

    def clear(self) -> None:
        """From here on all flags have their own answers again."""
        self.overrides = Overrides({})


def _key(key: object) -> str:
    if isinstance(key, str) and key:
        return key
    raise UsageError(f"a flag's key is text, not {key!r}: posthog_flags.set('new-checkout', True)")


def _value(key: str, value: object) -> bool | str | None:
    if value is None or isinstance(value, bool) or (isinstance(value, str) and value):
        return value
    raise UsageError(f"flag {key!r} can be True, False, the key of a variant or None (inconclusive), not {value!r}")


def _payload(key: str, value: object, payload: object) -> str | None:
    if payload is None:
        return None
    if value is False or value is None:
        raise UsageError(f"flag {key!r} has no payload where it is {value!r}: PostHog gives none to a flag that is off")
    try:
        return json.dumps(payload, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the payload of flag {key!r} is nothing that JSON can say: {error}") from error
