"""Values of every type, with their reasons, variants, metadata and errors."""

from __future__ import annotations

from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from tests.emulator.flag_case import definitions, flag, on, where
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store
from tests.integrations.openfeature.conftest import ADA, TOKEN, Install, Installed, Kind

NONE: dict[str, Any] = {}


def payload(text: str) -> dict[str, Any]:
    return {"payloads": {"true": text}}


def variants(key: str, **payloads: str) -> dict[str, Any]:
    return {"multivariate": {"variants": [{"key": key, "rollout_percentage": 100}]}, "payloads": payloads}


DOCUMENT = definitions(
    flag("on"),
    flag("disabled", active=False),
    flag("whole", filters=payload("5")),
    flag("round", filters=payload("5.0")),
    flag("huge", filters=payload("1" + "0" * 400)),
    flag("half", filters=payload("0.5")),
    flag("true", filters=payload("true")),
    flag("object", filters=payload('{"limit": 5}')),
    flag("list", filters=payload("[1, 2]")),
    flag("text", filters=payload('"hello"')),
    flag("blue", filters=variants("blue", blue='{"shade": 3}')),
    flag("seven", filters=variants("7")),
    flag("1.5", filters=variants("1.5")),
    flag("nan", filters=variants("nan")),
    flag("seven pays", filters=variants("7", **{"7": "9"})),
    flag("pro", where("plan", "pro")),
    flag("nobody", {"properties": [], "rollout_percentage": 0}),
    flag("most", {"properties": [], "rollout_percentage": 99.9}),
    flag("second", where("plan", "pro"), {"properties": [], "rollout_percentage": 100}),
    flag("forced", {"properties": [], "rollout_percentage": 100, "variant": "blue"}, filters=variants("blue")),
    flag("company", where("seats", 10, "gt", "group", group_type_index=0), filters={"aggregation_group_type_index": 0}),
    flag("device", bucketing_identifier="device_id"),
    flag("follows", on("on")),
    flag("enrolled", filters={"feature_enrollment": True}),
    flag("held out", filters={"holdout": {"id": 3, "exclusion_percentage": 100}}),
)


@pytest.fixture
def installed(install: Install, database: TestDatabase) -> Installed:
    store(database, TOKEN, DOCUMENT)
    return install()


def person(**attributes: Any) -> EvaluationContext:
    return EvaluationContext("ada", attributes)


@pytest.mark.parametrize(
    ("kind", "key", "default", "value", "variant"),
    [
        ("boolean", "on", False, True, "true"),
        ("boolean", "blue", False, True, "blue"),
        ("boolean", "disabled", True, False, "false"),
        ("string", "blue", "red", "blue", "blue"),
        ("string", "text", "", "hello", "true"),
        ("integer", "whole", 0, 5, "true"),
        ("integer", "round", 0, 5, "true"),
        ("integer", "huge", 0, 10**400, "true"),
        ("integer", "seven", 0, 7, "7"),
        ("integer", "seven pays", 0, 9, "7"),
        ("float", "half", 0.0, 0.5, "true"),
        ("float", "whole", 0.0, 5.0, "true"),
        ("float", "seven", 0.0, 7.0, "7"),
        ("float", "1.5", 0.0, 1.5, "1.5"),
        ("object", "object", NONE, {"limit": 5}, "true"),
        ("object", "list", [], [1, 2], "true"),
        ("object", "blue", NONE, {"shade": 3}, "blue"),
    ],
)
def test_a_value_of_each_type(
    installed: Installed, kind: Kind, key: str, default: object, value: object, variant: str
) -> None:
    details = installed.details(kind, key, default)
    assert (details.value, details.variant, details.error_code) == (value, variant, None)
    assert type(details.value) is type(value)


@pytest.mark.parametrize(
    ("kind", "key", "default"),
    [
        ("string", "on", "red"),
        ("string", "object", "red"),
        ("integer", "on", 3),
        ("integer", "half", 3),
        ("integer", "true", 3),
        ("integer", "blue", 3),
        ("integer", "1.5", 3),
        ("float", "text", 0.1),
        ("float", "nan", 0.1),
        ("float", "huge", 0.1),
        ("object", "on", NONE),
        ("object", "whole", NONE),
    ],
)
def test_a_value_of_another_type(installed: Installed, kind: Kind, key: str, default: object) -> None:
    details = installed.details(kind, key, default)
    assert (details.value, details.reason, details.error_code) == (default, Reason.ERROR, ErrorCode.TYPE_MISMATCH)
    assert kind in (details.error_message or "")


