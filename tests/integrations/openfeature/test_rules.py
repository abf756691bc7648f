"""Flags with rules: their typed values, reasons, errors and metadata."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagType, Reason

from hogbox import FlagResult, Flags
from hogbox._client.snapshot import NOBODY, View
from hogbox.integrations.openfeature.resolution import resolve
from tests.emulator.flag_case import definitions
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store
from tests.integrations.openfeature.conftest import ADA, TOKEN, Install, Installed, Kind

RULE = str(UUID(int=7))
PRO = {"key": "plan", "type": "person", "operator": "exact", "value": "pro"}
WHOM: dict[str, Any] = {"id": RULE, "targeting": {"properties": []}}
DRAWN: dict[str, Any] = {"assignment_algorithm": "sha1_60_v1", "seed": "s", "on_rollout_miss": "return_default"}


def rules(key: str, kind: str, default: Any, *rules: dict[str, Any], **entry: Any) -> dict[str, Any]:
    filters = {"version": 2, "return_type": kind, "default_value": default, "rules": list(rules)}
    return {"id": 71, "key": key, "active": True, "version": 4, "filters": filters, **entry}


def release(key: str, kind: str, value: Any) -> dict[str, Any]:
    return rules(key, kind, None, {**WHOM, "rule_type": "targeted_release", "value": value})


def experiment(key: str, **fields: Any) -> dict[str, Any]:
    variants = [{"key": name, "weight": 50, "value": name} for name in ("a", "b")]
    one = {**WHOM, **DRAWN, "rule_type": "experiment", "experiment_id": None, "variants": variants}
    return rules(key, "string", "usual", {**one, "paused": False, "rollout_percentage": 100, **fields})


DOCUMENT = definitions(
    release("yes", "boolean", True),
    release("no", "boolean", False),
    release("text", "string", "blue"),
    release("whole", "number", 5),
    release("round", "number", 5.0),
    release("half", "number", 0.5),
    release("zero", "number", 0),
    release("object", "object", {"limit": [5]}),
    release("empty", "object", {}),
    rules("default", "number", 7),
    rules("nothing", "number", None),
    rules("off", "number", 7, active=False),
    rules(
        "missed", "number", 7, {**WHOM, **DRAWN, "rule_type": "percentage_rollout", "value": 9, "rollout_percentage": 0}
    ),
    rules(
        "pro", "number", 7, {**WHOM, "targeting": {"properties": [PRO]}, "rule_type": "targeted_release", "value": 9}
    ),
    experiment("split"),
    experiment("paused", paused=True),
    experiment("held", holdout={"id": None, "seed": "h", "exclusion_percentage": 100}),
    rules("malformed", "number", "text"),
)


@pytest.fixture
def installed(install: Install, database: TestDatabase) -> Installed:
    store(database, TOKEN, DOCUMENT)
    return install()


@pytest.mark.parametrize(
    ("kind", "key", "default", "value"),
    [
        ("boolean", "yes", False, True),
        ("boolean", "no", True, False),
        ("string", "text", "", "blue"),
        ("integer", "whole", 1, 5),
        ("integer", "round", 1, 5),
        ("integer", "zero", 1, 0),
        ("float", "half", 1.0, 0.5),
        ("float", "whole", 1.0, 5.0),
        ("object", "object", {}, {"limit": [5]}),
        ("object", "empty", {"a": 1}, {}),
    ],
)
def test_a_value_has_its_type(installed: Installed, kind: Kind, key: str, default: object, value: object) -> None:
    details = installed.details(kind, key, default)
    assert (details.value, details.reason, details.error_code) == (value, Reason.TARGETING_MATCH, None)
    assert type(details.value) is type(value)
    assert details.variant is None


@pytest.mark.parametrize(
    ("kind", "key", "default"),
    [
        ("boolean", "text", True),
        ("boolean", "whole", True),
        ("boolean", "object", True),
        ("string", "yes", "red"),
        ("string", "no", "red"),
        ("string", "whole", "red"),
        ("integer", "half", 3),
        ("integer", "yes", 3),
        ("integer", "text", 3),
        ("float", "no", 0.1),
        ("float", "object", 0.1),
        ("object", "text", {}),
        ("object", "no", {}),
    ],
)
def test_another_type_is_never_converted(installed: Installed, kind: Kind, key: str, default: object) -> None:
    details = installed.details(kind, key, default)
    assert (details.value, details.reason, details.error_code) == (default, Reason.ERROR, ErrorCode.TYPE_MISMATCH)
    assert kind in (details.error_message or "")


@pytest.mark.parametrize(
    ("kind", "key", "default", "value", "reason", "code"),
    [
        ("integer", "default", 3, 7, Reason.DEFAULT, "no_rule_match"),
        ("integer", "nothing", 3, 3, Reason.DEFAULT, "no_rule_match"),
        ("integer", "off", 3, 3, Reason.DISABLED, "flag_disabled"),
        ("integer", "missed", 3, 7, Reason.DEFAULT, "rollout_miss"),
        ("integer", "pro", 3, 3, Reason.DEFAULT, "missing_context"),
        ("string", "split", "", "a", Reason.TARGETING_MATCH, "targeting_match"),
        ("string", "paused", "", "usual", Reason.DEFAULT, "experiment_paused"),
        ("string", "held", "", "usual", Reason.DEFAULT, "holdout"),
    ],
)
def test_the_reason(
    installed: Installed, kind: Kind, key: str, default: object, value: object, reason: Reason, code: str
) -> None:
    details = installed.details(kind, key, default)
    assert (details.value, details.reason, details.error_code) == (value, reason, None)
    assert details.flag_metadata["reason_code"] == code
    assert details.variant is None


def test_the_metadata_names_the_rule(installed: Installed) -> None:
    assert installed.details("integer", "whole", 0).flag_metadata == {
        "reason_code": "targeting_match",
        "condition_index": 0,
        "config_version": 2,
        "rule_type": "targeted_release",
        "rule_id": RULE,
        "id": 71,
        "version": 4,
        "locally_evaluated": True,
    }


def test_rules_that_cannot_be_read_are_an_error(installed: Installed) -> None:
    details = installed.details("integer", "malformed", 3)
    assert (details.value, details.error_code) == (3, ErrorCode.PARSE_ERROR)


def test_a_value_of_none_is_decided_and_posthog_is_not_asked(install: Install, database: TestDatabase) -> None:
    store(database, TOKEN, DOCUMENT)
    installed = install(fallback="remote", host="http://127.0.0.1:9")
    for key in ("nothing", "off"):
        assert installed.details("integer", key, 3, ADA).value == 3


def remote(reason: str, value: Any = None, **fields: Any) -> FlagResolutionDetails[str]:
    """What is told of an answer of PostHog."""
    result = FlagResult("f", value, reason, config_version=2, **fields)
    return resolve(FlagType.STRING, "f", "mine", result, Flags(View(None, NOBODY, datetime.now(UTC), 1)))


def test_an_experiment_of_posthog_names_its_variant() -> None:
    details = remote("experiment_split", "blue", variant_key="test", rule_type="experiment", rule_id=RULE)
    assert (details.value, details.reason, details.variant) == ("blue", Reason.SPLIT, "test")
    assert details.flag_metadata["variant_key"] == "test"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("missing_group_key", ErrorCode.INVALID_CONTEXT),
        ("dependency_error", ErrorCode.GENERAL),
        ("error", ErrorCode.GENERAL),
    ],
)
def test_a_flag_that_posthog_could_not_evaluate_is_an_error(reason: str, code: ErrorCode) -> None:
    with pytest.raises(OpenFeatureError) as caught:
        remote(reason, failed=True)
    assert caught.value.error_code == code
