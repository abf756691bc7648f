"""P1: what is captured in `db.session` shares the fate of the request's transaction, on every database."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.fixtures.database import BACKENDS, SharedDatabases, TestDatabase
from tests.integrations.flask.conftest import InstallShop

ADA = {"Customer": "ada"}


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, orders: SharedDatabases) -> TestDatabase:
    """Each of the three databases."""
    return orders(request.param)


@pytest.fixture
def shop(install_shop: InstallShop, database: TestDatabase) -> Flask:
    return install_shop(database)


def names(database: TestDatabase) -> list[str]:
    return [event["event"] for event in database.events()]


def test_p1_committed_with_the_session(shop: Flask, database: TestDatabase) -> None:
    assert shop.test_client().post("/orders/1/commit", headers=ADA).status_code == 200
    (event,) = database.events()
    assert (event["event"], event["distinct_id"]) == ("order 1", "ada")
    assert database.count("orders") == 1


@pytest.mark.parametrize("ending", ["rollback", "forget"])
def test_p1_gone_where_the_session_is_not_committed(shop: Flask, database: TestDatabase, ending: str) -> None:
    assert shop.test_client().post(f"/orders/1/{ending}", headers=ADA).status_code == 200
    assert names(database) == []
    assert database.count("orders") == 0


def test_p1_savepoints_keep_and_lose_their_own(shop: Flask, database: TestDatabase) -> None:
    assert shop.test_client().post("/orders/1/savepoints", headers=ADA).status_code == 200
    assert names(database) == ["order 1", "order 2"]
    assert database.count("orders") == 2


def test_p1_one_request_after_the_other(shop: Flask, database: TestDatabase) -> None:
    client = shop.test_client()
    for number, ending in enumerate(["commit", "forget", "commit", "rollback"]):
        client.post(f"/orders/{number}/{ending}", headers=ADA)
    assert names(database) == ["order 0", "order 2"]


def test_an_exception_is_reported_though_its_transaction_is_rolled_back(shop: Flask, database: TestDatabase) -> None:
    assert shop.test_client().post("/fail/7", headers=ADA).status_code == 500
    (event,) = database.events()
    assert (event["event"], event["distinct_id"]) == ("$exception", "ada")
    assert database.count("orders") == 0
