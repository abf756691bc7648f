"""The same request to the same shop gives the same events in every web framework."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from hogbox.errors import ConfigurationError
from tests.fixtures.database import TestDatabase
from tests.integrations.web.shop import FRAMEWORKS, ROUTES

ADA = {"X-PostHog-Distinct-Id": "ada", "X-PostHog-Session-Id": "s-1", "User-Agent": "Firefox"}

USUAL = {
    "$current_url": "http://testserver/orders/7",
    "$request_method": "GET",
    "$request_path": "/orders/7",
    "$user_agent": "Firefox",
    "$raw_user_agent": "Firefox",
    "$ip": "127.0.0.1",
    "$session_id": "s-1",
}
REQUEST = {*USUAL, "$request_route", "region", "$process_person_profile", "$context_tags"}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    """The name of a framework."""
    name: str = request.param
    return name


Seen = Callable[..., dict[str, Any]]


@pytest.fixture
def seen(framework: str, sqlite_database: TestDatabase) -> Seen:
    """The properties of the event of a request, as far as they come from the request; with `person` and `route`."""

    def ask(
        path: str = "/orders/7?token=secret", headers: dict[str, str] | None = None, **options: Any
    ) -> dict[str, Any]:
        with FRAMEWORKS[framework](sqlite_database, options) as ask:
            ask(path, ADA if headers is None else headers)
        (event,) = sqlite_database.events()
        told = {name: value for name, value in event["properties"].items() if name in REQUEST}
        route = told.pop("$request_route", None)
        told["route"] = "right" if route == ROUTES[framework] else route
        nobody = told.pop("$process_person_profile", True) is False
        told["person"] = None if nobody else event["distinct_id"]
        return told

    return ask


def fail(_: object) -> NoReturn:
    raise LookupError("the callback's own")


async def await_nothing() -> dict[str, Any]:
    return {"region": "eu"}


class Odd:
    """Neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError


RIGHT = {**USUAL, "route": "right", "person": "ada"}
LEFT_OUT = {"route": None, "person": None}
WITHOUT_PROPERTIES = {"$session_id": "s-1", "route": None, "person": "ada"}
REGION = {**RIGHT, "region": "eu"}
LONG = 1_000_000


def keep_url(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name == "$current_url"}


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "none": ({}, RIGHT),
    "no tracing headers": (
        {"capture_tracing_headers": False},
        {name: value for name, value in {**RIGHT, "person": None}.items() if name != "$session_id"},
    ),
    "query": ({"capture_url_query": True}, {**RIGHT, "$current_url": "http://testserver/orders/7?token=secret"}),
    "filter admits": ({"request_filter": lambda _: True}, RIGHT),
    "filter refuses": ({"request_filter": lambda _: False}, LEFT_OUT),
    "filter fails": ({"request_filter": fail}, LEFT_OUT),
    "filter is odd": ({"request_filter": lambda _: Odd()}, LEFT_OUT),
    "more": ({"extra_properties": lambda _: {"region": "eu"}}, REGION),
    "more, by the header": ({"extra_properties": lambda request: {"region": request.headers["user-agent"]}},
                            {**RIGHT, "region": "Firefox"}),
    "more wins": ({"extra_properties": lambda _: {"$ip": "192.0.2.1"}}, {**RIGHT, "$ip": "192.0.2.1"}),
    "more fails": ({"extra_properties": fail}, RIGHT),
    "no more": ({"extra_properties": lambda _: None}, RIGHT),
    "more is rubbish": ({"extra_properties": lambda _: 5}, RIGHT),
    "map": ({"properties_map": keep_url}, {**WITHOUT_PROPERTIES, "$current_url": USUAL["$current_url"]}),
    "map of more": (
        {"extra_properties": lambda _: {"area": "eu"}, "properties_map": lambda told: {"region": told["area"]}},
        {**WITHOUT_PROPERTIES, "region": "eu"},
    ),
    "map of the route": (
        {"properties_map": lambda told: {"region": told["$request_route"].partition("/orders/")[0]}},
        {**WITHOUT_PROPERTIES, "region": ""},
    ),
    "map fails": ({"properties_map": fail}, WITHOUT_PROPERTIES),
    "map forgets to return": ({"properties_map": lambda _: None}, WITHOUT_PROPERTIES),
    "map is rubbish": ({"properties_map": lambda _: ["$ip"]}, WITHOUT_PROPERTIES),
}  # fmt: skip


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_means_the_same_everywhere(seen: Seen, case: str) -> None:
    options, expected = OPTIONS[case]
    assert seen(**options) == expected


