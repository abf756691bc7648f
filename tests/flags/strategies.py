"""Hypothesis strategies: documents and people of every shape, likely and absurd."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from http import HTTPMethod, HTTPStatus
from re import RegexFlag
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

OPERATORS = [
    "exact",
    "is_not",
    "is_set",
    "is_not_set",
    "icontains",
    "not_icontains",
    "icontains_multi",
    "not_icontains_multi",
    "starts_with",
    "not_starts_with",
    "ends_with",
    "not_ends_with",
    "regex",
    "not_regex",
    "gt",
    "gte",
    "lt",
    "lte",
    "between",
    "not_between",
    "is_date_before",
    "is_date_after",
    "is_date_exact",
    "semver_eq",
    "semver_neq",
    "semver_gt",
    "semver_gte",
    "semver_lt",
    "semver_lte",
    "semver_tilde",
    "semver_caret",
    "semver_wildcard",
    "in",
    "not_in",
    "flag_evaluates_to",
    "nonesuch",
]

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "true",
            "FALSE",
            "1.2.3",
            "v1.2",
            "1.*",
            "*",
            "x",
            "1.2.3-rc.1+b",
            ">1",
            "2024-06-01",
            "-3d",
            "2024-02-30",
            "2024-06-01T12:00:00Z",
            "1717243200",
            "nan",
            "inf",
            "1e400",
            "(a+)+$",
            "(",
            "a{2,1}",
            "^$",
            r"\w+\s",
            "[a-z]",
            "\ud800",
            "x" * 300,
            "9" * 40,
            "9" * 5000,
            "\x1c",
            "İ",
            "ß",
            "🦔",
        ]
    ),
)

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)

THINGS = st.one_of(
    JSON,
    st.sampled_from(
        [
            datetime(2024, 6, 1, tzinfo=UTC),
            date(2024, 6, 1),
            UUID(int=7),
            Decimal("1.5"),
            Decimal("NaN"),
            HTTPMethod.GET,
            HTTPStatus.OK,
            RegexFlag.DOTALL | RegexFlag.ASCII,
            object(),
            b"bytes",
            {1: 2},
            (1, "a"),
            2**64,
            -(2**63) - 1,
            10**5000,
            {"a", "b"},
            [[object()]],
            {"a": object()},
            float("nan"),
        ]
    ),
)
"""What Python code passes as a property."""

KEYS = st.sampled_from(["a", "b", "distinct_id", "$group_key", "$device_id", "", "ü"])
FLAG_KEYS = st.sampled_from(["f0", "f1", "f2", "ghost", ""])


def filters() -> st.SearchStrategy[dict[str, Any]]:
    """A filter of any type, mostly well-formed."""
    return st.fixed_dictionaries(
        {
            "key": st.one_of(KEYS, FLAG_KEYS),
            "operator": st.sampled_from(OPERATORS),
            "value": st.one_of(JSON, FLAG_KEYS),
        },
        optional={
            "type": st.sampled_from(["person", "group", "cohort", "flag", "event", None]),
            "negation": st.one_of(st.booleans(), JSON),
            "group_type_index": st.sampled_from([0, 1, 7, None, "0"]),
            "dependency_chain": st.one_of(st.none(), st.lists(FLAG_KEYS, max_size=2)),
        },
    )


def cohorts() -> st.SearchStrategy[Any]:
    """A cohort, mostly well-formed."""
    reference = st.fixed_dictionaries({"type": st.just("cohort"), "value": st.integers(0, 3)})
    return st.recursive(
        st.one_of(filters(), reference, JSON),
        lambda inner: st.fixed_dictionaries(
            {"type": st.sampled_from(["AND", "OR", "property", None]), "values": st.lists(inner, max_size=3)}
        ),
        max_leaves=5,
    )


PERCENTAGES = st.sampled_from([None, 0, 100, 50, 12.5, -1, 1e308, 10**400, True, "50"])
INDEXES = st.sampled_from([None, 0, 1, 5, "0", 10**5000])


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    """A condition, mostly well-formed."""
    return st.fixed_dictionaries(
        {"properties": st.one_of(st.lists(filters(), max_size=3), st.none())},
        optional={
            "rollout_percentage": PERCENTAGES,
            "variant": st.sampled_from(["v", "w", "", None]),
            "aggregation_group_type_index": INDEXES,
        },
    )


def flags(key: str) -> st.SearchStrategy[dict[str, Any]]:
    """A flag, mostly well-formed."""
    variants = st.fixed_dictionaries(
        {"key": st.sampled_from(["v", "w"]), "rollout_percentage": st.sampled_from([0, 50, 100, -5])}
    )
    return st.fixed_dictionaries(
        {
            "key": st.just(key),
            "active": st.sampled_from([True, True, True, False]),
            "filters": st.fixed_dictionaries(
                {"groups": st.lists(conditions(), max_size=3)},
                optional={
                    "aggregation_group_type_index": INDEXES,
                    "early_exit": st.booleans(),
                    "feature_enrollment": st.booleans(),
                    "multivariate": st.one_of(
                        st.fixed_dictionaries({"variants": st.lists(variants, max_size=3)}), JSON
                    ),
                    "payloads": st.one_of(st.dictionaries(st.sampled_from(["true", "v"]), THINGS), JSON),
                    "holdout": st.fixed_dictionaries({"id": st.integers(), "exclusion_percentage": PERCENTAGES}),
                    "super_groups": st.lists(conditions(), max_size=2),
                },
            ),
        },
        optional={
            "bucketing_identifier": st.sampled_from(["device_id", "distinct_id", None, 5]),
            "ensure_experience_continuity": st.sampled_from([True, False, None, "yes"]),
            "deleted": st.booleans(),
        },
    )


DOCUMENTS = st.fixed_dictionaries(
    {
        "flags": st.tuples(flags("f0"), flags("f1"), flags("f2")).map(list),
        "cohorts": st.dictionaries(st.sampled_from(["0", "1", "2", "3"]), cohorts(), max_size=4),
        "group_type_mapping": st.sampled_from([{"0": "company", "1": "project"}, {}, {"0": ""}, {"0": 5}]),
        "property_matching_version": st.sampled_from([1, 2, "2", None]),
    }
)
"""Documents with the flags f0, f1 and f2."""

CALLS = st.fixed_dictionaries(
    {"distinct_id": st.one_of(TEXTS, st.just("user-1"))},
    optional={
        "groups": st.dictionaries(st.sampled_from(["company", "project", "x"]), THINGS, max_size=2),
        "person_properties": st.dictionaries(KEYS, THINGS, max_size=5),
        "group_properties": st.dictionaries(
            st.sampled_from(["company", "project"]), st.dictionaries(KEYS, THINGS, max_size=3), max_size=2
        ),
        "device_id": st.one_of(st.none(), TEXTS),
        "properties_complete": st.booleans(),
        "now": st.sampled_from([None, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]),
    },
)
"""Arguments of evaluate, beside the key."""
