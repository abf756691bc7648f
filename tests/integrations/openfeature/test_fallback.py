"""With a fallback PostHog is asked for what can't be evaluated here."""

from __future__ import annotations

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus

from hogbox.emulator import Emulator
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store
from tests.integrations.openfeature.conftest import ADA, TOKEN, Install

DOCUMENT = definitions(flag("on"), flag("pro", where("plan", "pro"), filters={"payloads": {"true": "[3]"}}))


def asked(emulator: Emulator) -> int:
    return len(emulator.requests(path="/flags/"))


def test_inconclusive_flags_are_posthogs(install: Install, database: TestDatabase, emulator: Emulator) -> None:
    store(database, TOKEN, DOCUMENT)
    emulator.set_flags(DOCUMENT)
    installed = install(fallback="remote", host=emulator.url)
    assert installed.details("boolean", "on", False).value is True
    assert asked(emulator) == 0
    details = installed.details("boolean", "pro", True)
    assert (details.value, details.reason) == (False, Reason.DEFAULT)
    assert details.flag_metadata["locally_evaluated"] is False
    assert asked(emulator) == 1


def test_without_definitions_everything_is_posthogs(install: Install, emulator: Emulator) -> None:
    emulator.set_flags(DOCUMENT)
    installed = install(fallback="remote", host=emulator.url)
    assert installed.client.get_provider_status() is ProviderStatus.READY
    pro = EvaluationContext("ada", {"plan": "pro"})
    details = installed.details("object", "pro", [], pro)
    assert (details.value, details.reason) == ([3], Reason.TARGETING_MATCH)
    assert details.flag_metadata["version"] == 4


def test_p8_posthog_away_is_the_default(install: Install, database: TestDatabase) -> None:
    away = install(fallback="remote", host="http://127.0.0.1:9")
    details = away.details("boolean", "pro", True)
    assert (details.value, details.error_code) == (True, ErrorCode.GENERAL)
    store(database, TOKEN, DOCUMENT)
    details = away.details("boolean", "pro", True, ADA)
    assert (details.value, details.reason, details.error_code) == (True, Reason.DEFAULT, None)
    assert away.details("boolean", "nonsense", True).error_code == ErrorCode.FLAG_NOT_FOUND
