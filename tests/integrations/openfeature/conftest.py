"""Both providers, behind OpenFeature's own client, on definitions in a database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import nullcontext, suppress
from contextvars import copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Literal

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.flag_evaluation import FlagEvaluationDetails

from hogbox import AsyncPostHog, PostHog
from hogbox.integrations.openfeature import AsyncHogboxProvider, HogboxProvider
from tests.fixtures.database import SharedDatabases, TestDatabase

TOKEN = "phc_openfeature"
ADA = EvaluationContext("ada")

Kind = Literal["boolean", "string", "integer", "float", "object"]


@dataclass(frozen=True)
class Installed:
    """A provider, and OpenFeature's client of it; the awaited methods are awaited."""

    posthog: PostHog | AsyncPostHog
    provider: HogboxProvider | AsyncHogboxProvider
    client: OpenFeatureClient
    runner: asyncio.Runner

    def run(self, awaited: Coroutine[Any, Any, Any]) -> Any:
        """Await it in the one loop of the test, in the context of the caller."""
        return self.runner.run(awaited, context=copy_context())

    def details(
        self, kind: Kind, key: str, default: Any, context: EvaluationContext = ADA
    ) -> FlagEvaluationDetails[Any]:
        """What OpenFeature's client says of a flag."""
        if isinstance(self.provider, HogboxProvider):
            return getattr(self.client, f"get_{kind}_details")(key, default, context)  # type: ignore[no-any-return]
        return self.run(getattr(self.client, f"get_{kind}_details_async")(key, default, context))  # type: ignore[no-any-return]

    def look(self) -> None:
        """Have the provider look at the definitions."""
        if isinstance(self.provider, HogboxProvider):
            self.provider.look()
        else:
            self.run(self.provider.look())

    def listen(self, event: ProviderEvent) -> SimpleQueue[EventDetails]:
        """The events of this kind from now on."""
        heard: SimpleQueue[EventDetails] = SimpleQueue()
        self.client.add_handler(event, heard.put)
        return heard


Install = Callable[..., Installed]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment's decides what a client does."""
    for name in os.environ:
        if name.startswith(("POSTHOG_", "HOGBOX_")) and not name.startswith(("HOGBOX_TEST_", "HOGBOX_REQUIRE")):
            monkeypatch.delenv(name)


@pytest.fixture
def database(emptied: SharedDatabases) -> TestDatabase:
    """A SQLite file."""
    return emptied("sqlite")


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    """Which of the two providers."""
    return str(request.param)


@pytest.fixture
def install(colour: str, database: TestDatabase) -> Iterator[Install]:
    """Installs a provider: `install(fallback="remote", personal_api_key="phs_…")`, with its options and its client's.

    `wait=True` raises where it does not initialize well.
    """
    made: list[PostHog | AsyncPostHog] = []
    runner = asyncio.Runner()

    def give(wait: bool = False, **options: Any) -> Installed:
        own = {
            name: options.pop(name)
            for name in ("ctx", "fallback", "track_exposures", "watch_seconds")
            if name in options
        }
        settings = {"project_token": TOKEN, "definitions_max_age": 0.0, **options}
        posthog: PostHog | AsyncPostHog
        provider: HogboxProvider | AsyncHogboxProvider
        if colour == "sync":
            posthog = PostHog(database.url, **settings)
            provider = HogboxProvider(posthog, **own)
        else:
            posthog = AsyncPostHog(database.url, **settings)
            provider = AsyncHogboxProvider(posthog, **own)
        made.append(posthog)
        with nullcontext() if wait else suppress(Exception):
            api.set_provider_and_wait(provider)
        return Installed(posthog, provider, api.get_client(), runner)

    yield give
    api.shutdown()
    for posthog in made:
        if isinstance(posthog, PostHog):
            posthog.shutdown()
        else:
            runner.run(posthog.shutdown())
    runner.close()
