"""The environment variables of polling. They are read at each use, and an invalid value never stops a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hogbox._settings.setting import is_true

POLLING_SECONDS: Final = 60
"""The time between two refreshes of the definitions, unless `POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS` is set."""

POLLING_VARIABLE: Final = "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS"

SWITCH_VARIABLE: Final = "POSTHOG_DISABLE_LOCAL_EVALUATION"

_LONGEST_POLLING_SECONDS: Final = 366 * 24 * 60 * 60


def polling_interval(environment: Mapping[str, str]) -> tuple[int, str | None]:
    """The seconds between two refreshes of the definitions, and a message if the variable's value is invalid."""
    text = environment.get(POLLING_VARIABLE, "").strip()
    if not text:
        return POLLING_SECONDS, None
    # Truncated: Python refuses to convert very long digits, and 12 of them are too large already.
    if text.isascii() and text.isdigit() and 0 < (seconds := int(text[:12])) <= _LONGEST_POLLING_SECONDS:
        return seconds, None
    return (
        POLLING_SECONDS,
        f"{POLLING_VARIABLE}={text!r} must be a positive whole number of seconds; using {POLLING_SECONDS}",
    )


def polling_disabled(environment: Mapping[str, str]) -> bool:
    """Whether automatic refreshes of the definitions are off; any value that is not a yes counts as no."""
    return is_true(environment.get(SWITCH_VARIABLE, ""))
