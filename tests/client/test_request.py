"""What every web integration does with a request: the context from its headers, the report of what escapes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from hogbox import AsyncPostHog, PostHog
from hogbox.context import get_context, new_context
from hogbox.integrations._request import report, report_async, request_context
from hogbox.integrations._request_option import RequestOptions
from tests.client.conftest import TOKEN
from tests.fixtures.database import TestDatabase

QUERY = RequestOptions(capture_url_query=True)


def headers(values: Mapping[str, Any]) -> Any:
    """How a framework gives the value of a header."""
    return {name.lower(): value for name, value in values.items()}.get


def read(values: Mapping[str, Any]) -> Any:
    given = headers(values)
    return lambda name: given(name.lower())


def test_the_context_of_a_request() -> None:
    header = read({"X-PostHog-Distinct-Id": " ada\x07 ", "X-POSTHOG-SESSION-ID": "s-1", "User-Agent": "curl/8"})
    with request_context(header, url="http://shop/cart?x=1", method="GET", path="/cart", ip="127.0.0.1") as context:
        assert get_context() is context
    assert (context.distinct_id, context.session_id, context.personless) == ("ada", "s-1", True)
    assert context.event_properties() == {
        "$current_url": "http://shop/cart",
        "$request_method": "GET",
        "$request_path": "/cart",
        "$user_agent": "curl/8",
        "$raw_user_agent": "curl/8",
        "$ip": "127.0.0.1",
        "$session_id": "s-1",
    }


def test_a_query_is_kept_where_that_is_asked_for() -> None:
    with request_context(read({}), url="http://shop/cart?x=1#y", options=QUERY) as context:
        assert context.event_properties()["$current_url"] == "http://shop/cart?x=1#y"
    with request_context(read({}), url="http://shop/cart#y?x") as context:
        assert context.event_properties()["$current_url"] == "http://shop/cart"


def test_tracing_headers_are_not_read_where_they_are_not_trusted() -> None:
    header = read({"X-PostHog-Distinct-Id": "ada", "X-POSTHOG-SESSION-ID": "s-1", "User-Agent": "curl/8"})
    with request_context(header, options=RequestOptions(capture_tracing_headers=False)) as context:
        assert (context.distinct_id, context.session_id) == (None, None)
        assert context.event_properties()["$user_agent"] == "curl/8"


def test_nothing_known_is_nothing_told() -> None:
    with request_context(read({})) as context:
        assert context.event_properties() == {}
        assert context.distinct_id is None


def test_what_the_application_knows_wins_over_the_header() -> None:
    with request_context(read({"X-POSTHOG-DISTINCT-ID": "claimed"}), distinct_id=42) as context:
        assert (context.distinct_id, context.personless) == ("42", True)


@pytest.mark.parametrize("claimed", ["anonymous", "null", "u" * 201, "0"])
def test_a_header_that_names_nobody_is_none(claimed: str) -> None:
    with request_context(read({"X-POSTHOG-DISTINCT-ID": claimed})) as context:
        assert context.distinct_id is None


def test_a_request_takes_nothing_over_from_what_runs_around_it() -> None:
    with new_context(distinct_id="the server's", tags={"a": 1}), request_context(read({})) as context:
        assert (context.distinct_id, context.tags) == (None, {})


def test_an_exception_is_reported_as_unhandled_with_the_status(sqlite_database: TestDatabase) -> None:
    with PostHog(sqlite_database.url, project_token=TOKEN) as posthog, new_context(distinct_id="ada"):
        report(posthog, ValueError("x"))
        report(posthog, ValueError("y"), status=None)
    first, second = sqlite_database.events()
    assert first["distinct_id"] == "ada"
    assert first["properties"]["$response_status_code"] == 500
    assert first["properties"]["$exception_list"][0]["mechanism"]["handled"] is False
    assert "$response_status_code" not in second["properties"]


@pytest.mark.parametrize("colour", ["synchronous", "asynchronous"])
def test_p8_a_report_that_fails_is_only_logged(caplog: pytest.LogCaptureFixture, colour: str) -> None:
    with caplog.at_level(logging.ERROR, "hogbox"):
        if colour == "synchronous":
            report(PostHog(project_token=TOKEN), ValueError("x"))
        else:
            asyncio.run(report_async(AsyncPostHog(project_token=TOKEN), ValueError("x")))
    assert "an exception of a request could not be captured" in caplog.text


def test_an_asynchronous_report(sqlite_database: TestDatabase) -> None:
    async def serve() -> None:
        async with AsyncPostHog(sqlite_database.url, project_token=TOKEN) as posthog:
            await report_async(posthog, ValueError("x"))

    asyncio.run(serve())
    assert [event["event"] for event in sqlite_database.events()] == ["$exception"]
