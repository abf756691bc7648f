"""What several tests of handles tell: a mishap, what was kept, a flag with one answer."""

from __future__ import annotations

from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase

RED = {"key": "red", "rollout_percentage": 100}

FLAG = definitions(flag("colour", filters={"multivariate": {"variants": [RED]}}))
"""Definitions of a flag whose answer is red, for everybody."""


class Mishap(Exception):
    """What goes wrong in an application."""


def names(database: TestDatabase) -> list[str]:
    """The names of the events that were kept, in order."""
    return [event["event"] for event in database.events()]