HEADERS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "control characters": ({"X-PostHog-Distinct-Id": " a\x01d\x9fa\x7f ", "User-Agent": "Fire\x02fox"}, {}),
    "NUL": ({"X-PostHog-Distinct-Id": "\x00", "X-PostHog-Session-Id": "\x00s\x00-1"}, {"person": None}),
    "long session": ({"X-PostHog-Session-Id": "s" * LONG}, {"$session_id": "s" * 1000}),
    "long id": ({"X-PostHog-Distinct-Id": "a" * LONG}, {"person": None}),
    "nobody's id": ({"X-PostHog-Distinct-Id": "undefined"}, {"person": None}),
    "long agent": ({"User-Agent": "F" * LONG}, {"$user_agent": "F" * 1000, "$raw_user_agent": "F" * 1000}),
    "a proxy's": ({"X-Forwarded-For": "6.6.6.6, 7.7.7.7", "Forwarded": "for=6.6.6.6"}, {}),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_is_read_the_same_everywhere(seen: Seen, case: str) -> None:
    headers, differs = HEADERS[case]
    assert seen(headers={**ADA, **headers}) == {**RIGHT, **differs}


@pytest.mark.parametrize(("path", "status"), [("/broken/7", 500), ("/broken-stream/7", 202)])
def test_an_exception_is_captured_once_with_the_request(
    framework: str, sqlite_database: TestDatabase, path: str, status: int
) -> None:
    with FRAMEWORKS[framework](sqlite_database, {"extra_properties": lambda _: {"region": "eu"}}) as ask:
        ask(path, ADA)
    (event,) = sqlite_database.events()
    told = event["properties"]
    assert (event["event"], event["distinct_id"], told["$response_status_code"]) == ("$exception", "ada", status)
    assert (told["$request_path"], told["region"], told["$session_id"]) == (path, "eu", "s-1")
    assert told["$request_route"].startswith(path.removesuffix("7"))
    assert told["$exception_list"][0]["mechanism"]["handled"] is False


@pytest.mark.parametrize("path", ["/broken/7", "/broken-stream/7"])
@pytest.mark.parametrize(
    "options", [{"capture_exceptions": False}, {"request_filter": lambda _: False}, {"request_filter": fail}],
    ids=["off", "left out", "filter fails"],
)  # fmt: skip
def test_an_exception_may_be_left_to_others(
    framework: str, sqlite_database: TestDatabase, path: str, options: dict[str, Any]
) -> None:
    with FRAMEWORKS[framework](sqlite_database, options) as ask:
        ask(path, ADA)
    assert sqlite_database.events() == []


@pytest.mark.parametrize("name", ["request_filter", "extra_properties", "properties_map"])
def test_a_callback_that_fails_is_told_in_the_log(
    framework: str, sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.WARNING, "hogbox"), FRAMEWORKS[framework](sqlite_database, {name: fail}) as ask:
        ask("/orders/7", ADA)
    assert f"{name} failed" in caplog.text
    assert "the callback's own" in caplog.text


CALLBACKS = ("request_filter", "extra_properties", "properties_map")
AWAITED = {(framework, name) for framework in ("starlette", "fastapi") for name in CALLBACKS[:2]}


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_that_is_no_function_is_refused_at_once(
    framework: str, sqlite_database: TestDatabase, name: str
) -> None:
    with (
        pytest.raises(ConfigurationError, match="'text'"),
        FRAMEWORKS[framework](sqlite_database, {name: "text"}) as ask,
    ):
        ask("/orders/7", ADA)


@pytest.mark.parametrize(
    ("framework", "name"),
    sorted({(framework, name) for framework in FRAMEWORKS for name in CALLBACKS} - AWAITED),
)
def test_a_callback_that_nothing_can_await_is_refused_at_once(
    framework: str, sqlite_database: TestDatabase, name: str
) -> None:
    with (
        pytest.raises(ConfigurationError, match=f"{name} must not be a coroutine function"),
        FRAMEWORKS[framework](sqlite_database, {name: await_nothing}) as ask,
    ):
        ask("/orders/7", ADA)


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
def test_asynchronous_callbacks_are_awaited(framework: str, seen: Seen) -> None:
    async def admit(_: object) -> bool:
        return True

    async def add(_: object) -> dict[str, Any]:
        return {"region": "eu"}

    assert seen(request_filter=admit, extra_properties=add) == REGION


@pytest.mark.parametrize("framework", ["flask", "django", "django-async"])
def test_an_awaitable_that_nothing_awaits_is_no_answer(framework: str, seen: Seen) -> None:
    assert seen(extra_properties=lambda _: await_nothing()) == RIGHT
