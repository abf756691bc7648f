"""Uncaught exceptions: captured by hooks, which change nothing else about the end of a process or thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from hogbox import AsyncPostHog, PostHog
from hogbox.context import new_context
from hogbox.errors import ConfigurationError
from tests.client.conftest import TOKEN, Client, Only
from tests.fixtures.database import TestDatabase

PROGRAM = """
import sys, threading
if sys.argv[1]:
    from hogbox import PostHog
    PostHog(sys.argv[1], project_token="phc_a_token", enable_exception_autocapture=True)
class Dropped:
    def __del__(self): raise ValueError("in a finalizer")
def recurse(): recurse()
thread = threading.Thread(target=lambda: 1 / 0, name="one")
{act}
"""


def run(act: str, url: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(act=act), url], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr.partition(" at 0x")[0]


@pytest.mark.parametrize(
    ("act", "source", "level"),
    [
        ("raise ValueError('boom')", "python.sys_excepthook", "fatal"),
        ("recurse()", "python.sys_excepthook", "fatal"),
        ("thread.start(); thread.join()", "python.threading_excepthook", "error"),
        ("Dropped()", "python.sys_unraisablehook", "error"),
    ],
)
def test_a_process_ends_as_without_hogbox(
    act: str, source: str, level: str, database: TestDatabase, only: Only
) -> None:
    without = run(act, "")
    assert run(act, database.url) == without
    properties = only()["properties"]
    assert (properties["$exception_source"], properties["$exception_level"]) == (source, level)
    assert properties["$exception_list"][0]["mechanism"]["handled"] is False
    assert properties["$exception_list"][0]["mechanism"]["type"] == "onuncaughtexception"
    assert run(act, "sqlite:////nowhere/at/all.db") == without


def test_hooks_are_restored_in_any_order(client: Client) -> None:
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    first, second = client(enable_exception_autocapture=True), client(enable_exception_autocapture=True)
    assert sys.excepthook is not before[0]
    first.shutdown()
    second.shutdown()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before


def test_without_the_setting_there_are_no_hooks(posthog: PostHog) -> None:
    assert "Uncaught" not in type(sys.excepthook).__name__
    assert posthog.discarded.limited == 0


def test_the_event_loops_handler_reports_and_is_restored(database: TestDatabase, only: Only) -> None:
    seen: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        handler = lambda _, context: seen.append(context["exception"])  # noqa: E731
        loop.set_exception_handler(handler)
        async with AsyncPostHog(database.url, project_token=TOKEN, enable_exception_autocapture=True):
            loop.call_soon(lambda: 1 / 0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert loop.get_exception_handler() is handler

    asyncio.run(main())
    assert len(seen) == 1
    assert only()["properties"]["$exception_source"] == "python.asyncio_exception_handler"


def test_a_context_captures_what_leaves_it(posthog: PostHog, database: TestDatabase) -> None:
    with (
        pytest.raises(ValueError, match="boom"),
        new_context(distinct_id="u1", tags={"job": "j"}, capture_exceptions=True, client=posthog),
    ):
        raise ValueError("boom")
    posthog.shutdown()
    (event,) = database.events()
    assert (event["distinct_id"], event["properties"]["job"]) == ("u1", "j")


def test_a_context_that_captures_needs_a_client() -> None:
    with pytest.raises(ConfigurationError, match="client=posthog"), new_context(capture_exceptions=True):
        pass
