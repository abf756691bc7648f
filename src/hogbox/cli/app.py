"""The `hogbox` command and its subcommands."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Annotated, Final

import typer

from hogbox._wire.library import VERSION
from hogbox.cli.dead import dead_app
from hogbox.cli.deliver import deliver
from hogbox.cli.docs import docs
from hogbox.cli.doctor import doctor
from hogbox.cli.event import event
from hogbox.cli.flags import flags_app
from hogbox.cli.forget import forget
from hogbox.cli.import_events import import_events
from hogbox.cli.keygen import keygen
from hogbox.cli.migrate import migrate
from hogbox.cli.refresh import refresh
from hogbox.cli.status import status
from hogbox.cli.terminal import say
from hogbox.cli.worker import worker
from hogbox.errors import MissingDependency

_ANY_OPTIONS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


def build_app() -> typer.Typer:
    """The command with all installed subcommands; other packages add theirs through an entry point."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(_root)
    for command in (migrate, worker, deliver, refresh, status, doctor, docs, event, forget, keygen):
        app.command()(command)
    app.add_typer(dead_app(), name="dead")
    app.command("import")(import_events)
    app.add_typer(flags_app(), name="flags")
    for found in sorted(entry_points(group="hogbox.commands"), key=lambda entry: entry.name):
        try:
            app.command(found.name)(found.load())
        except ModuleNotFoundError as error:
            # Accepts any option, so that the missing package is reported before an unknown option.
            app.command(found.name, context_settings=_ANY_OPTIONS)(_unavailable(found.name, error))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"hogbox {VERSION}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """PostHog for backends, in the application's own database."""


def _unavailable(name: str, error: ModuleNotFoundError) -> Callable[[], None]:
    """A placeholder for a command without its extra: it names the extra to install."""

    def command() -> None:
        raise MissingDependency(f"{error}: pip install 'hogbox[{name}]'")

    command.__doc__ = f"Not installed: pip install 'hogbox[{name}]'."
    return command
