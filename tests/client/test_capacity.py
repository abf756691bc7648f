"""Bounds of the outbox, for both clients: raise or dead letter, never silent, measured once a second."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hogbox import PostHog
from hogbox._settings.client import ClientSettings
from hogbox.errors import ConfigurationError, HogboxError, OutboxFull, UsageError
from tests.client.conftest import TOKEN, Client
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.colour import open_session
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store
from tests.fixtures.waiting import wait_until

SetBound = Callable[..., None]


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> SetBound:
    """Sets bounds for the clients that are made afterwards: `bound(OUTBOX_ROWS=3)`."""

    def set_them(**settings: object) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(f"HOGBOX_{name}", str(value))

    return set_them


def fill(database: TestDatabase, events: int, size: int = 10) -> None:
    with PostHog(database.url, project_token=TOKEN) as posthog, database.engine.begin() as connection:
        for _ in range(events):
            posthog.capture(connection, "before", distinct_id="u1", properties={"text": "x" * size})


def capture(posthog: PostHog) -> str | None:
    return posthog.capture(None, "paid", distinct_id="u1")


def test_p8_a_full_outbox_raises_and_writes_nothing(
    any_database: TestDatabase, colour: type[PostHog], bound: SetBound, caplog: pytest.LogCaptureFixture
) -> None:
    fill(any_database, 3)
    bound(OUTBOX_ROWS=3)
    with colour(any_database.url, project_token=TOKEN) as posthog:
        with pytest.raises(OutboxFull, match="HOGBOX_OUTBOX_ROWS allows 3: run more workers"):
            capture(posthog)
        with pytest.raises(OutboxFull):
            posthog.identify(None, distinct_id="u1")
    assert any_database.count("posthog_outbox") == 3
    assert any_database.count("posthog_dead_letters") == 0
    assert caplog.text.count("captures raise OutboxFull") == 1


def test_p2_a_full_outbox_makes_dead_letters_where_that_is_chosen(
    any_database: TestDatabase, colour: type[PostHog], bound: SetBound, caplog: pytest.LogCaptureFixture
) -> None:
    fill(any_database, 3)
    bound(OUTBOX_ROWS=3, OUTBOX_FULL="dead-letter")
    with colour(any_database.url, project_token=TOKEN) as posthog:
        uuids = [capture(posthog), capture(posthog)]
    letters = any_database.dead_letters()
    assert [letter["event_uuid"] for letter in letters] == uuids
    assert letters[0]["reason"] == "the outbox holds 3 events or more, and HOGBOX_OUTBOX_ROWS allows 3"
    assert all(f"event {uuid} stored as a dead letter: the outbox holds" in caplog.text for uuid in uuids)


def test_ids_that_are_gone_are_not_taken_for_events(
    any_database: TestDatabase, colour: type[PostHog], bound: SetBound
) -> None:
    fill(any_database, 10)
    first = any_database.rows("posthog_outbox")[0]["id"]
    any_database.execute("DELETE FROM posthog_outbox WHERE id > :first AND id < :last", first=first, last=first + 9)
    bound(OUTBOX_ROWS=3)
    with colour(any_database.url, project_token=TOKEN) as posthog:
        assert capture(posthog)


def test_bytes_are_estimated(any_database: TestDatabase, colour: type[PostHog], bound: SetBound) -> None:
    fill(any_database, 60, size=20_000)
    bound(OUTBOX_BYTES=2_000_000)
    with colour(any_database.url, project_token=TOKEN) as posthog:
        assert capture(posthog)
    bound(OUTBOX_BYTES=1_000_000)
    with (
        colour(any_database.url, project_token=TOKEN) as posthog,
        pytest.raises(OutboxFull, match=r"of about 19,\d+ bytes"),
    ):
        capture(posthog)


def test_a_sqlite_file_is_bounded_whatever_the_policy(database: TestDatabase, client: Client, bound: SetBound) -> None:
    fill(database, 20, size=50_000)
    bound(SQLITE_BYTES=1_000_000, OUTBOX_FULL="dead-letter")
    posthog = client()
    with pytest.raises(OutboxFull, match="HOGBOX_SQLITE_BYTES allows 1,000,000"):
        capture(posthog)
    with pytest.raises(OutboxFull):
        posthog.capture(None, "paid", distinct_id="undefined")
    database.execute("DELETE FROM posthog_outbox")
    assert capture(client()), "pages that were freed are used again"
    assert database.count("posthog_dead_letters") == 0


def test_other_databases_have_no_bound_of_their_disk(
    any_database: TestDatabase, colour: type[PostHog], bound: SetBound
) -> None:
    bound(SQLITE_BYTES=1)
    with colour(any_database.url, project_token=TOKEN) as posthog:
        if any_database.backend != "sqlite":
            assert capture(posthog)


def test_it_is_measured_once_a_second_at_most(database: TestDatabase, client: Client, bound: SetBound) -> None:
    bound(OUTBOX_ROWS=2)
    posthog = client()
    with open_session(posthog, database) as session:
        for _ in range(5):
            posthog.capture(session.handle, "paid", distinct_id="u1")
        session.commit()
    with pytest.raises(OutboxFull):
        capture(client())
    wait_until(lambda: refused(posthog), "the next measurement")


def test_it_goes_on_when_there_is_room(
    database: TestDatabase, client: Client, bound: SetBound, caplog: pytest.LogCaptureFixture
) -> None:
    fill(database, 2)
    bound(OUTBOX_ROWS=2)
    caplog.set_level("INFO", "hogbox")
    posthog = client()
    assert refused(posthog)
    database.execute("DELETE FROM posthog_outbox")
    wait_until(lambda: not refused(posthog), "the next measurement")
    assert "the outbox has room again" in caplog.text


def refused(posthog: PostHog) -> bool:
    try:
        capture(posthog)
    except OutboxFull:
        return True
    return False


def test_p5_a_read_of_a_flag_leaves_its_exposure_out(database: TestDatabase, client: Client, bound: SetBound) -> None:
    store(database, TOKEN, definitions(flag("on")))
    fill(database, 2)
    bound(OUTBOX_ROWS=2)
    assert client(track_exposures=True).get_feature_flag(None, "on", distinct_id="u1") is True
    assert database.count("posthog_outbox") == 2
    assert database.count("posthog_exposures") == 0
    database.execute("DELETE FROM posthog_outbox")
    client(track_exposures=True).get_feature_flag(None, "on", distinct_id="u1")
    assert [event["event"] for event in database.events()] == ["$feature_flag_called"]


def test_no_bound_is_no_work(database: TestDatabase) -> None:
    with PostHog(database.url, project_token=TOKEN) as posthog:
        assert posthog._components.capacity is None


def test_what_is_no_bound_and_no_policy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="HOGBOX_OUTBOX_FULL='drop' is invalid: use raise or dead-letter"):
        ClientSettings.load({"HOGBOX_OUTBOX_FULL": "drop"}, token_needed=False)
    with pytest.raises(ConfigurationError, match="HOGBOX_OUTBOX_ROWS must be a number of at least 0"):
        ClientSettings.load({"HOGBOX_OUTBOX_ROWS": "-1"}, token_needed=False)
    with pytest.raises(ConfigurationError, match="HOGBOX_OUTBOX_BYTES='5 MB' is not a number"):
        ClientSettings.load({"HOGBOX_OUTBOX_BYTES": "5 MB"}, token_needed=False)


def test_it_is_neither_the_callers_fault_nor_the_schemas() -> None:
    assert issubclass(OutboxFull, HogboxError)
    assert not issubclass(OutboxFull, UsageError)
