"""The fixtures. pytest imports this module in every run, so it imports nothing else until a fixture is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hogbox.emulator import Emulator
    from hogbox.testing import AsyncCapturedEvents, CapturedEvents, FlagOverrides


@pytest.fixture
def posthog_table_prefix() -> str:
    """What the names of hogbox's tables begin with, for `captured_events`: `HOGBOX_TABLE_PREFIX`, else `posthog_`.

    Override it where the application says another to its client.
    """
    import os

    from hogbox._settings.client import ClientSettings

    return ClientSettings.load(os.environ, token_needed=False).table_prefix


@pytest.fixture
def captured_events(posthog_table_prefix: str) -> CapturedEvents:
    """Reads the events that were captured, in the test's own transaction: `captured_events(session)`."""
    from hogbox.testing import CapturedEvents

    return CapturedEvents(posthog_table_prefix)


@pytest.fixture
def async_captured_events(posthog_table_prefix: str) -> AsyncCapturedEvents:
    """The same for asynchronous transactions: `await async_captured_events(session)`."""
    from hogbox.testing import AsyncCapturedEvents

    return AsyncCapturedEvents(posthog_table_prefix)


@pytest.fixture
def posthog_flags() -> Iterator[FlagOverrides]:
    """Sets what feature flags are, until the test ends: `posthog_flags.set("new-checkout", True)`."""
    from hogbox.testing import FlagOverrides
    from hogbox.testing.stand_in import decided_by

    overrides = FlagOverrides()
    with decided_by(overrides):
        yield overrides


@pytest.fixture
def posthog_emulator() -> Iterator[Emulator]:
    """A local PostHog on a free port, until the test ends: give its `url` to the client as `host`."""
    try:
        from hogbox.emulator import Emulator
    except ModuleNotFoundError as error:
        from hogbox.errors import MissingDependency

        raise MissingDependency(
            f"posthog_emulator needs starlette and uvicorn ({error}): pip install 'hogbox[testing]'"
        ) from error
    with Emulator() as emulator:
        yield emulator
