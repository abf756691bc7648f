"""Exceptions that escape a request are reported once, after the request and its session have ended."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import InternalServerError

from tests.fixtures.database import TestDatabase
from tests.integrations.flask.conftest import InstallShop

ADA = {"Customer": "ada"}


def reported(database: TestDatabase) -> dict[str, Any]:
    """The one exception that was reported."""
    (event,) = [event for event in database.events() if event["event"] == "$exception"]
    return event


def exceptions(database: TestDatabase) -> list[str]:
    return [
        event["properties"]["$exception_list"][0]["value"]
        for event in database.events()
        if event["event"] == "$exception"
    ]


def test_what_a_report_tells(shop: Flask, database: TestDatabase) -> None:
    shop.test_client().post("/fail/7", headers={**ADA, "X-POSTHOG-SESSION-ID": "s-1"})
    event = reported(database)
    properties = event["properties"]
    (exception,) = properties["$exception_list"]
    assert (exception["type"], exception["value"]) == ("RuntimeError", "order 7 failed")
    assert exception["mechanism"]["handled"] is False
    assert exception["stacktrace"]["frames"][-1]["function"] == "fail"
    assert event["distinct_id"] == "ada"
    assert properties["$response_status_code"] == 500
    assert properties["$request_path"] == "/fail/7"
    assert properties["$current_url"] == "http://localhost/fail/7"
    assert properties["$session_id"] == "s-1"


def test_an_exception_of_nobody_is_reported_too(shop: Flask, database: TestDatabase) -> None:
    @shop.get("/ping")
    def ping() -> str:
        raise RuntimeError("nobody asked")

    shop.test_client().get("/ping")
    assert reported(database)["properties"]["$process_person_profile"] is False


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_http_errors_are_answers_not_exceptions(shop: Flask, database: TestDatabase, status: int) -> None:
    assert shop.test_client().get(f"/abort/{status}").status_code == status
    assert database.events() == []


@pytest.mark.parametrize("setting", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
def test_an_exception_that_propagates_does_so_and_is_reported(
    shop: Flask, database: TestDatabase, setting: str
) -> None:
    shop.config[setting] = True
    with pytest.raises(RuntimeError, match="order 7 failed"):
        shop.test_client().post("/fail/7", headers=ADA)
    assert exceptions(database) == ["order 7 failed"]


def test_an_exception_that_the_application_handles_is_not_reported(shop: Flask, database: TestDatabase) -> None:
    @shop.errorhandler(RuntimeError)
    def sorry(_error: RuntimeError) -> tuple[str, int]:
        return "sorry", 409

    assert shop.test_client().post("/fail/7", headers=ADA).status_code == 409
    assert database.events() == []


def test_the_page_of_an_error_does_not_change_the_report(shop: Flask, database: TestDatabase) -> None:
    @shop.errorhandler(500)
    def page(error: InternalServerError) -> tuple[str, int]:
        return f"we are sorry: {error.original_exception}", 500

    answer = shop.test_client().post("/fail/7", headers=ADA)
    assert answer.text == "we are sorry: order 7 failed"
    assert exceptions(database) == ["order 7 failed"]


def test_an_exception_of_a_teardown_function_is_reported(shop: Flask, database: TestDatabase) -> None:
    @shop.teardown_request
    def tear_down(_error: BaseException | None) -> None:
        raise RuntimeError("it tore")

    with pytest.raises(RuntimeError, match="it tore"):
        shop.test_client().get("/abort/404")
    assert exceptions(database) == ["it tore"]


def test_a_report_that_fails_does_not_hide_the_exception(
    install_shop: InstallShop, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    shop = install_shop(database)
    database.execute("ALTER TABLE posthog_outbox RENAME TO moved")
    try:

        @shop.get("/ping")
        def ping() -> str:
            raise RuntimeError("the one that matters")

        shop.config["PROPAGATE_EXCEPTIONS"] = True
        with pytest.raises(RuntimeError, match="the one that matters"):
            shop.test_client().get("/ping")
    finally:
        database.execute("ALTER TABLE moved RENAME TO posthog_outbox")
    assert "could not be captured" in caplog.text


def test_an_exception_while_asking_who_it_was_leaves_a_report_of_nobodys(
    install_shop: InstallShop, database: TestDatabase
) -> None:
    def broken() -> str:
        raise LookupError("no session")

    shop = install_shop(database, distinct_id=broken)

    @shop.get("/ping")
    def ping() -> str:
        raise RuntimeError("reported")

    assert shop.test_client().get("/ping").status_code == 500
    assert exceptions(database) == ["reported"]
