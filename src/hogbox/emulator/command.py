"""`hogbox emulator`: the emulator as a process in the foreground."""

from __future__ import annotations

import ipaddress
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from hogbox.emulator.app import create_app
from hogbox.emulator.server import bind, create_server, stopping_on_signals
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.source import WatchedFile
from hogbox.emulator.world import World
from hogbox.errors import UsageError


def emulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8010,
    host: Annotated[
        str, typer.Option(help="Address to listen on. There is no authentication: keep it local.")
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A host name that may be used to reach /_emulator/. Repeatable."),
    ] = None,
    token: Annotated[
        list[str] | None, typer.Option(help="A valid project token; any other gets 401. Repeatable.")
    ] = None,
    flags: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Flag definitions in PostHog's format. The file is read again when it changes."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed for the choice of requests that a fault with a rate affects.")] = 0,
    max_events: Annotated[
        int, typer.Option(min=1, help="Events to keep; the oldest are dropped first.")
    ] = Limits().kept_events,
) -> None:
    """Run a local PostHog that stores events in memory and shows them.

    It implements capture and flags by PostHog's rules. /_emulator/ shows the received events and injects faults.

    Example: hogbox emulator --port 8010, then POSTHOG_HOST=http://127.0.0.1:8010 python app.py
    """
    settings = Settings(known_tokens=tuple(token) if token else None)
    world = World(settings, Limits(kept_events=max_events), seed=seed, flags=None if flags is None else _watch(flags))
    bound = _listen(host, port)
    server = create_server(create_app(world, allow_host or ()), lambda port: _announce(host, port))
    with bound, stopping_on_signals(server):
        server.run(sockets=[bound])


def _watch(path: Path) -> WatchedFile:
    try:
        return WatchedFile(path, on_problem=_warn)
    except UsageError as error:
        _warn(str(error))
        raise typer.Exit(1) from None


def _listen(host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        _warn(f"hogbox emulator cannot listen on {host}:{port}: {error.strerror}.")
        raise typer.Exit(1) from None


def _announce(host: str, port: int) -> None:
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if not _is_loopback(host):
        _warn(f"Warning: {host} is reachable from other machines, and there is no authentication.")
    typer.echo(f"The emulator is listening on {url}: run your application with POSTHOG_HOST={url}")
    sys.stdout.flush()


def _warn(text: str) -> None:
    typer.echo(text, err=True)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
