"""regex and not_regex (section 9.4)."""

from __future__ import annotations

from hogbox.flags._operators.check import PropertyCheck, negated, unsupported
from hogbox.flags._pattern.parser import parse
from hogbox.flags._pattern.search import PatternSearch, search_of
from hogbox.flags._pattern.tree import InvalidPatternError, UnsupportedPatternError
from hogbox.flags._value import Json, text_of


def regex(operator_name: str, value: Json) -> PropertyCheck:
    """regex or not_regex with the pattern `value`; an invalid pattern matches for neither."""
    try:
        pattern = parse(text_of(value))
    except InvalidPatternError as invalid:
        return PropertyCheck(lambda _: False, problem=f"the pattern is invalid: {invalid}")
    except UnsupportedPatternError as unsupported_part:
        return unsupported(f"only the service's engine reads the pattern: {unsupported_part}")

    search = search_of(pattern)
    check = PropertyCheck(search, cost=search.cost if isinstance(search, PatternSearch) else None)
    return check if operator_name == "regex" else negated(check)
