"""The middleware, through Django's own handlers: whose request it is, and what is told of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth import get_user_model  # type: ignore[import-untyped]
from django.db import connections  # type: ignore[import-untyped]
from django.test import Client, override_settings  # type: ignore[import-untyped]
from django.test.utils import CaptureQueriesContext  # type: ignore[import-untyped]

from hogbox.context import get_context, new_context
from tests.fixtures.database import TestDatabase
from tests.integrations.django.browser import BROWSER, people

PERSONLESS = {"PROJECT_TOKEN": "phc_django", "PERSONLESS": True}


def test_the_tracing_headers_name_person_and_session(site: TestDatabase, get: Any) -> None:
    assert get("/order", headers=BROWSER).status_code == 200
    (event,) = site.events()
    assert event["distinct_id"] == "browser"
    assert event["properties"]["$session_id"] == "session-1"


def test_events_tell_of_the_request(site: TestDatabase, get: Any) -> None:
    get("/order?coupon=hog", headers=BROWSER)
    told = site.events()[0]["properties"]
    assert told["$current_url"] == "http://testserver/order"
    assert (told["$request_method"], told["$request_path"]) == ("GET", "/order")
    assert (told["$user_agent"], told["$ip"]) == ("Firefox", "127.0.0.1")


def test_the_signed_in_user_wins_over_the_header(site: TestDatabase, ada: Any, get: Any) -> None:
    get("/order", headers=BROWSER, user=ada)
    assert people(site) == [("order placed", str(ada.pk))]
    assert site.events()[0]["properties"]["$session_id"] == "session-1"


def by_name(user: Any) -> str | None:
    """A choice of an application's."""
    return None if user.username == "nobody" else user.username


def test_the_application_chooses_the_distinct_id_of_a_user(site: TestDatabase, ada: Any, get: Any) -> None:
    with override_settings(HOGBOX={"PROJECT_TOKEN": "phc_django", "USER_DISTINCT_ID": f"{__name__}.by_name"}):
        get("/order", headers=BROWSER, user=ada)
        get("/order", headers=BROWSER, user=get_user_model().objects.create_user("nobody"))
    assert people(site) == [("order placed", "ada"), ("order placed", "browser")]


def test_who_signs_in_during_the_request_is_who_captures_from_then_on(
    site: TestDatabase, ada: Any, client: Client
) -> None:
    assert client.get("/sign-in?name=ada", headers=BROWSER).status_code == 200
    assert people(site) == [("came", "browser"), ("signed in", str(ada.pk)), ("signed out", "browser")]


def test_the_view_may_say_who_it_is(site: TestDatabase, ada: Any, client: Client) -> None:
    client.force_login(ada)
    client.get("/named", headers=BROWSER)
    assert people(site) == [("named", "somebody else"), ("argument", "argument")]
    first, second = (event["properties"] for event in site.events())
    assert (first["plan"], first["$context_tags"], first["$session_id"]) == ("pro", ["plan"], "session-1")
    assert second["$session_id"] == "own"


def test_a_request_that_captures_nothing_makes_no_query(site: TestDatabase, ada: Any, client: Client) -> None:
    client.force_login(ada)
    with CaptureQueriesContext(connections["default"]) as queries:
        response = client.get("/quiet", headers=BROWSER)
    assert len(queries) == 0
    assert "Vary" not in response.headers


def test_without_anybody_a_capture_is_a_mistake_where_that_is_asked_for(site: TestDatabase, get: Any) -> None:
    with override_settings(HOGBOX={**PERSONLESS, "PERSONLESS": False}):
        assert get("/order").status_code == 500
    assert [event["event"] for event in site.events()] == ["$exception"]


def test_p8_without_anybody_an_event_has_no_person(site: TestDatabase, get: Any) -> None:
    assert get("/order").status_code == 200
    assert site.events()[0]["properties"]["$process_person_profile"] is False


@pytest.mark.parametrize("claimed", ["undefined", "x" * 201, "\x00\x07", " "])
def test_a_distinct_id_that_posthog_would_garble_counts_as_none(
    site: TestDatabase, client: Client, claimed: str
) -> None:
    with override_settings(HOGBOX=PERSONLESS):
        client.get("/order", headers={"x-posthog-distinct-id": claimed})
    assert site.dead_letters() == []
    assert site.events()[0]["properties"]["$process_person_profile"] is False


def test_a_host_that_is_not_allowed_is_djangos_business(site: TestDatabase, client: Client) -> None:
    assert client.get("/order", headers={**BROWSER, "host": "evil.example"}).status_code == 200
    assert "$current_url" not in site.events()[0]["properties"]


def test_requests_see_nothing_of_each_other_or_of_what_runs_around_them(site: TestDatabase, client: Client) -> None:
    with new_context(distinct_id="around", tags={"outer": 1}), override_settings(HOGBOX=PERSONLESS):
        client.get("/named", headers=BROWSER)
        client.get("/order")
        assert get_context() is not None
    last = site.events()[-1]
    assert last["distinct_id"] not in ("around", "browser", "somebody else")
    assert not {"outer", "plan", "$session_id"} & set(last["properties"])
    assert get_context() is None


def test_p8_a_user_that_cannot_be_looked_up_counts_as_nobody(
    site: TestDatabase, ada: Any, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.force_login(ada)
    site.execute("DROP TABLE auth_user_groups")
    site.execute("ALTER TABLE auth_user RENAME TO gone")
    with caplog.at_level(logging.WARNING, "hogbox"):
        assert client.get("/order", headers=BROWSER).status_code == 200
    assert people(site) == [("order placed", "browser")]
    assert "the distinct id of the signed-in user can't be read" in caplog.text
