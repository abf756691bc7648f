"""The variables of polling. They are read whenever they matter, and a bad value never ends a worker."""

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
    """The seconds between two refreshes of the definitions, and what is wrong with the value given, if anything."""
    text = environment.get(POLLING_VARIABLE, "").strip()
    if not text:
        return POLLING_SECONDS, None
    if text.isascii() and text.isdigit() and 0 < (seconds := int(text[:12])) <= _LONGEST_POLLING_SECONDS:
        return seconds, None
    return (
        POLLING_SECONDS,
        f"{POLLING_VARIABLE}={text!r} is no whole number of seconds above 0: {POLLING_SECONDS} s are taken",
    )


def polling_disabled(environment: Mapping[str, str]) -> bool:
    """Whether the definitions are not to be refreshed by themselves; whatever is not a yes is a no."""
    return is_true(environment.get(SWITCH_VARIABLE, ""))
