"""One running emulator for these tests, fresh for each, and the requests that they send to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator

Build = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(running_emulator: Emulator) -> Iterator[Emulator]:
    running_emulator.reset()
    yield running_emulator
    running_emulator.reset()


@pytest.fixture
def client(emulator: Emulator) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=emulator.url, timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def event() -> Build:
    """A well-formed event; a field that is given as `...` is left out."""

    def build(**fields: Any) -> dict[str, Any]:
        whole = {"event": "paid", "distinct_id": "u1", "properties": {}, **fields}
        return {name: value for name, value in whole.items() if value is not ...}

    return build


@pytest.fixture(scope="session")
def batch(event: Build) -> Build:
    """A well-formed batch envelope of the given events, or of one."""

    def build(*events: Any, **fields: Any) -> dict[str, Any]:
        whole = {"api_key": "phc_t", "batch": list(events) or [event()], **fields}
        return {name: value for name, value in whole.items() if value is not ...}

    return build
