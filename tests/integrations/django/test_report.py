"""What escapes a view: reported when its transaction is rolled back, and left to Django."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction  # type: ignore[import-untyped]
from django.test import Client  # type: ignore[import-untyped]

from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.integrations.django.browser import BROWSER, people
from tests.integrations.django.site import connected
from tests.integrations.django.urls import Broken


def test_p1_an_order_that_fails_is_rolled_back_with_its_event(site: TestDatabase, get: Any) -> None:
    assert get("/atomic?fail", headers=BROWSER).status_code == 500
    assert site.count("orders") == 0
    assert people(site) == [("$exception", "browser")]


def test_p1_atomic_requests_are_honoured(atomic_site: TestDatabase, get: Any) -> None:
    assert get("/order?fail", headers=BROWSER).status_code == 500
    assert atomic_site.count("orders") == 0
    assert people(atomic_site) == [("$exception", "browser")]
    assert get("/order", headers=BROWSER).status_code == 200
    assert atomic_site.count("orders") == 1
    assert people(atomic_site)[1:] == [("order placed", "browser")]


def test_p1_without_atomic_requests_what_was_committed_stays(site: TestDatabase, get: Any) -> None:
    assert get("/order?fail", headers=BROWSER).status_code == 500
    assert site.count("orders") == 1
    assert people(site) == [("order placed", "browser"), ("$exception", "browser")]


def test_p1_savepoints_are_honoured(atomic_site: TestDatabase, get: Any) -> None:
    assert get("/swallowed", headers=BROWSER).status_code == 200
    assert people(atomic_site) == [("outer", "browser"), ("inner, kept", "browser")]


def test_an_exception_is_reported_with_the_request_and_raised(site: TestDatabase, ada: Any) -> None:
    browser = Client()
    browser.force_login(ada)
    with pytest.raises(Broken):
        browser.get("/broken?why=1")
    (event,) = site.events()
    told = event["properties"]
    assert event["distinct_id"] == str(ada.pk)
    assert told["$exception_list"][0]["type"] == "Broken"
    assert told["$exception_list"][0]["mechanism"]["handled"] is False
    assert told["$response_status_code"] == 500
    assert told["$current_url"] == "http://testserver/broken"


@pytest.mark.parametrize(("path", "status"), [("/missing", 404), ("/forbidden", 403), ("/nowhere", 404)])
def test_what_django_answers_with_4xx_is_no_exception(
    site: TestDatabase, client: Client, path: str, status: int
) -> None:
    assert client.get(path).status_code == status
    assert site.events() == []


def test_an_exception_in_a_test_case_is_in_the_tests_transaction(site: TestDatabase, client: Client) -> None:
    with transaction.atomic():
        client.get("/broken", headers=BROWSER)
        assert site.events() == []
    assert people(site) == [("$exception", "browser")]


def test_an_exception_in_a_transaction_that_is_lost_is_kept_all_the_same(site: TestDatabase, client: Client) -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        client.get("/broken", headers=BROWSER)
    with transaction.atomic():
        transaction.set_rollback(True)
    assert people(site) == [("$exception", "browser")]


def test_an_exception_is_kept_though_djangos_connection_is_lost(emptied: SharedDatabases, client: Client) -> None:
    database = emptied("postgresql")
    with connected(database):
        assert client.get("/cut", headers=BROWSER).status_code == 500
    assert people(database) == [("$exception", "browser")]


def test_p8_a_report_that_fails_changes_nothing_of_the_answer(
    site: TestDatabase, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    site.execute("DROP TABLE posthog_outbox")
    with pytest.raises(Broken):
        Client().get("/broken", headers=BROWSER)
    assert client.get("/broken", headers=BROWSER).status_code == 500
    assert "could not be captured" in caplog.text
