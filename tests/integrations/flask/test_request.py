"""A request's context: whose it is, what its events tell, and where it begins and ends."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, g, send_file, session
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder

from hogbox import PostHog
from hogbox.context import get_context, new_context, tag
from hogbox.errors import MissingDistinctId
from hogbox.integrations.flask import current_posthog
from tests.fixtures.database import TestDatabase
from tests.integrations.flask.conftest import InstallShop

ADA = {"Customer": "ada"}
CLAIM = {"X-POSTHOG-DISTINCT-ID": "from-the-browser", "X-POSTHOG-SESSION-ID": "s-1"}


def only(database: TestDatabase) -> dict[str, Any]:
    (event,) = database.events()
    return event


def people(database: TestDatabase) -> list[str]:
    return [event["distinct_id"] for event in database.events()]


def test_an_event_tells_of_its_request(shop: Flask, database: TestDatabase) -> None:
    client = shop.test_client()
    client.post("/orders/1/commit?coupon=x", headers={**ADA, **CLAIM, "User-Agent": "tests"})
    properties = only(database)["properties"]
    assert properties["$current_url"] == "http://localhost/orders/1/commit"
    assert properties["$request_method"] == "POST"
    assert properties["$request_path"] == "/orders/1/commit"
    assert properties["$raw_user_agent"] == "tests"
    assert properties["$ip"] == "127.0.0.1"
    assert properties["$session_id"] == "s-1"


def test_the_path_includes_where_the_application_is_mounted(shop: Flask, database: TestDatabase) -> None:
    shop.test_client().post("/orders/1/commit", headers=ADA, environ_overrides={"SCRIPT_NAME": "/shop"})
    assert only(database)["properties"]["$request_path"] == "/shop/orders/1/commit"


@pytest.mark.parametrize("outside", [True, False])
def test_a_proxy_is_seen_through_wherever_that_is_installed(
    install_shop: InstallShop, database: TestDatabase, outside: bool
) -> None:
    shop = install_shop(database)
    if outside:
        shop.wsgi_app = ProxyFix(shop.wsgi_app)  # type: ignore[method-assign]
    else:
        middleware: Any = shop.wsgi_app
        middleware._wsgi_app = ProxyFix(middleware._wsgi_app)
    forwarded = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    shop.test_client().post("/orders/1/commit", headers={**ADA, **forwarded})
    properties = only(database)["properties"]
    assert properties["$ip"] == "203.0.113.7"
    assert properties["$current_url"] == "https://localhost/orders/1/commit"


def test_who_is_signed_in_wins_over_the_header(shop: Flask, database: TestDatabase) -> None:
    client = shop.test_client()
    client.post("/orders/1/commit", headers={**ADA, **CLAIM})
    client.post("/orders/2/commit", headers=CLAIM)
    assert people(database) == ["ada", "from-the-browser"]


def test_who_is_signed_in_is_asked_when_it_matters(install_shop: InstallShop, database: TestDatabase) -> None:
    asked: list[str | None] = []

    def ask() -> str | None:
        asked.append(session.get("user"))
        return asked[-1]

    shop = install_shop(database, distinct_id=ask, personless=True)
    shop.secret_key = "a secret of the tests"

    @shop.post("/sign-in")
    def sign_in() -> str:
        current_posthog.capture(None, "before")
        session["user"] = "ada"
        current_posthog.capture(None, "after")
        return "welcome"

    client = shop.test_client()
    client.get("/abort/404")
    assert asked == []
    client.post("/sign-in")
    assert asked == [None, "ada"]
    client.post("/orders/1/commit")
    assert people(database)[1:] == ["ada", "ada"]


def test_nobody_is_an_error_unless_personless(install_shop: InstallShop, database: TestDatabase) -> None:
    strict, lenient = install_shop(database, personless=False), install_shop(database)
    strict.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(MissingDistinctId):
        strict.test_client().post("/orders/1/commit")
    lenient.test_client().post("/orders/2/commit")
    event = database.events()[-1]
    assert event["event"] == "order 2"
    assert event["properties"]["$process_person_profile"] is False


def test_the_context_is_there_in_every_function_of_a_request(shop: Flask) -> None:
    seen: dict[str, bool] = {}

    def note(name: str) -> None:
        seen[name] = get_context() is not None

    shop.before_request(lambda: note("before"))
    shop.teardown_request(lambda _error: note("teardown of the request"))
    shop.teardown_appcontext(lambda _error: note("teardown of the application's context"))

    @shop.errorhandler(404)
    def not_found(_error: Exception) -> tuple[str, int]:
        note("error handler")
        return "no", 404

    @shop.after_request
    def after(response: Any) -> Any:
        note("after")
        response.call_on_close(lambda: note("close"))
        return response

    shop.test_client().get("/nowhere").close()
    assert seen == dict.fromkeys(seen, True)
    assert len(seen) == 6


def test_nothing_leaks_to_the_next_request_of_a_thread(shop: Flask, database: TestDatabase) -> None:
    @shop.post("/tag")
    def tagged() -> str:
        tag("coupon", "x")
        current_posthog.capture(None, "tagged")
        return "ok"

    client = shop.test_client()
    client.post("/tag", headers={**ADA, **CLAIM})
    assert get_context() is None
    client.post("/fail/1", headers=ADA)
    assert get_context() is None
    client.post("/orders/1/commit", headers={"Customer": "bob"})
    tagged_event, *_, last = database.events()
    assert tagged_event["properties"]["coupon"] == "x"
    assert last["distinct_id"] == "bob"
    assert {"coupon", "$session_id"}.isdisjoint(last["properties"])


def test_a_context_around_the_server_is_not_the_requests(shop: Flask, database: TestDatabase) -> None:
    with new_context(distinct_id="the server", tags={"machine": 1}) as outer:
        shop.test_client().post("/orders/1/commit", headers=ADA)
        assert get_context() is outer
    event = only(database)
    assert event["distinct_id"] == "ada"
    assert "machine" not in event["properties"]


def test_threads_of_requests_see_their_own(shop: Flask, database: TestDatabase) -> None:
    barrier = threading.Barrier(4)

    @shop.before_request
    def meet() -> None:
        barrier.wait(10)

    def send(number: int) -> None:
        shop.test_client().post(f"/orders/{number}/commit", headers={"Customer": f"u{number}"})

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((e["event"], e["distinct_id"]) for e in database.events()) == [
        (f"order {number}", f"u{number}") for number in range(4)
    ]


def test_a_thread_that_is_given_the_context_captures_in_it(shop: Flask, database: TestDatabase) -> None:
    @shop.post("/aside")
    def aside() -> str:
        copied = contextvars.copy_context()
        thread = threading.Thread(target=copied.run, args=(current_posthog.capture, None, "aside"))
        thread.start()
        thread.join()
        return "ok"

    shop.test_client().post("/aside", headers=ADA)
    assert people(database) == ["ada"]


def test_an_async_view_has_the_context(shop: Flask, database: TestDatabase) -> None:
    pytest.importorskip("asgiref")

    @shop.post("/async")
    async def view() -> str:
        tag("async", True)
        current_posthog.capture(None, "async")
        return "ok"

    shop.test_client().post("/async", headers=ADA)
    event = only(database)
    assert (event["distinct_id"], event["properties"]["async"]) == ("ada", True)


def test_a_streamed_body_is_made_in_the_context(shop: Flask, database: TestDatabase) -> None:
    answer = shop.test_client().get("/stream/clip", headers={**ADA, **CLAIM}, buffered=False)
    assert get_context() is None
    parts = iter(answer.response)
    assert next(parts) == b"one "
    assert get_context() is None
    assert list(parts) == [b"two"]
    answer.close()
    assert [(e["event"], e["distinct_id"], e["properties"]["$session_id"]) for e in database.events()] == [
        ("clip began", "ada", "s-1"),
        ("clip streamed", "ada", "s-1"),
    ]


def test_a_stream_in_a_client_that_keeps_its_contexts(shop: Flask, database: TestDatabase) -> None:
    with shop.test_client() as client:
        assert client.get("/stream/clip", headers=ADA).text == "one two"
        assert g.customer == "ada"
    assert people(database) == ["ada", "ada"]


def test_a_stream_that_breaks_is_reported(shop: Flask, database: TestDatabase) -> None:
    answer = shop.test_client().get("/stream/broken", headers=ADA)
    with pytest.raises(RuntimeError, match="the stream broke"):
        answer.get_data()
    answer.close()
    began, streamed, report = database.events()
    assert [began["event"], streamed["event"], report["event"]] == ["broken began", "broken streamed", "$exception"]
    assert report["distinct_id"] == "ada"
    assert report["properties"]["$response_status_code"] == 200


def test_two_streams_taken_in_turns_keep_apart(shop: Flask, database: TestDatabase) -> None:
    posthog: PostHog = shop.extensions["hogbox"]

    @shop.get("/plain/<name>")
    def plain(name: str) -> Response:
        def parts() -> Iterator[str]:
            for number in range(2):
                posthog.capture(None, f"{name} {number}")
                yield name

        posthog.capture(None, f"{name} began")
        return Response(parts())

    names = ("a", "b")
    answers = [shop.test_client().get(f"/plain/{name}", headers={"Customer": name}) for name in names]
    bodies = [iter(answer.response) for answer in answers]
    assert [next(body) for _ in range(2) for body in bodies] == [b"a", b"b", b"a", b"b"]
    events = [(event["event"], event["distinct_id"]) for event in database.events()]
    assert sorted(events) == [(f"{name} {what}", name) for name in names for what in ("0", "1", "began")]
    assert events[-2:] == [("a 1", "a"), ("b 1", "b")]


def test_a_file_is_left_for_the_server_to_send(shop: Flask) -> None:
    @shop.get("/file")
    def file() -> Any:
        return send_file(__file__)

    class Wrapper:
        def __init__(self, file: Any, size: int = 8192) -> None:
            self.close = file.close

        def __iter__(self) -> Any:
            return iter(())

    environ = EnvironBuilder(path="/file").get_environ()
    body = shop({**environ, "wsgi.file_wrapper": Wrapper}, lambda *_: lambda _: None)
    assert isinstance(body, Wrapper)
    body.close()
