"""Unresolved: why a flag can't be decided here, and whether it ever can."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hogbox._client.local_flags import KnownFlags
from hogbox._delivery.condition import OnceEach
from hogbox._wire.host import shorten
from hogbox.flags import FlagResult, Reason

log = logging.getLogger("hogbox")

STATIC_COHORT: Final = "static_cohort"
"""The flag goes by a cohort whose members only PostHog knows."""

_NEVER: Final[Mapping[str, str]] = {
    Reason.EXPERIENCE_CONTINUITY: "it persists across authentication steps, so that PostHog stores its values",
    STATIC_COHORT: "it goes by a static cohort, whose members only PostHog knows",
    Reason.UNSUPPORTED_DEFINITION: "something in its definition is not evaluated locally: see `hogbox flags show`",
}
"""Reasons that no property of a call can cure, in words."""


def reason_of(result: FlagResult, local: KnownFlags | None) -> str:
    """Why a flag is inconclusive, in a word: a `Reason`, or `static_cohort`."""
    if result.reason == Reason.UNSUPPORTED_DEFINITION and local is not None and _by_static_cohort(result.key, local):
        return STATIC_COHORT
    return str(result.reason)


class Undecidable:
    """Logs of each flag, once in a process, that it can never be decided locally. Safe to use from several threads."""

    def __init__(self, project: str) -> None:
        self._project = shorten(project)
        self._known = OnceEach()

    def tell(self, result: FlagResult, local: KnownFlags | None) -> None:
        """Log a warning if this flag is inconclusive for everybody."""
        if result.reason not in _NEVER or local is None or not self._known.begin(result.key):
            return
        reason = reason_of(result, local)
        log.warning(
            "flag %r can't be evaluated locally: %s; its default is given, unless PostHog is asked: pass "
            "fallback='remote', or call evaluate_flag",
            result.key,
            _NEVER[reason],
            extra={"project": self._project, "reason": reason},
        )


def _by_static_cohort(key: str, local: KnownFlags) -> bool:
    """Whether the flag goes by a cohort that the definitions do not contain, perhaps by way of another."""
    cohorts = local.shared.get("cohorts")
    known: Mapping[str, Any] = cohorts if isinstance(cohorts, Mapping) else {}
    filters = _mapping(local.definitions.get(key, {})).get("filters")
    seen: set[str] = set()
    ahead = list(_cohorts_in(_mapping(filters).get("groups")))
    while ahead:
        cohort = ahead.pop()
        if cohort not in known:
            return True
        if cohort not in seen:
            seen.add(cohort)
            ahead.extend(_cohorts_in(known[cohort]))
    return False


def _cohorts_in(value: Any) -> Iterator[str]:
    """The ids of the cohorts that conditions name, however deeply they are nested (their depth was checked before)."""
    ahead = [value]
    while ahead:
        one = ahead.pop()
        if isinstance(one, list):
            ahead.extend(one)
        elif isinstance(one, Mapping):
            if one.get("type") == "cohort":
                yield str(one.get("value"))
            else:
                ahead.extend(one.get(name) for name in ("properties", "values"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
