"""Whose flags, in whose transaction: request contexts, `ctx`, exposures, and what is tracked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from hogbox import AsyncPostHog, PostHog
from hogbox.context import new_context
from hogbox.errors import ConfigurationError, MissingDistinctId
from hogbox.integrations.openfeature import AsyncHogboxProvider, HogboxProvider
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import BACKENDS, SharedDatabases, TestDatabase
from tests.fixtures.stored import store
from tests.integrations.openfeature.conftest import ADA, TOKEN, Install, Installed

DETAILS = TrackingEventDetails(41.5, {"currency": "EUR"})
GROUPED = EvaluationContext("ada", {"groups": {"company": "acme"}, "plan": "pro"})


@pytest.fixture
def installed(install: Install, database: TestDatabase) -> Installed:
    store(database, TOKEN, definitions(flag("on")))
    return install()


def track(installed: Installed, *arguments: Any) -> None:
    """OpenFeature's own `track`."""

    async def tracking(provider: AsyncHogboxProvider) -> None:
        installed.client.track(*arguments)
        await provider.wait_for_tracked()

    if isinstance(installed.provider, AsyncHogboxProvider):
        installed.run(tracking(installed.provider))
    else:
        installed.client.track(*arguments)


def test_a_request_context_says_whose_flags(installed: Installed) -> None:
    with new_context(distinct_id="ada"):
        assert installed.details("boolean", "on", False, EvaluationContext()).value is True
    with new_context():
        for key in ("on", "nonsense"):
            details = installed.details("boolean", key, True, EvaluationContext())
            assert (details.value, details.reason, details.error_code) == (True, Reason.DEFAULT, None)
            assert details.flag_metadata["reason_code"] == "nobody"
    assert installed.client.get_provider_status() is ProviderStatus.READY


def test_what_is_tracked(installed: Installed, database: TestDatabase) -> None:
    track(installed, "order placed", GROUPED, DETAILS)
    (event,) = database.events()
    assert (event["event"], event["distinct_id"]) == ("order placed", "ada")
    properties = event["properties"]
    assert (properties["value"], properties["currency"]) == (41.5, "EUR")
    assert properties["$groups"] == {"company": "acme"}
    assert "plan" not in properties


def test_tracked_without_details(installed: Installed, database: TestDatabase) -> None:
    track(installed, "order placed", ADA)
    (event,) = database.events()
    assert "value" not in event["properties"]


def test_tracked_in_a_request_context(installed: Installed, database: TestDatabase) -> None:
    with new_context(distinct_id="bob", tags={"coupon": "x"}):
        track(installed, "order placed")
    (event,) = database.events()
    assert (event["distinct_id"], event["properties"]["coupon"]) == ("bob", "x")


@pytest.mark.parametrize("colour", ["sync"], indirect=True)
def test_tracked_for_nobody_is_a_mistake(installed: Installed) -> None:
    with pytest.raises(MissingDistinctId):
        installed.client.track("order placed")


@pytest.mark.parametrize("colour", ["async"], indirect=True)
def test_tracked_for_nobody_in_a_task_is_logged(installed: Installed, caplog: pytest.LogCaptureFixture) -> None:
    track(installed, "order placed")
    assert "a tracking event could not be captured" in caplog.text


@pytest.mark.parametrize("colour", ["async"], indirect=True)
def test_methods_that_are_not_awaited_say_what_to_use(installed: Installed) -> None:
    details = installed.client.get_boolean_details("on", False, ADA)
    assert (details.value, details.error_code) == (False, ErrorCode.GENERAL)
    assert "_async" in (details.error_message or "")


@pytest.mark.parametrize("colour", ["sync"], indirect=True)
def test_the_synchronous_provider_can_be_awaited(installed: Installed) -> None:
    assert asyncio.run(installed.client.get_boolean_value_async("on", False, ADA)) is True


def test_exposures(installed: Installed, install: Install, database: TestDatabase) -> None:
    installed.details("boolean", "on", False)
    assert database.events() == []
    tracking = install(track_exposures=True)
    for _ in range(2):
        tracking.details("boolean", "on", False)
    (event,) = database.events()
    assert (event["event"], event["properties"]["$feature_flag"]) == ("$feature_flag_called", "on")


@pytest.mark.parametrize("provider", [HogboxProvider, AsyncHogboxProvider])
def test_options_that_cannot_work(provider: Callable[..., object], database: TestDatabase) -> None:
    posthog = PostHog(database.url, project_token=TOKEN)
    with pytest.raises(ConfigurationError, match="ctx must be a function"):
        provider(posthog, ctx="session")
    with pytest.raises(ConfigurationError, match="fallback"):
        provider(posthog, fallback="local")
    with pytest.raises(ConfigurationError, match="watch_seconds"):
        HogboxProvider(posthog, watch_seconds=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_p1_tracked_in_the_current_transaction(emptied: SharedDatabases, backend: str) -> None:
    database = emptied(backend)
    store(database, TOKEN, definitions(flag("on")))
    with Session(database.engine) as session:
        posthog = PostHog(project_token=TOKEN)
        provider = HogboxProvider(posthog, ctx=lambda: session, track_exposures=True)
        provider.track("rolled back", ADA)
        assert provider.resolve_boolean_details("on", False, ADA).value is True
        session.rollback()
        assert database.events() == []
        provider.track("committed", ADA)
        assert database.events() == []
        session.commit()
    assert [event["event"] for event in database.events()] == ["committed"]


ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mariadb": "mysql+asyncmy"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_p1_awaited_in_the_current_transaction(emptied: SharedDatabases, backend: str) -> None:
    database = emptied(backend)
    store(database, TOKEN, definitions(flag("on")))

    async def work() -> None:
        engine = create_async_engine(database.engine.url.set(drivername=ASYNC_DRIVERS[backend]))
        async with AsyncSession(engine) as session:
            posthog = AsyncPostHog(project_token=TOKEN)
            provider = AsyncHogboxProvider(posthog, ctx=lambda: session, track_exposures=True)
            await provider.track_async("rolled back", ADA)
            assert (await provider.resolve_boolean_details_async("on", False, ADA)).value is True
            await session.rollback()
            assert database.events() == []
            await provider.track_async("committed", ADA)
            await provider.resolve_boolean_details_async("on", False, ADA)
            await session.execute(sa.text("SELECT 1"))
            await session.commit()
        await engine.dispose()

    asyncio.run(work())
    assert [event["event"] for event in database.events()] == ["committed", "$feature_flag_called"]
