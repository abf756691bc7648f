"""Whose event it is: the `identify` callback, then the argument."""

from __future__ import annotations

from typing import Any

import pytest

from hogbox import PostHog
from hogbox.errors import MissingDistinctId
from tests.client.conftest import Client, Only
from tests.fixtures.colour import open_session
from tests.fixtures.database import TestDatabase

MISSING = "No distinct id: pass distinct_id=..., give PostHog(identify=...), or open hogbox.context.new_context()."


def test_the_callbacks_answer_wins_over_the_argument(client: Client, only: Only) -> None:
    client(identify=lambda _: "from callback").capture(None, "paid", distinct_id="from argument")
    assert only()["distinct_id"] == "from callback"


def test_the_argument_stands_where_the_callback_answers_none(client: Client, only: Only) -> None:
    client(identify=lambda _: None).capture(None, "paid", distinct_id="from argument")
    assert only()["distinct_id"] == "from argument"


def test_the_callback_is_given_the_callers_transaction(client: Client, database: TestDatabase) -> None:
    asked: list[Any] = []

    def identify(ctx: Any) -> str:
        asked.append(ctx)
        return "u1"

    posthog = client(identify=identify)
    with open_session(posthog, database) as session:
        posthog.capture(session.handle, "paid")
        posthog.identify(session.handle)
        posthog.alias(session.handle, "anon")
        posthog.capture_exception(session.handle, "it broke")
        assert asked == [session.handle] * 4
        session.commit()
    assert [event["distinct_id"] for event in database.events()] == ["u1"] * 4


def test_the_callback_is_not_asked_for_groups(client: Client, only: Only) -> None:
    client(identify=lambda _: "u1").group_identify(None, "company", "c-19")
    assert only()["distinct_id"] == "$company_c-19"


def test_an_error_of_the_callback_is_the_callers(client: Client, database: TestDatabase) -> None:
    def identify(_: Any) -> str:
        raise LookupError("nobody is logged in")

    with pytest.raises(LookupError, match="nobody is logged in"):
        client(identify=identify).capture(None, "paid", distinct_id="u1")
    assert database.events() == []


@pytest.mark.parametrize("nobody", [None, "", "  \t"])
@pytest.mark.parametrize("method", ["capture", "identify", "alias"])
def test_nobody_named_says_both_ways_to_name_somebody(posthog: PostHog, nobody: Any, method: str) -> None:
    arguments = {"capture": ["paid"], "identify": [], "alias": ["anon"]}[method]
    with pytest.raises(MissingDistinctId) as caught:
        getattr(posthog, method)(None, *arguments, distinct_id=nobody)
    assert str(caught.value) == MISSING
