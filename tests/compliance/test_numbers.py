"""Every check of the harness that is for a server's SDK has a test here that names its number."""

from __future__ import annotations

from types import ModuleType

from tests.compliance import test_ai_and_flags, test_capture

CLIENTS_ONLY = {2, 6, 8}
"""For SDKs of browsers and phones."""

SERVERS = {83, 84, 85, 86, 87, 88, 100}
"""On responses: they hold a server, so `tests/emulator` has them."""

DIFFERENT = {99}
"""hogbox tries again after a 415, because its events are not at fault: see DIFFERS in `test_contract.py`."""


def held(module: ModuleType) -> set[int]:
    marks = (mark for one in vars(module).values() for mark in getattr(one, "pytestmark", []))
    return {number for mark in marks if mark.name == "compliance" for number in mark.args}


def test_every_check_for_servers_sdks_is_held() -> None:
    assert held(test_capture) | held(test_ai_and_flags) == set(range(1, 154)) - CLIENTS_ONLY - SERVERS - DIFFERENT