@pytest.mark.parametrize(
    ("kind", "default"), [("string", "red"), ("integer", 3), ("float", 0.5), ("object", {"limit": 1})]
)
def test_a_flag_that_is_off_gives_the_default(installed: Installed, kind: Kind, default: object) -> None:
    details = installed.details(kind, "disabled", default)
    assert (details.value, details.reason, details.error_code) == (default, Reason.DISABLED, None)


@pytest.mark.parametrize(
    ("key", "context", "value", "reason"),
    [
        ("on", ADA, True, Reason.STATIC),
        ("disabled", ADA, False, Reason.DISABLED),
        ("pro", person(plan="pro"), True, Reason.TARGETING_MATCH),
        ("pro", person(plan="free"), False, Reason.DEFAULT),
        ("second", person(plan="free"), True, Reason.TARGETING_MATCH),
        ("follows", ADA, True, Reason.TARGETING_MATCH),
        ("most", ADA, True, Reason.SPLIT),
        ("nobody", ADA, False, Reason.SPLIT),
        ("blue", ADA, True, Reason.SPLIT),
        ("forced", ADA, True, Reason.STATIC),
        ("company", ADA, False, Reason.DEFAULT),
        ("enrolled", person(**{"$feature_enrollment/enrolled": "true"}), True, Reason.TARGETING_MATCH),
        ("held out", ADA, True, Reason.SPLIT),
    ],
)
def test_the_reason(installed: Installed, key: str, context: EvaluationContext, value: bool, reason: Reason) -> None:
    details = installed.details("boolean", key, not value, context)
    assert (details.value, details.reason, details.error_code) == (value, reason, None)


@pytest.mark.parametrize("default", [True, False])
def test_inconclusive_is_the_default_with_the_reason(installed: Installed, default: bool) -> None:
    details = installed.details("boolean", "pro", default)
    assert (details.value, details.reason, details.variant) == (default, Reason.DEFAULT, None)
    assert details.flag_metadata["reason_code"] == "missing_context"


def test_metadata(installed: Installed) -> None:
    details = installed.details("boolean", "pro", False, person(plan="pro"))
    assert details.flag_metadata == {
        "reason_code": "condition_match",
        "config_version": 1,
        "condition_index": 0,
        "id": 71,
        "version": 4,
        "locally_evaluated": True,
    }


def test_an_unknown_flag(installed: Installed) -> None:
    details = installed.details("boolean", "nonsense", True)
    assert (details.value, details.reason, details.error_code) == (True, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)


@pytest.mark.parametrize("key", ["on", "nonsense"])
def test_no_targeting_key(installed: Installed, key: str) -> None:
    details = installed.details("boolean", key, True, EvaluationContext())
    assert (details.value, details.error_code) == (True, ErrorCode.TARGETING_KEY_MISSING)


def test_nothing_stored_yet(install: Install) -> None:
    for options in ({}, {"personal_api_key": "phs_tests"}, {"disabled": True}):
        details = install(**options).details("boolean", "on", True)
        assert (details.value, details.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)


def test_definitions_that_cannot_be_read(install: Install, database: TestDatabase) -> None:
    store(database, TOKEN, "no definitions")
    details = install().details("boolean", "on", True)
    assert (details.value, details.error_code) == (True, ErrorCode.PARSE_ERROR)


def test_groups_and_their_properties(installed: Installed) -> None:
    big = person(groups={"company": "acme"}, group_properties={"company": {"seats": 12}})
    small = person(groups={"company": "acme"}, group_properties={"company": {"seats": 2}})
    assert installed.details("boolean", "company", False, big).value is True
    assert installed.details("boolean", "company", True, small).value is False


def test_a_device(installed: Installed) -> None:
    assert installed.details("boolean", "device", False).reason == Reason.DEFAULT
    assert installed.details("boolean", "device", False, person(**{"$device_id": "d-1"})).value is True


@pytest.mark.parametrize(
    "attributes",
    [{"groups": "acme"}, {"group_properties": ["seats"]}, {"$device_id": 7}],
    ids=lambda one: next(iter(one)),
)
def test_attributes_that_cannot_be_what_they_are(installed: Installed, attributes: dict[str, Any]) -> None:
    details = installed.details("boolean", "on", True, person(**attributes))
    assert (details.value, details.error_code) == (True, ErrorCode.INVALID_CONTEXT)
    assert next(iter(attributes)) in (details.error_message or "")


def test_properties_of_the_group_that_cannot_be(installed: Installed) -> None:
    context = person(groups={"company": "acme"}, group_properties={"company": 7})
    details = installed.details("boolean", "company", True, context)
    assert (details.value, details.error_code) == (True, ErrorCode.INVALID_CONTEXT)
