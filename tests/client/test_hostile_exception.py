"""`capture_exception` raises nothing for what the error, the process or a callback is (P8); the rest arrives."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import MagicMock

import pytest

from hogbox import AsyncPostHog, PostHog
from hogbox.context import new_context
from tests.client.conftest import TOKEN, Client, Only
from tests.fixtures.database import TestDatabase


class Wrapped(Exception):
    """As clients of HTTP interfaces wrap the body of an answer."""

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["body"][name]


class Answering(Exception):
    def __getattr__(self, name: str) -> Any:
        return MagicMock()


class Frozen(Exception):
    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise RuntimeError("frozen")


class Silent(Exception):
    def __str__(self) -> NoReturn:
        raise LookupError

    __repr__ = __str__


class Lying(Exception):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError

    @property
    def __traceback__(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError

    @property
    def __cause__(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError


class Nameless:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError


def catch(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize("kind", [Wrapped, Answering, Frozen, Silent, Lying, MemoryError, RecursionError])
def test_p8_an_exception_of_any_class_is_captured_with_its_stack(
    posthog: PostHog, only: Only, kind: type[BaseException]
) -> None:
    assert posthog.capture_exception(None, catch(kind("x")), distinct_id="u1")
    event = only()
    (entry,) = event["properties"]["$exception_list"]
    assert (event["distinct_id"], entry["type"]) == ("u1", kind.__qualname__)
    assert entry["stacktrace"]["frames"][-1]["function"] == "catch"


def test_p8_captured_twice_it_is_the_same_event_whatever_its_class_does(
    posthog: PostHog, database: TestDatabase
) -> None:
    for kind in (Wrapped, Answering, Frozen, Lying):
        error = catch(kind("x"))
        assert posthog.capture_exception(None, error) == posthog.capture_exception(None, error)


def test_p8_what_is_no_exception_and_lies_about_its_class_is_captured(posthog: PostHog, only: Only) -> None:
    assert posthog.capture_exception(None, Nameless())
    assert only()["properties"]["$exception_list"][0]["mechanism"]["synthetic"] is True


def test_p8_a_removed_working_directory_costs_nothing(posthog: PostHog, only: Only, tmp_path: Path) -> None:
    gone, before = tmp_path / "release", Path.cwd()
    gone.mkdir()
    os.chdir(gone)
    try:
        gone.rmdir()
        assert posthog.capture_exception(None, catch(ValueError("out of stock")))
    finally:
        os.chdir(before)
    (frame,) = only()["properties"]["$exception_list"][0]["stacktrace"]["frames"]
    assert frame["context_line"] == "        raise error"
    assert frame["in_app"] is True


def test_p8_an_identify_callback_that_raises_leaves_it_to_the_argument_and_the_context(
    client: Client, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> NoReturn:
        raise LookupError("no session")

    assert client(identify=broken).capture_exception(None, "it broke", distinct_id="u1")
    with new_context(distinct_id="ada"):
        assert client(identify=broken).capture_exception(None, "it broke")
    with new_context(find_distinct_id=lambda: broken(None)):
        assert client(identify=broken).capture_exception(None, "it broke")
    one, two, three = database.events()
    assert (one["distinct_id"], two["distinct_id"]) == ("u1", "ada")
    assert three["properties"]["$process_person_profile"] is False
    assert "identify raised LookupError: no session" in caplog.text


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("properties", ["plan"]),
        ("groups", "acme"),
        ("groups", {"company": None}),
        ("timestamp", "yesterday"),
        ("disable_geoip", "yes"),
        ("uuid", "no uuid"),
        ("level", Nameless),
        ("fingerprint", Nameless),
        ("properties", {"text": "x" * 8_000_000}),
    ],
)
def test_p8_an_argument_that_can_t_be_used_is_a_warning_where_an_exception_is_captured(
    posthog: PostHog, only: Only, caplog: pytest.LogCaptureFixture, argument: str, value: Any
) -> None:
    given: dict[str, Any] = {argument: Nameless() if value is Nameless else value}
    assert posthog.capture_exception(None, catch(ValueError("x")), **given)
    assert only()["properties"]["$exception_list"][0]["value"] == "x"
    assert caplog.records or argument in ("level", "fingerprint")


def test_p8_at_the_recursion_limit_the_event_arrives_and_the_limit_stays(database: TestDatabase) -> None:
    limit = sys.getrecursionlimit()
    captured: list[str | None] = []

    def descend(posthog: PostHog) -> None:
        try:
            descend(posthog)
        except RecursionError as error:
            if not any(captured):
                captured.append(posthog.capture_exception(None, error))
            raise

    with PostHog(database.url, project_token=TOKEN) as posthog, pytest.raises(RecursionError):
        descend(posthog)
    require_captured(database, captured)
    assert sys.getrecursionlimit() == limit


def test_p8_at_the_recursion_limit_of_a_task_the_event_arrives_and_the_limit_stays(database: TestDatabase) -> None:
    limit = sys.getrecursionlimit()
    captured: list[str | None] = []

    async def descend(posthog: AsyncPostHog) -> None:
        try:
            await descend(posthog)
        except RecursionError as error:
            if not any(captured):
                captured.append(await posthog.capture_exception(None, error))
            raise

    async def main() -> None:
        async with AsyncPostHog(database.url, project_token=TOKEN) as posthog:
            with pytest.raises(RecursionError):
                await descend(posthog)

    asyncio.run(main())
    require_captured(database, captured)
    assert sys.getrecursionlimit() == limit


def require_captured(database: TestDatabase, captured: list[str | None]) -> None:
    (event,) = database.events()
    assert event["uuid"] == captured[-1]
    entry = event["properties"]["$exception_list"][0]
    assert (entry["type"], "stacktrace" in entry) == ("RecursionError", True)


def test_a_source_that_is_no_file_is_not_read(posthog: PostHog, only: Only, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)
    code = compile("raise ValueError('from a pipe')", str(pipe), "exec")
    try:
        exec(code, {"__name__": "piped"})
    except ValueError as error:
        posthog.capture_exception(None, error)
    frame = only()["properties"]["$exception_list"][0]["stacktrace"]["frames"][-1]
    assert (frame["function"], "context_line" in frame) == ("<module>", False)


def test_a_captured_exception_is_pickled_without_hogbox(posthog: PostHog) -> None:
    error = catch(ValueError("card declined"))
    posthog.capture_exception(None, error)
    code = "import pickle, sys; error = pickle.load(sys.stdin.buffer); print(error.args, 'hogbox' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], input=pickle.dumps(error), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "('card declined',) False"


def test_a_copy_of_a_captured_exception_is_another_one(posthog: PostHog) -> None:
    error = catch(ValueError("x"))
    first = posthog.capture_exception(None, error)
    copy = pickle.loads(pickle.dumps(error))
    assert posthog.capture_exception(None, catch(copy)) != first
