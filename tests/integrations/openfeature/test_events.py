"""Provider events, and the state that OpenFeature gives the provider for them."""

from __future__ import annotations

from queue import Empty
from typing import Any

import pytest
from openfeature import api
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.provider import ProviderStatus
from sqlalchemy.orm import Session

from hogbox import PostHog
from hogbox.errors import TablesMissing
from hogbox.integrations.openfeature import HogboxProvider
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.fixtures.stored import store
from tests.integrations.openfeature.conftest import ADA, TOKEN, Install

READY = ProviderEvent.PROVIDER_READY
ERROR = ProviderEvent.PROVIDER_ERROR
CHANGED = ProviderEvent.PROVIDER_CONFIGURATION_CHANGED

SOON = 10.0


def document(*keys: str, **fields: Any) -> dict[str, Any]:
    return definitions(*[flag(key, **fields) for key in keys])


@pytest.mark.parametrize("noticed_by", ["an evaluation", "a look"])
def test_changed_definitions_are_told_with_their_keys(
    install: Install, database: TestDatabase, noticed_by: str
) -> None:
    store(database, TOKEN, document("same", "gone"))
    installed = install()
    heard = installed.listen(CHANGED)
    installed.details("boolean", "same", False)
    store(database, TOKEN, document("same", "new"))
    for _ in range(2):
        if noticed_by == "a look":
            installed.look()
        else:
            installed.details("boolean", "same", False)
    told = heard.get(timeout=SOON)
    assert sorted(told.flags_changed or []) == ["gone", "new"]
    assert told.metadata == {"revision": 2}
    assert told.provider_name == "hogbox"
    store(database, TOKEN, document("last"))
    installed.look()
    assert heard.get(timeout=SOON).metadata == {"revision": 3}  # and nothing between


def test_definitions_stored_again_are_no_change(install: Install, database: TestDatabase) -> None:
    store(database, TOKEN, document("a"))
    installed = install()
    heard = installed.listen(CHANGED)
    installed.look()
    store(database, TOKEN, document("a"))
    installed.look()
    store(database, TOKEN, document("b"))
    installed.look()
    assert sorted(heard.get(timeout=SOON).flags_changed or []) == ["a", "b"]


def test_a_transaction_with_an_older_view_is_no_change(emptied: SharedDatabases) -> None:
    database = emptied("mariadb")
    store(database, TOKEN, document("a"))
    with PostHog(database.url, project_token=TOKEN, definitions_max_age=0) as posthog, Session(database.engine) as old:
        sessions = [old]
        provider = HogboxProvider(posthog, ctx=lambda: sessions[-1])
        heard: list[object] = []
        provider.attach(lambda _provider, event, details: heard.append((event, details.flags_changed)))
        provider.resolve_boolean_details("a", False, ADA)
        store(database, TOKEN, document("b"))
        with Session(database.engine) as new:
            sessions.append(new)
            provider.resolve_boolean_details("b", False, ADA)
            sessions.pop()
        provider.resolve_boolean_details("a", False, ADA)
    assert heard == [(CHANGED, ["b", "a"])]


def test_ready_at_once_where_there_are_definitions(install: Install, database: TestDatabase) -> None:
    store(database, TOKEN, document("a"))
    installed = install(wait=True)
    assert installed.client.get_provider_status() is ProviderStatus.READY


@pytest.mark.parametrize("colour", ["sync"], indirect=True)
def test_whoever_waits_for_definitions_is_told_that_there_are_none(install: Install) -> None:
    with pytest.raises(ProviderNotReadyError):
        install(wait=True)
    assert api.get_client().get_provider_status() is ProviderStatus.ERROR


def test_ready_when_the_definitions_come(install: Install, database: TestDatabase) -> None:
    installed = install(personal_api_key="phs_tests")
    installed.look()
    assert installed.client.get_provider_status() is ProviderStatus.ERROR
    heard = installed.listen(READY)
    store(database, TOKEN, document("a"))
    assert installed.details("boolean", "a", False).value is True
    heard.get(timeout=SOON)
    assert installed.client.get_provider_status() is ProviderStatus.READY


def test_an_error_while_they_cannot_be_read(install: Install, database: TestDatabase) -> None:
    store(database, TOKEN, document("a"))
    installed = install()
    heard, changed, ready = installed.listen(ERROR), installed.listen(CHANGED), installed.listen(READY)
    installed.look()
    ready.get(timeout=SOON)
    store(database, TOKEN, "no definitions")
    for _ in range(2):
        installed.details("boolean", "a", False)
    told = heard.get(timeout=SOON)
    assert told.error_code == ErrorCode.PARSE_ERROR
    assert "revision 2" in (told.message or "")
    store(database, TOKEN, document("b"))
    installed.look()
    ready.get(timeout=SOON)
    assert changed.get(timeout=SOON).flags_changed == ["b", "a"]
    with pytest.raises(Empty):
        heard.get_nowait()


def test_an_error_while_the_database_fails(install: Install, database: TestDatabase) -> None:
    store(database, TOKEN, document("a"))
    installed = install()
    installed.look()
    heard, ready = installed.listen(ERROR), installed.listen(READY)
    ready.get(timeout=SOON)
    database.execute("ALTER TABLE posthog_flag_definitions RENAME TO moved")
    try:
        installed.look()
        assert heard.get(timeout=SOON).error_code == ErrorCode.GENERAL
    finally:
        database.execute("ALTER TABLE moved RENAME TO posthog_flag_definitions")
    installed.look()
    ready.get(timeout=SOON)


@pytest.mark.parametrize("colour", ["sync"], indirect=True)
def test_an_initialization_that_fails_is_made_up_for(install: Install, database: TestDatabase) -> None:
    store(database, TOKEN, document("a"))
    database.execute("ALTER TABLE posthog_flag_definitions RENAME TO moved")
    try:
        with pytest.raises(TablesMissing):
            install(wait=True)
    finally:
        database.execute("ALTER TABLE moved RENAME TO posthog_flag_definitions")
    client = api.get_client()
    assert client.get_provider_status() is ProviderStatus.ERROR
    assert client.get_boolean_value("a", False, ADA) is True
    assert client.get_provider_status() is ProviderStatus.READY


@pytest.mark.parametrize("colour", ["sync"], indirect=True)
def test_a_watch_notices_without_evaluations(install: Install, database: TestDatabase) -> None:
    store(database, TOKEN, document("a"))
    installed = install(watch_seconds=0.02)
    heard = installed.listen(CHANGED)
    store(database, TOKEN, document("b"))
    assert heard.get(timeout=SOON).flags_changed == ["b", "a"]
