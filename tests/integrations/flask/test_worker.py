"""The worker thread of a process that serves requests: begun by the first of them."""

from __future__ import annotations

import threading

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from hogbox.integrations.flask import Hogbox
from tests.fixtures.database import TestDatabase
from tests.integrations.flask.conftest import InstallShop
from tests.integrations.flask.shop import TOKEN, dispose, make_shop, signed_in

ADA = {"Customer": "ada"}


def worker_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hogbox-worker"]


def test_it_begins_with_the_first_request_and_delivers(database: TestDatabase, emulator: Emulator) -> None:
    shop = make_shop(database)
    with PostHog(database.url, project_token=TOKEN, host=emulator.url) as posthog:
        Hogbox(shop, posthog, distinct_id=signed_in, start_worker=True)
        assert worker_threads() == []
        for number in range(3):
            shop.test_client().post(f"/orders/{number}/commit", headers=ADA)
        assert len(worker_threads()) == 1
        assert [event.event for event in emulator.wait_for_events(3)] == ["order 0", "order 1", "order 2"]
    dispose(shop)


def test_it_does_not_begin_unless_wanted(install_shop: InstallShop, database: TestDatabase) -> None:
    install_shop(database).test_client().post("/orders/1/commit", headers=ADA)
    assert worker_threads() == []


def test_p8_a_worker_that_cannot_begin_fails_no_request(
    install_shop: InstallShop, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    client = install_shop(database, start_worker=True).test_client()
    database.execute("ALTER TABLE posthog_schema RENAME TO moved")
    try:
        assert client.get("/abort/404").status_code == 404
    finally:
        database.execute("ALTER TABLE moved RENAME TO posthog_schema")
    assert "the worker thread could not be started" in caplog.text
    client.get("/abort/404")
    assert len(worker_threads()) == 1
