"""`hogbox keygen`."""

from __future__ import annotations

import typer

from hogbox._encryption import new_key


def keygen() -> None:
    """Print a new key for HOGBOX_ENCRYPTION_KEYS. It is stored nowhere.

    Example: export HOGBOX_ENCRYPTION_KEYS="$(hogbox keygen)"
    """
    typer.echo(new_key())
