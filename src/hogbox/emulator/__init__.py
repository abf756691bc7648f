"""A local PostHog for tests and development: its endpoints, its validation, and simulated faults.

from hogbox.emulator import Emulator

with Emulator() as emulator:
    application = PostHog(..., host=emulator.url)
    ...
    assert [event.event for event in emulator.events(distinct_id="u1")] == ["signed_up"]
    emulator.set_flags({"flags": [{"key": "new-ui", "active": True, "filters": {"groups": [{}]}}]})
"""

from __future__ import annotations

from hogbox.emulator.emulator import Emulator
from hogbox.emulator.fault import Fault
from hogbox.emulator.record import ReceivedEvent, ReceivedRequest
from hogbox.emulator.script import ScriptedResult
from hogbox.emulator.setting import Settings

__all__ = ["Emulator", "Fault", "ReceivedEvent", "ReceivedRequest", "ScriptedResult", "Settings"]
