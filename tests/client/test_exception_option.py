"""Options of `capture_exception`: flags, releases, traces, tuples, groups, errors of the system."""

from __future__ import annotations

import logging
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from hogbox import Flags, PostHog
from hogbox.errors import ConfigurationError
from tests.client.conftest import Client, Only


def first_entry(only: Only) -> dict[str, Any]:
    entry: dict[str, Any] = only()["properties"]["$exception_list"][0]
    return entry


def test_a_tuple_of_exc_info_is_its_exception(posthog: PostHog, only: Only) -> None:
    try:
        raise OSError(28, "disk full")
    except OSError:
        posthog.capture_exception(None, sys.exc_info())
    entry = first_entry(only)
    assert (entry["type"], entry["mechanism"]["meta"]) == ("OSError", {"errno": {"number": 28}})
    assert entry["stacktrace"]["frames"]


def test_flags_that_cannot_be_read_do_not_prevent_the_capture(posthog: PostHog, only: Only) -> None:
    flags: Any = "no snapshot"
    posthog.capture_exception(None, "it broke", distinct_id="u1", flags=flags)
    assert first_entry(only)["value"] == "it broke"


class Held(Flags):
    """A snapshot that does not need definitions."""

    def __init__(self) -> None: ...

    def event_properties(self) -> dict[str, Any]:
        return {"$feature/new-cart": True, "$active_feature_flags": ["new-cart"]}


def test_a_snapshots_flags_are_added(posthog: PostHog, only: Only) -> None:
    posthog.capture_exception(None, "it broke", distinct_id="u1", flags=Held(), properties={"$feature/new-cart": "own"})
    properties = only()["properties"]
    assert (properties["$feature/new-cart"], properties["$active_feature_flags"]) == ("own", ["new-cart"])


@pytest.mark.parametrize(("given", "sent"), [({}, "r-1"), ({"$release_id": "own"}, "own")])
def test_the_release_and_the_span(
    client: Client, only: Only, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], sent: str
) -> None:
    context = SimpleNamespace(trace_id=0xAB, span_id=0xCD)
    span = SimpleNamespace(get_span_context=lambda: context)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", SimpleNamespace(get_current_span=lambda: span))
    monkeypatch.setenv("POSTHOG_RELEASE_ID", " r-1 ")
    client().capture_exception(None, "it broke", properties=given)
    properties = only()["properties"]
    assert properties["$release_id"] == sent
    assert (properties["$trace_id"], properties["$span_id"]) == (f"{0xAB:032x}", f"{0xCD:016x}")


def test_a_huge_group_is_bounded(posthog: PostHog, only: Only) -> None:
    began = time.perf_counter()
    posthog.capture_exception(None, ExceptionGroup("many", [ValueError(number) for number in range(200_000)]))
    assert time.perf_counter() - began < 10
    assert len(only()["properties"]["$exception_list"]) == 50


def test_captured_exceptions_are_logged_if_wanted(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "hogbox"):
        client().capture_exception(None, ValueError("quiet"))
        client(log_captured_exceptions=True).capture_exception(None, ValueError("loud"))
    assert [str(record.exc_info and record.exc_info[1]) for record in caplog.records] == ["loud"]


def test_names_of_modules_are_a_list(client: Client) -> None:
    with pytest.raises(ConfigurationError, match="in_app_modules must be a list"):
        client(in_app_modules="shop")
