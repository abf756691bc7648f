"""What a snapshot says of the definitions that it was taken of."""

from __future__ import annotations

import pytest

from hogbox import Flags, PostHog
from hogbox.context import new_context
from tests.client.conftest import TOKEN, Client
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store

COHORTS = {"cohorts": {"1": {"type": "AND", "values": [where("plan", "pro")]}}}


@pytest.fixture
def posthog(client: Client) -> PostHog:
    return client(definitions_max_age=0, personal_api_key="phs_tests")


def take(posthog: PostHog) -> Flags:
    return posthog.flags(None, distinct_id="u1")


def test_the_revision_counts_the_changes(posthog: PostHog, database: TestDatabase) -> None:
    nothing = take(posthog)
    assert (nothing.revision, nothing.readable, nothing.keys) == (None, False, ())
    store(database, TOKEN, definitions(flag("a")))
    first = take(posthog)
    store(database, TOKEN, definitions(flag("b")))
    second = take(posthog)
    assert (first.revision, second.revision) == (1, 2)
    assert first.readable
    assert second.readable


def test_definitions_that_cannot_be_read(posthog: PostHog, database: TestDatabase) -> None:
    store(database, TOKEN, "no definitions")
    unreadable = take(posthog)
    assert (unreadable.revision, unreadable.readable, unreadable.keys) == (1, False, ())


def test_a_disabled_client_has_no_definitions(client: Client, database: TestDatabase) -> None:
    store(database, TOKEN, definitions(flag("a")))
    assert take(client(disabled=True)).revision is None


def test_whose_flags(posthog: PostHog) -> None:
    assert take(posthog).distinct_id == "u1"


def test_nobodys_flags(posthog: PostHog) -> None:
    with new_context(personless=True):
        assert posthog.flags(None).distinct_id is None


def test_a_flag_as_it_is_defined(posthog: PostHog, database: TestDatabase) -> None:
    store(database, TOKEN, definitions(flag("a", id=7)))
    snapshot = take(posthog)
    assert (snapshot.definition("a") or {})["id"] == 7
    assert snapshot.definition("b") is None


def test_what_has_changed_since(posthog: PostHog, database: TestDatabase) -> None:
    store(database, TOKEN, definitions(flag("same"), flag("other"), flag("gone")))
    before = take(posthog)
    store(database, TOKEN, definitions(flag("same"), flag("other", active=False), flag("new")))
    after = take(posthog)
    assert sorted(after.changed_since(before)) == ["gone", "new", "other"]
    assert after.changed_since(after) == ()


def test_what_flags_share_changes_all_of_them(posthog: PostHog, database: TestDatabase) -> None:
    store(database, TOKEN, definitions(flag("a"), flag("b")))
    before = take(posthog)
    store(database, TOKEN, {**definitions(flag("a"), flag("b")), **COHORTS})
    assert take(posthog).changed_since(before) == ("a", "b")
