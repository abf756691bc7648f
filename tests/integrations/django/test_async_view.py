"""Asynchronous views, and streamed responses of both kinds."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation  # type: ignore[import-untyped]
from django.db import connections  # type: ignore[import-untyped]
from django.test import AsyncClient, Client, RequestFactory  # type: ignore[import-untyped]

from hogbox.bound import BoundPostHog
from hogbox.context import get_context
from hogbox.integrations.django import AsyncDjangoPostHog, DjangoPostHog, aposthog
from hogbox.integrations.django.middleware import PostHogMiddleware
from tests.fixtures.database import TestDatabase
from tests.integrations.django.browser import BROWSER, get_async, people
from tests.integrations.django.urls import Broken, download


def test_a_streamed_response_is_made_in_the_context_of_the_request(site: TestDatabase, client: Client) -> None:
    response = client.get("/stream", headers=BROWSER)
    assert get_context() is None
    assert response.getvalue() == b"part 0\npart 1\n"
    assert people(site) == [("part 0", "browser"), ("part 1", "browser")]
    assert site.events()[1]["properties"]["$request_path"] == "/stream"


def test_an_exception_in_a_stream_is_reported_and_raised(site: TestDatabase, client: Client) -> None:
    response = client.get("/stream?fail", headers=BROWSER)
    with pytest.raises(Broken):
        response.getvalue()
    assert people(site)[2:] == [("$exception", "browser")]
    assert site.events()[2]["properties"]["$response_status_code"] == 200


@pytest.mark.parametrize("fail", [False, True])
def test_a_stream_of_an_async_view_is_made_in_the_context_of_the_request(site: TestDatabase, fail: bool) -> None:
    async def read() -> bytes:
        async with ThreadSensitiveContext():
            try:
                response = await AsyncClient().get(f"/async-stream{'?fail' if fail else ''}", headers=BROWSER)
                return b"".join([part async for part in response])
            finally:
                await sync_to_async(connections.close_all)()

    if fail:
        with pytest.raises(Broken):
            asyncio.run(read())
    else:
        assert asyncio.run(read()) == b"part 0\npart 1\n"
    expected = ["part 0", "part 1", *(["$exception"] if fail else [])]
    assert people(site) == [(name, "browser") for name in expected]


def test_a_file_is_left_to_the_server(site: TestDatabase) -> None:
    response: Any = PostHogMiddleware(download)(RequestFactory().get("/download"))
    assert response.file_to_stream is not None
    response.close()


def test_an_async_view_captures_on_the_connection_of_the_orm(site: TestDatabase, ada: Any, get: Any) -> None:
    response = get("/async", headers=BROWSER, user=ada)
    assert response.status_code == 200
    (event,) = site.events()
    assert response.json() == {"uuid": event["uuid"], "enabled": False}
    assert event["distinct_id"] == str(ada.pk)
    assert site.count("orders") == 1


def test_an_exception_of_an_async_view_is_reported_and_raised(site: TestDatabase) -> None:
    with pytest.raises(Broken):
        get_async("/async?fail", headers=BROWSER)
    assert people(site) == [("order placed", "browser"), ("$exception", "browser")]


def test_p1_a_transaction_in_an_async_view_is_a_synchronous_function(site: TestDatabase, get: Any) -> None:
    assert get("/async-transaction?fail", headers=BROWSER).status_code == 500
    assert people(site) == [("$exception", "browser")]
    assert get("/async-transaction", headers=BROWSER).status_code == 200
    assert people(site)[1:] == [("order placed", "browser")]


def test_the_synchronous_client_in_an_async_view_is_refused_by_django(site: TestDatabase) -> None:
    with pytest.raises(SynchronousOnlyOperation):
        get_async("/async-mistake", headers=BROWSER)


def test_async_requests_side_by_side_keep_their_people_apart(site: TestDatabase) -> None:
    async def crowd() -> None:
        async with ThreadSensitiveContext():
            browser = AsyncClient()
            await asyncio.gather(
                *(browser.get("/async", headers={"x-posthog-distinct-id": f"u{number}"}) for number in range(12))
            )
            await sync_to_async(connections.close_all)()

    asyncio.run(crowd())
    assert sorted(person for _, person in people(site)) == sorted(f"u{number}" for number in range(12))


def test_the_exception_that_is_handled_is_known_to_the_awaited_method(site: TestDatabase) -> None:
    async def fail() -> None:
        async with ThreadSensitiveContext():
            try:
                raise Broken("in an async function")
            except Broken:
                await aposthog.capture_exception(distinct_id="u1")
            snapshot = await aposthog.using("default").flags(distinct_id="u1")
            assert snapshot.get("new", "unknown") == "unknown"
            await sync_to_async(connections.close_all)()

    asyncio.run(fail())
    (event,) = site.events()
    assert event["properties"]["$exception_list"][0]["value"] == "in an async function"


def test_the_awaited_client_has_every_method_of_the_bound_one() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(AsyncDjangoPostHog) == public(DjangoPostHog)
    assert {name for name in vars(BoundPostHog) if name[0] != "_"} - {"current_ctx"} <= set(dir(AsyncDjangoPostHog))
    assert inspect.signature(AsyncDjangoPostHog.capture) == inspect.signature(BoundPostHog.capture)
