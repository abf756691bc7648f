"""What the transcribed checks share: hogbox behind the adapter's interface, and the emulator as PostHog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hogbox.emulator import Emulator, ReceivedRequest
from tests.compliance.sdk import Sdk, Start, Variant

StartSdk = Callable[..., Sdk]


def numbers(*held: int) -> pytest.MarkDecorator:
    """The numbers of the checks of wire protocol 10 that a test holds."""
    return pytest.mark.compliance(*held)


@pytest.fixture
def start(emulator: Emulator) -> Iterator[StartSdk]:
    """Starts hogbox as the harness's `/init` does: `start("v1", max_retries=3)`."""
    started: list[Sdk] = []

    def one(protocol: Any, mode: Any = "deliver", compression: str = "gzip", **init: Any) -> Sdk:
        started.append(Sdk(Start(host=emulator.url, **init), Variant(mode, protocol, compression)))
        return started[-1]

    yield one
    for sdk in started:
        sdk.close()


def batches(requests: list[ReceivedRequest]) -> list[list[dict[str, Any]]]:
    """The events of each request, as they were sent."""
    return [body_of(request)["batch"] for request in requests]


def body_of(request: ReceivedRequest) -> dict[str, Any]:
    """The decoded body of a request."""
    assert request.body is not None
    body = json.loads(request.body)
    assert isinstance(body, dict)
    return body
