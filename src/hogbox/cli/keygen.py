"""`hogbox keygen`."""

from __future__ import annotations

import typer

from hogbox._encryption import new_key


def keygen() -> None:
    """Print a new key for HOGBOX_ENCRYPTION_KEYS. The key is not stored.

    Example: export HOGBOX_ENCRYPTION_KEYS="$(hogbox keygen)"
    """
    typer.echo(new_key())
