"""is_date_before, is_date_after, is_date_exact (section 9.5)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime, tzinfo
from types import MappingProxyType

from hogbox.flags._operators.check import PropertyCheck, never, unsupported
from hogbox.flags._operators.instant import NO_DATE, Moment, Relative, Unreadable, of_filter, of_property
from hogbox.flags._reason import Outcome, Reason
from hogbox.flags._value import Json

_COMPARISONS: MappingProxyType[str, Callable[[int, int], bool]] = MappingProxyType(
    {"is_date_before": operator.lt, "is_date_after": operator.gt, "is_date_exact": operator.eq}
)
_UNREAD = "only the service's lenient parser reads the date in the filter"


def dated(operator_name: str, value: Json, zone: tzinfo, *, moving: bool = False) -> PropertyCheck:
    """One of the three operators with `value`, on the clock of `zone`.

    A relative date is exact at no time, unless it is compared while it is `moving`.
    """
    bound = of_filter(value, zone)
    if bound == NO_DATE:
        return never("the filter's value is not a date")
    if isinstance(bound, Relative) and operator_name == "is_date_exact" and not moving:
        return never("a relative date is exact at no time")
    compare = _COMPARISONS[operator_name]

    def judge_at(seen: Json, now: datetime) -> Outcome:
        moment = of_property(seen, zone)
        mine, its = _at(moment, now, zone), _at(bound, now, zone)
        if NO_DATE in (mine, its):
            return False
        if isinstance(its, Unreadable):
            return Reason.UNSUPPORTED_DEFINITION
        if isinstance(mine, Unreadable):
            return Reason.MISSING_CONTEXT
        # Two relative dates depend on two readings of the service's clock.
        if mine == its and isinstance(moment, Relative) and isinstance(bound, Relative):
            return Reason.UNSUPPORTED_DEFINITION
        return compare(mine, its)

    check = unsupported(_UNREAD) if isinstance(bound, Unreadable) else PropertyCheck(lambda _: Reason.MISSING_CONTEXT)
    return check._replace(judge_at=judge_at)


def _at(moment: Moment, now: datetime, zone: tzinfo) -> int | Unreadable:
    return moment.before(now, zone) if isinstance(moment, Relative) else moment
