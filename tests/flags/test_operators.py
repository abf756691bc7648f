"""Operators beyond the golden cases: time zones, odd Python values, inline forms, complete properties."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hogbox.flags import FlagSet
from hogbox.flags._compiled.inline import inline_of
from hogbox.flags._operators.equality import exact
from hogbox.flags._operators.instant import BEFORE_EVERYTHING, SECOND, Relative
from hogbox.flags._operators.number import comparison
from hogbox.flags._operators.substring import contains
from hogbox.flags._operators.version import version_of
from hogbox.flags._value import text_of
from tests.flags.samples import document, one_filter


class Plan(StrEnum):
    PRO = "pro"


class Level(IntEnum):
    TWO = 2


class Colour(Enum):
    RED = "red"


def _evaluate(operator: str | None, value: object, seen: object, *, zone: Any = "UTC", **call: Any) -> object:
    flag_set = FlagSet.parse(one_filter(operator, value), timezone=zone)
    result = flag_set.evaluate("f", distinct_id="u1", person_properties={"p": seen}, **call)
    return result.value if result.conclusive else str(result.reason)


@pytest.mark.parametrize(
    ("value", "seen", "answer"),
    [
        ("pro", Plan.PRO, True),
        ("2", Level.TWO, True),
        ('[1,"a"]', (1, "a"), True),
        ("2024-06-01T00:00:00+00:00", datetime(2024, 6, 1, tzinfo=UTC), True),
        ("2024-06-01", date(2024, 6, 1), True),
        ("00000000-0000-0000-0000-000000000007", UUID(int=7), True),
        ("1.0", 1.0, True),
        ("1e-7", 1e-7, True),
        ("1.5e-7", 1.5e-7, True),
        ("0.00001", 1e-5, True),
        ("-0.000012", -1.2e-5, True),
        ("0.0001", 1e-4, True),
        ("1e+16", 1e16, True),
        ("1.5e+300", 1.5e300, True),
        ('{"a":[null,true,"é\\n"],"b":1}', {"b": 1, "a": [None, True, "é\n"]}, True),
        ("18446744073709551615", 2**64 - 1, True),
        ("x", 2**64, "missing_context"),
        ("x", float("inf"), "missing_context"),
        ("x", {1: "a"}, "missing_context"),
        ("x", {"a": {"b": {1}}}, "missing_context"),
        ("x", ["a", float("nan")], "missing_context"),
    ],
)
def test_p7_values_of_python_count_as_their_json_text_or_not_at_all(value: str, seen: object, answer: object) -> None:
    assert _evaluate("exact", value, seen) == answer


def test_p7_a_value_that_is_not_json_is_unknown_to_every_operator() -> None:
    for operator in ("is_set", "is_not", "icontains", "gt", "is_date_after"):
        assert _evaluate(operator, "2024-01-01" if "date" in operator else "1", object()) == "missing_context"


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("value", "seen", "zone", "answer"),
    [
        ("2024-06-01", "2024-05-31T22:00:00Z", BERLIN, True),
        ("2024-06-01", "2024-06-01T00:00:00Z", BERLIN, False),
        ("2024-06-01", "2024-06-01 00:00", BERLIN, True),
        ("2024-06-01", "2024-06-01", timezone(timedelta(hours=5)), True),
        ("2024-05-31T19:00:00Z", "2024-06-01", timezone(timedelta(hours=5)), True),
        # An hour that is there twice: the earlier one.
        ("2024-10-27 02:30", "2024-10-27T00:30:00Z", BERLIN, True),
        # An hour that is not there.
        ("2024-03-31 02:30", "2024-03-31T01:30:00Z", BERLIN, False),
        ("2024-03-31T01:30:00Z", "2024-03-31 02:30", BERLIN, False),
        ("9999-12-31 23:00", "9999-12-31", "America/New_York", "unsupported_definition"),
        ("2024-06-01T00:00:00.5Z", "2024-06-01T00:00:00.5009999999Z", "UTC", False),
        ("2024-06-01T00:00:00.5Z", "2024-06-01T00:00:00.5000000009Z", "UTC", True),
        ("2024-06-01T12:00:00+02:00", "2024-06-01T10:00:00z", "UTC", True),
        ("2024-06-01T12:00:00-23:59", "2024-06-02t11:59:00Z", "UTC", True),
        ("2024-06-01T12:00:00+24:00", "2024-06-01", "UTC", False),
        ("2024-06-01T12:00:00+00:60", "2024-06-01", "UTC", False),
        ("1717200000", "2024-06-01", "UTC", True),
        ("1717200000000000000", "2024-06-01", "UTC", True),
        ("17172000001", "2024-06-01", "UTC", False),
        ("2024-06-01", 1717200000.0, "UTC", True),
        ("2024-06-01", 1e300, "UTC", "missing_context"),
        ("2024-06-01", "inf", "UTC", "missing_context"),
        ("2024-06-01", "0000-01-01", "UTC", "missing_context"),
        ("2024-06-01", "2024-06-01t12:00:00", "UTC", "missing_context"),
        ("2024-06-01", "2024-06-01 23:59:60", "UTC", "missing_context"),
        ("2024-06-01", "2024-06-01 12:00Z", "UTC", "missing_context"),
        ("2024-06-01", "x" * 101, "UTC", "missing_context"),
        ("June 1", "2024-06-01", "UTC", "unsupported_definition"),
        ("June 1", "never", "UTC", False),
        ("June 1", {}, "UTC", False),
        (5, "2024-06-01", "UTC", False),
        ("-3d", "2024-06-01", "UTC", False),
    ],
)
def test_p7_dates_are_instants_in_the_projects_zone(value: object, seen: object, zone: Any, answer: object) -> None:
    assert _evaluate("is_date_exact", value, seen, zone=zone) == answer


@pytest.mark.parametrize(
    ("value", "now", "expected"),
    [
        ("2m", "2023-03-31T12:00:00+00:00", "2023-01-28T12:00:00+00:00"),
        ("2m", "2024-03-31T12:00:00+00:00", "2024-01-29T12:00:00+00:00"),
        ("1m", "2024-03-31T12:00:00+00:00", "2024-02-29T12:00:00+00:00"),
        ("1y", "2024-02-29T12:00:00+00:00", "2023-02-28T12:00:00+00:00"),
        ("4y", "2024-02-29T12:00:00+00:00", "2020-02-28T12:00:00+00:00"),
        ("0m", "2024-02-29T12:00:00+00:00", "2024-02-29T12:00:00+00:00"),
        ("13m", "2024-01-15T12:00:00+00:00", "2022-12-15T12:00:00+00:00"),
        ("36h", "2024-03-02T12:00:00+00:00", "2024-03-01T00:00:00+00:00"),
        ("-2w", "2024-03-15T12:00:00+00:00", "2024-03-01T12:00:00+00:00"),
    ],
)
def test_relative_dates_step_back_month_by_month(value: str, now: str, expected: str) -> None:
    moment, wanted = datetime.fromisoformat(now), datetime.fromisoformat(expected)
    earlier, later = (wanted - timedelta(seconds=1)).isoformat(), (wanted + timedelta(seconds=1)).isoformat()
    assert _evaluate("is_date_after", value, later, now=moment) is True
    assert _evaluate("is_date_after", value, wanted.isoformat(), now=moment) is False
    assert _evaluate("is_date_before", value, earlier, now=moment) is True


def test_relative_dates_are_on_the_wall_clock_of_the_zone() -> None:
    # Two days before is across the change of clocks: the same time of the day, 47 hours ago.
    now = datetime(2024, 4, 1, 10, tzinfo=ZoneInfo(BERLIN))
    moment = Relative(2, "d").before(now, ZoneInfo(BERLIN))
    assert moment == int(now.timestamp() - 47 * 3600) * SECOND
    # And 02:30 of the day before was not there at all.
    assert (
        _evaluate(
            "is_date_after",
            "1d",
            "2024-04-01",
            zone=BERLIN,
            now=datetime(2024, 4, 1, 2, 30, tzinfo=ZoneInfo(BERLIN)),
        )
        is False
    )


def test_a_relative_date_before_the_first_year_is_before_everything() -> None:
    now = datetime(2024, 6, 1, tzinfo=UTC)
    for text in ("9999y", "9999m", "9000w"):
        before = Relative(int(text[:-1]), text[-1]).before(datetime(20, 1, 1, tzinfo=UTC), UTC)
        assert before == BEFORE_EVERYTHING
    assert _evaluate("is_date_after", "9999y", "0001-01-01", now=now) is True


def test_p7_two_relative_dates_that_are_equal_are_unknown() -> None:
    assert _evaluate("is_date_after", "3d", "3d") == "unsupported_definition"
    assert _evaluate("is_date_after", "3d", "2d") is True


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=8), st.one_of(st.text(max_size=8), st.lists(st.text(max_size=3), max_size=3)))
def test_the_inline_forms_of_text_operators_answer_the_same(text: str, value: Any) -> None:
    for check in (exact(value, 2), contains(value)):
        inline = inline_of(check)
        if inline is not None:
            expression = inline.expression.format(value="value", constant="constant", judge="judge")
            names = {"value": text, "constant": inline.constant, "judge": check.judge}
            assert eval(expression, names) == check.judge(text)


@given(
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats()),
    st.sampled_from(["gt", "gte", "lt", "lte"]),
)
def test_the_inline_forms_of_comparisons_answer_the_same(number: int, value: Any, operator: str) -> None:
    check = comparison(operator, value)
    inline = inline_of(check)
    assert inline is not None
    expression = inline.expression.format(value="value", constant="constant")
    assert eval(expression, {"value": number, "constant": inline.constant}) == check.judge(number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_float_reads_back(number: float) -> None:
    assert float(text_of(number)) == number


@given(
    st.lists(
        st.from_regex(r"v?\d{1,3}(\.\d{1,3}){0,2}(-[a-z0-9]{1,2}(\.\d)?)?(\+[0-9]{1,2})?", fullmatch=True),
        min_size=3,
        max_size=3,
    )
)
def test_versions_have_one_order(texts: list[str]) -> None:
    versions = sorted(version for version in map(version_of, texts) if version is not None)
    assert all(one <= other for one, other in itertools.pairwise(versions))


@pytest.mark.parametrize(
    ("operator", "value", "seen", "answer"),
    [
        ("semver_wildcard", "1.2-beta", "1.2.3", "unsupported_definition"),
        ("semver_wildcard", "*.*", "1.2.3", "unsupported_definition"),
        ("semver_wildcard", "1.2.3-beta", "1.2.3-beta", True),
        ("semver_caret", "1.x", "1.2.3", "unsupported_definition"),
        ("semver_caret", "1 || 2", "1.2.3", "unsupported_definition"),
        ("semver_caret", "0.0.0", "0.0.0", True),
        ("semver_wildcard", "0.0", "0.0.7", True),
        ("semver_eq", "1.2.3+01", "1.2.3+1", False),
        ("semver_gt", "1.2.3+1", "1.2.3+01", True),
        ("semver_gt", "1.0", "9" * 30, False),
        ("semver_eq", "1.2.3", "1.2.3\x1c", False),
        ("semver_eq", "1.2.3", "1.2.3\u3000", True),
        ("between", [1, 5], "nan", False),
        ("not_between", [1, 5], 7, True),
        ("not_between", [5, 1], 7, False),
        ("not_icontains_multi", ["a", "b"], "xyz", True),
    ],
)
def test_details_of_operators(operator: str, value: object, seen: object, answer: object) -> None:
    assert _evaluate(operator, value, seen) == answer


NEGATIVE = [
    "is_not",
    "not_icontains",
    "not_icontains_multi",
    "not_starts_with",
    "not_ends_with",
    "not_regex",
    "not_between",
    "is_not_set",
]
POSITIVE = [
    "exact",
    "icontains",
    "icontains_multi",
    "starts_with",
    "ends_with",
    "regex",
    "gt",
    "gte",
    "lt",
    "lte",
    "between",
    "semver_eq",
    "semver_neq",
    "semver_gt",
    "semver_wildcard",
    "is_date_before",
    "is_date_after",
    "is_date_exact",
    "is_set",
    "in",
    "not_in",
    "flag_evaluates_to",
]


@pytest.mark.parametrize("operator", NEGATIVE + POSITIVE)
@pytest.mark.parametrize("value", ["1", "(", [5, 1], "2024-01-01", "June 1"])
def test_p7_with_complete_properties_a_missing_one_is_unset(operator: str, value: object) -> None:
    flag_set = FlagSet.parse(one_filter(operator, value))
    complete = flag_set.evaluate("f", distinct_id="u1", properties_complete=True)
    assert complete.value is (operator in NEGATIVE)
    assert flag_set.evaluate("f", distinct_id="u1").value in (None, False)


def test_with_complete_properties_a_filter_without_a_value_still_never_matches() -> None:
    for operator in [*NEGATIVE, *POSITIVE]:
        result = FlagSet.parse(one_filter(operator, None)).evaluate("f", distinct_id="u1", properties_complete=True)
        assert result.value is (operator == "is_not_set")


def test_with_complete_properties_an_unknown_operator_stays_unknown() -> None:
    result = FlagSet.parse(one_filter("nonesuch", 1)).evaluate("f", distinct_id="u1", properties_complete=True)
    assert result.reason == "unsupported_definition"


def test_with_complete_properties_enrolment_falls_through_to_the_conditions() -> None:
    enrolment = {"key": "f", "active": True, "filters": {"groups": [{}], "feature_enrollment": True}}
    flag_set = FlagSet.parse(document(enrolment))
    assert flag_set.evaluate("f", distinct_id="u1").value is None
    assert flag_set.evaluate("f", distinct_id="u1", properties_complete=True).reason == "condition_match"


def test_p7_an_enrolment_that_is_not_json_is_unknown() -> None:
    enrolment = {"key": "f", "active": True, "filters": {"groups": [{}], "feature_enrollment": True}}
    flag_set = FlagSet.parse(document(enrolment))
    values: dict[str, object] = {"true": True, "TRUE": False, "yes": False}
    for value, expected in values.items():
        properties = {"$feature_enrollment/f": value}
        assert flag_set.evaluate("f", distinct_id="u1", person_properties=properties).value is expected
    properties_of_python = {"$feature_enrollment/f": object()}
    assert flag_set.evaluate("f", distinct_id="u1", person_properties=properties_of_python).value is None


def test_with_complete_properties_legacy_super_groups_that_read_nothing_are_passed_over() -> None:
    legacy = {"properties": [{"key": "p", "type": "person", "operator": "exact", "value": "x"}]}
    raw = {"key": "f", "active": True, "filters": {"groups": [{}], "super_groups": [legacy]}}
    flag_set = FlagSet.parse(document(raw))
    assert flag_set.evaluate("f", distinct_id="u1").value is None
    assert flag_set.evaluate("f", distinct_id="u1", properties_complete=True).value is True
    assert flag_set.evaluate("f", distinct_id="u1", person_properties={"p": "x"}).value is True
    assert flag_set.evaluate("f", distinct_id="u1", person_properties={"p": "y"}).value is None
    assert flag_set.evaluate("f", distinct_id="u1", person_properties={"p": object()}).value is None
