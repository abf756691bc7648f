"""The proxy that stands for a network: it leaves nothing behind when it ends."""

from __future__ import annotations

import gc
import logging
import socket
from contextlib import ExitStack, suppress

import pytest

from proof.proxy import Proxy


@pytest.mark.parametrize("told", [0, 1, 20])
def test_it_ends_in_the_middle_of_connections(told: int, caplog: pytest.LogCaptureFixture) -> None:
    """Some are forwarded, some were just accepted, some still wait in the queue of the socket."""
    with (
        caplog.at_level(logging.ERROR, "asyncio"),
        ExitStack() as clients,
        socket.create_server(("127.0.0.1", 0)) as far,
    ):
        for _ in range(8):
            with Proxy("127.0.0.1", far.getsockname()[1]) as proxy:
                for number in range(8):
                    client = clients.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
                    if number < told:
                        with suppress(OSError):
                            client.sendall(b"x")
        gc.collect()
    assert [record.getMessage() for record in caplog.records] == []
