"""When an event happened and which one it is: fixed at capture (P3)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
import time_machine

from hogbox import PostHog
from hogbox.errors import InvalidEvent
from tests.client.conftest import Client, Only
from tests.fixtures.colour import open_session
from tests.fixtures.database import TestDatabase

GIVEN = "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11"


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_now_by_default(posthog: PostHog, only: Only) -> None:
    with time_machine.travel(datetime(2026, 3, 4, 10, 15, 30, 250_000, tzinfo=UTC), tick=False):
        posthog.capture(None, "paid", distinct_id="u1")
    assert only()["timestamp"] == "2026-03-04T10:15:30.250000+00:00"


def test_an_aware_moment_is_converted_to_utc(posthog: PostHog, only: Only) -> None:
    moment = datetime(2026, 1, 2, 8, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    posthog.capture(None, "paid", distinct_id="u1", timestamp=moment)
    assert only()["timestamp"] == "2026-01-02T02:30:00.000000+00:00"


@pytest.mark.usefixtures("in_new_york")
def test_a_naive_moment_is_local_time(posthog: PostHog, only: Only) -> None:
    posthog.capture(None, "paid", distinct_id="u1", timestamp=datetime(2026, 7, 1, 8, 0))  # noqa: DTZ001
    assert only()["timestamp"] == "2026-07-01T12:00:00.000000+00:00"


@pytest.mark.parametrize("value", ["2026-01-02", 1767312000, 1.5])
def test_other_moments_are_refused_with_what_to_pass(posthog: PostHog, value: Any) -> None:
    with pytest.raises(InvalidEvent) as caught:
        posthog.capture(None, "paid", distinct_id="u1", timestamp=value)
    assert str(caught.value) == (
        f"timestamp must be a datetime, not {type(value).__name__}: pass datetime.now(timezone.utc), or "
        "datetime.fromisoformat(text)"
    )


def test_a_moment_beyond_the_calendar_is_refused(posthog: PostHog) -> None:
    moment = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    with pytest.raises(InvalidEvent, match=r"cannot be expressed in UTC: pass another one$"):
        posthog.capture(None, "paid", distinct_id="u1", timestamp=moment)


@pytest.mark.parametrize("uuid", [GIVEN, GIVEN.upper(), UUID(GIVEN), f"{{{GIVEN}}}"], ids=repr)
def test_a_uuid_of_the_callers_is_kept_in_posthogs_form(posthog: PostHog, only: Only, uuid: Any) -> None:
    assert posthog.capture(None, "paid", distinct_id="u1", uuid=uuid) == GIVEN == only()["uuid"]


def test_what_is_no_uuid_is_replaced_with_a_warning(
    posthog: PostHog, only: Only, caplog: pytest.LogCaptureFixture
) -> None:
    uuid = posthog.capture(None, "paid", distinct_id="u1", uuid="order-17")
    assert UUID(uuid).version == 7
    assert only()["uuid"] == uuid
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (
        logging.WARNING,
        "uuid 'order-17' is not a UUID: the event gets a new one",
    )


def test_p3_an_idempotency_key_gives_the_same_uuid(client: Client) -> None:
    one, other = client(), client(project_token="phc_another_project")
    first = one.capture(None, "paid", distinct_id="u1", idempotency_key="order-17")
    assert one.capture(None, "paid", distinct_id="u1", idempotency_key="order-17") == first
    assert one.capture(None, "paid", distinct_id="u1", idempotency_key="order-18") != first
    assert other.capture(None, "paid", distinct_id="u1", idempotency_key="order-17") != first


def test_a_uuid_wins_over_an_idempotency_key(posthog: PostHog) -> None:
    assert posthog.capture(None, "paid", distinct_id="u1", uuid=GIVEN, idempotency_key="order-17") == GIVEN


def test_every_method_takes_timestamp_uuid_and_key(posthog: PostHog, database: TestDatabase) -> None:
    options: dict[str, Any] = {"timestamp": datetime(2026, 1, 2, tzinfo=UTC), "uuid": GIVEN, "disable_geoip": False}
    posthog.identify(None, distinct_id="u1", **options)
    posthog.group_identify(None, "company", "c-19", **options)
    posthog.alias(None, "anon", distinct_id="u1", **options)
    posthog.capture_exception(None, "it broke", **options)
    found = {(e["uuid"], e["timestamp"], e["properties"]["$geoip_disable"]) for e in database.events()}
    assert found == {(GIVEN, "2026-01-02T00:00:00.000000+00:00", False)}


def test_uuids_made_one_after_another_are_all_different(posthog: PostHog, database: TestDatabase) -> None:
    with open_session(posthog, database) as session, time_machine.travel(0, tick=False):
        made = {posthog.capture(session.handle, "paid", distinct_id="u1") for _ in range(500)}
    assert len(made) == 500
