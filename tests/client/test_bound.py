"""A bound client: the same methods, in the transaction that its binding names at each call."""

from __future__ import annotations

import inspect

import pytest
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from hogbox import PostHog
from hogbox.bound import BoundPostHog
from tests.client.conftest import TOKEN
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store

NEED_NO_CTX = {
    "flag_changes",
    "on_flag_changed",
    "on_flags_changed",
    "create_tables",
    "deliver",
    "discarded",
    "refresh_flag_definitions",
    "reload_feature_flags",
    "shutdown",
    "start",
    "telemetry",
}

METHODS = [name for name in vars(BoundPostHog) if not name.startswith("_") and name != "client"]


def test_p1_each_call_is_in_the_transaction_of_that_moment(database: TestDatabase) -> None:
    registry = scoped_session(sessionmaker(database.engine))
    posthog = BoundPostHog(PostHog(project_token=TOKEN), lambda: registry)
    posthog.capture("lost", distinct_id="u1")
    registry.rollback()
    posthog.capture("kept", distinct_id="u1")
    registry.commit()
    registry.remove()
    assert [event["event"] for event in database.events()] == ["kept"]


def test_reads_are_in_it_too(database: TestDatabase) -> None:
    store(database, TOKEN, definitions(flag("on")))
    with Session(database.engine) as session:
        posthog = BoundPostHog(PostHog(project_token=TOKEN), lambda: session)
        assert posthog.get_feature_flag("on", distinct_id="u1") is True
        assert posthog.flags(distinct_id="u1").all() == {"on": True}


def test_it_has_every_method_that_takes_a_transaction() -> None:
    public = {name for name, _ in inspect.getmembers(PostHog) if not name.startswith("_")}
    assert set(METHODS) == public - NEED_NO_CTX


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_of_itself_what_the_clients_says(name: str) -> None:
    assert inspect.getdoc(getattr(BoundPostHog, name)) == inspect.getdoc(getattr(PostHog, name))
