"""Django REST framework: what its handler answers is captured, once, when the request's transaction has ended."""

# mypy: disallow-untyped-decorators=False, disallow-subclassing-any=False

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from django.db import transaction  # type: ignore[import-untyped]
from django.http import HttpRequest  # type: ignore[import-untyped]
from django.test import Client, override_settings  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]
from rest_framework.exceptions import APIException, NotFound  # type: ignore[import-untyped]
from rest_framework.response import Response  # type: ignore[import-untyped]
from rest_framework.settings import api_settings  # type: ignore[import-untyped]
from rest_framework.views import APIView  # type: ignore[import-untyped]

from hogbox.errors import ConfigurationError
from hogbox.integrations.django.rest_framework import create_exception_handler
from tests.fixtures.database import TestDatabase
from tests.integrations.django.browser import BROWSER
from tests.integrations.django.urls import insert_order

HANDLER = "hogbox.integrations.django.rest_framework.exception_handler"
MIDDLEWARE = "hogbox.integrations.django.middleware.PostHogMiddleware"


class Unavailable(APIException):
    """An error of the server, which the framework answers."""

    status_code = 503


ERRORS: dict[str, Any] = {"unavailable": Unavailable, "missing": NotFound, "broken": LookupError}


class Orders(APIView):
    """Inserts an order, then fails as the path says."""

    authentication_classes: tuple[()] = ()
    permission_classes: tuple[()] = ()

    def get(self, request: HttpRequest, name: str) -> Response:
        """Fail."""
        insert_order()
        raise ERRORS[name]("no order")


urlpatterns = [path("orders/<str:name>", Orders.as_view())]


@pytest.fixture(autouse=True)
def _views() -> Any:
    with override_settings(ROOT_URLCONF=__name__):
        yield


def handled_by(handler: Any) -> Any:
    return override_settings(
        REST_FRAMEWORK={"EXCEPTION_HANDLER": handler, "UNAUTHENTICATED_USER": None, "DEFAULT_RENDERER_CLASSES": [
            "rest_framework.renderers.JSONRenderer"]}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "status", "handled"), [("unavailable", 503, [True]), ("missing", 404, []), ("broken", 500, [False])]
)
def test_errors_of_the_server_are_captured_once(
    site: TestDatabase, get: Any, name: str, status: int, handled: list[bool]
) -> None:
    with handled_by(HANDLER):
        assert get(f"/orders/{name}", headers=BROWSER).status_code == status
    events = site.events()
    assert [event["properties"]["$exception_list"][0]["mechanism"]["handled"] for event in events] == handled
    for event in events:
        told = event["properties"]
        assert (event["distinct_id"], told["$response_status_code"]) == ("browser", status)
        assert told["$request_route"] == "/orders/<str:name>"


def test_p1_the_requests_transaction_is_rolled_back_and_the_exception_is_kept(
    atomic_site: TestDatabase, get: Any
) -> None:
    with handled_by(HANDLER):
        assert get("/orders/unavailable", headers=BROWSER).status_code == 503
    assert atomic_site.count("orders") == 0
    assert [event["event"] for event in atomic_site.events()] == ["$exception"]


def answer(_: Exception, __: Mapping[str, Any]) -> Response:
    """A handler of the application's."""
    return Response("own", status=502)


def fail(*_: object) -> bool:
    raise LookupError("the filter's own")


@pytest.mark.parametrize(
    ("options", "name", "captured"),
    [
        ({}, "unavailable", 1),
        ({"capture_4xx": True}, "missing", 1),
        ({"handler": answer}, "missing", 1),
        ({"exception_filter": lambda _, response, __: response.status_code != 503}, "unavailable", 0),
        ({"exception_filter": fail}, "unavailable", 0),
        ({"capture_exceptions": False}, "unavailable", 0),
    ],
)
def test_a_handler_of_your_own(
    site: TestDatabase, client: Client, options: dict[str, Any], name: str, captured: int
) -> None:
    with handled_by(create_exception_handler(**options)):
        response = client.get(f"/orders/{name}", headers=BROWSER)
    assert response.status_code == (502 if "handler" in options else ERRORS[name].status_code)
    assert len(site.events()) == captured


@pytest.mark.parametrize(
    ("setting", "argument", "captured"),
    [
        ({"CAPTURE_EXCEPTIONS": False}, None, 0),
        ({"CAPTURE_EXCEPTIONS": False}, True, 1),
        ({"REQUEST_FILTER": lambda _: False}, True, 0),
    ],
)
def test_the_settings_apply(
    site: TestDatabase, client: Client, setting: dict[str, Any], argument: bool | None, captured: int
) -> None:
    with (
        handled_by(create_exception_handler(capture_exceptions=argument)),
        override_settings(HOGBOX={"PROJECT_TOKEN": "phc_django", **setting}),
    ):
        assert client.get("/orders/unavailable", headers=BROWSER).status_code == 503
    assert len(site.events()) == captured


def test_without_the_middleware_it_is_captured_at_once(site: TestDatabase, client: Client) -> None:
    with handled_by(HANDLER), override_settings(MIDDLEWARE=[]):
        assert client.get("/orders/unavailable", headers=BROWSER).status_code == 503
    (event,) = site.events()
    assert event["properties"]["$process_person_profile"] is False


def test_a_middleware_that_is_listed_twice_captures_once(site: TestDatabase, get: Any) -> None:
    with handled_by(HANDLER), override_settings(MIDDLEWARE=[MIDDLEWARE, MIDDLEWARE]):
        get("/orders/unavailable", headers=BROWSER)
        get("/orders/broken", headers=BROWSER)
    assert [event["properties"]["$response_status_code"] for event in site.events()] == [503, 500]


def test_p8_what_cannot_be_captured_changes_no_answer(
    site: TestDatabase, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    site.execute("DROP TABLE posthog_outbox")
    with handled_by(HANDLER), caplog.at_level(logging.WARNING, "hogbox"):
        assert client.get("/orders/unavailable", headers=BROWSER).status_code == 503
    assert "could not be captured" in caplog.text


@pytest.mark.parametrize("name", ["handler", "exception_filter"])
def test_a_mistake_is_told_at_once(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be a function, not 5"):
        create_exception_handler(**{name: 5})  # type: ignore[arg-type]


def test_an_exception_in_a_test_case_is_in_the_tests_transaction(site: TestDatabase, client: Client) -> None:
    with handled_by(HANDLER), transaction.atomic():
        client.get("/orders/unavailable", headers=BROWSER)
    assert len(site.events()) == 1
    assert api_settings.EXCEPTION_HANDLER is not None


def test_without_the_framework_the_import_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['rest_framework'] = None; from django.conf import settings; settings.configure();"
        "import hogbox.integrations.django.rest_framework"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingDependency: hogbox.integrations.django.rest_framework needs Django REST framework" in done.stderr
