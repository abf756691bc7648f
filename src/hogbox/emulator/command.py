"""`hogbox emulator`: the emulator as a process in the foreground."""

from __future__ import annotations

import ipaddress
import sys
from typing import Annotated

import typer

from hogbox.emulator.app import create_app
from hogbox.emulator.server import bind, create_server, stopping_on_signals
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.world import World


def emulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8010,
    host: Annotated[
        str, typer.Option(help="Address to listen on. There is no authentication: keep it local.")
    ] = "127.0.0.1",
    token: Annotated[
        list[str] | None, typer.Option(help="A project key that exists; any other gets 401. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which requests a fault with a rate meets.")] = 0,
    max_events: Annotated[
        int, typer.Option(min=1, help="Events to keep; the oldest are forgotten first.")
    ] = Limits().kept_events,
) -> None:
    """Run a local PostHog that keeps what it is sent in memory and tells all about it.

    It answers capture by PostHog's own rules; /_emulator/ shows what arrived and makes things go wrong.

    Example: hogbox emulator --port 8010, then POSTHOG_HOST=http://127.0.0.1:8010 python app.py
    """
    settings = Settings(known_tokens=tuple(token) if token else None)
    world = World(settings, Limits(kept_events=max_events), seed=seed)
    try:
        bound = bind(host, port)
    except OSError as error:
        typer.echo(f"hogbox emulator cannot listen on {host}:{port}: {error.strerror}.", err=True)
        raise typer.Exit(1) from None
    server = create_server(create_app(world), lambda port: _announce(host, port))
    with bound, stopping_on_signals(server):
        server.run(sockets=[bound])


def _announce(host: str, port: int) -> None:
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if not _is_loopback(host):
        typer.echo(f"Warning: {host} can be reached from other machines, and there is no authentication.", err=True)
    typer.echo(f"The emulator listens on {url}: run your application with POSTHOG_HOST={url}")
    sys.stdout.flush()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
