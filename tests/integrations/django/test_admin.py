"""The admin pages, over HTTP: what they show, what nobody can do there, and the retry of dead letters."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import get_user_model  # type: ignore[import-untyped]
from django.contrib.auth.models import Permission  # type: ignore[import-untyped]
from django.db import DatabaseError, connections  # type: ignore[import-untyped]
from django.test import Client, override_settings  # type: ignore[import-untyped]

from hogbox._encryption import VARIABLE, Cipher, new_key
from hogbox._events.event import Row
from hogbox.integrations.django import posthog
from hogbox.integrations.django.dead_letter import retry
from hogbox.integrations.django.models import OutboxEvent
from tests.fixtures.database import TestDatabase
from tests.integrations.django.site import connected

DEAD = "/admin/hogbox/deadletter/"


@pytest.fixture
def admin(site: TestDatabase) -> Client:
    """The browser of somebody who may do everything."""
    browser = Client()
    browser.force_login(get_user_model().objects.create_superuser("root"))
    return browser


def allowed(*permissions: str) -> Client:
    """The browser of a member of the staff with these permissions."""
    user = get_user_model().objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


def bury(database: TestDatabase, reason: str = "a proxy refused it") -> None:
    """Make dead letters of all that waits, as a worker does."""
    database.execute(
        "INSERT INTO posthog_dead_letters (shard, project, lane, payload, created_at, event_uuid, reason, status, "
        "died_at) SELECT shard, project, lane, payload, created_at, 'some uuid', :reason, 400, created_at + 1000 "
        "FROM posthog_outbox ORDER BY id",
        reason=reason,
    )
    database.execute("DELETE FROM posthog_outbox")


def capture(*names: str, distinct_id: str = "u1") -> None:
    for name in names:
        posthog.capture(name, distinct_id=distinct_id, properties={"note": "<b>fine</b>"})


def ids(database: TestDatabase) -> list[int]:
    return [row["id"] for row in database.rows("posthog_dead_letters")]


def act(browser: Client, chosen: list[int], **more: Any) -> str:
    response = browser.post(DEAD, {"action": "retry", "_selected_action": chosen, **more}, follow=True)
    return re.sub(r"\s+", " ", response.content.decode())


def text_of(browser: Client, path: str) -> str:
    response = browser.get(path)
    assert response.status_code == 200, path
    return str(response.content.decode())


def test_the_outbox_shows_what_waits(site: TestDatabase, admin: Client) -> None:
    capture("order placed")
    (row,) = site.rows("posthog_outbox")
    page = text_of(admin, "/admin/hogbox/outboxevent/")
    assert "order placed" in page
    assert "phc_djan…" in page
    one = text_of(admin, f"/admin/hogbox/outboxevent/{row['id']}/change/")
    assert "&lt;b&gt;fine&lt;/b&gt;" in one
    assert "phc_django" not in one
    assert "order placed" in text_of(admin, "/admin/hogbox/outboxevent/?q=placed")
    assert "order placed" not in text_of(admin, "/admin/hogbox/outboxevent/?q=nothing")


def test_encrypted_events_are_shown_and_put_back_where_their_key_is(
    site: TestDatabase, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    capture("order placed")
    (row,) = site.rows("posthog_outbox")
    place = Row(row["shard"], row["project"], row["lane"], row["payload"])
    sealed = Cipher.load({VARIABLE: key}).seal(place.payload, place)
    site.execute("UPDATE posthog_outbox SET payload = :sealed", sealed=sealed)
    assert "order placed" not in text_of(admin, "/admin/hogbox/outboxevent/")
    bury(site)
    assert "not requeued" in act(admin, ids(site))
    monkeypatch.setenv(VARIABLE, key)
    assert "order placed" in text_of(admin, DEAD)
    assert "order placed" in text_of(admin, f"{DEAD}{ids(site)[0]}/change/")
    assert "1 event requeued" in act(admin, ids(site))
    assert "order placed" in text_of(admin, "/admin/hogbox/outboxevent/")


def test_dead_letters_are_shown_with_their_reasons(site: TestDatabase, admin: Client) -> None:
    capture("order placed")
    bury(site)
    assert "a proxy refused it" in text_of(admin, f"{DEAD}?status=400")
    assert "a proxy refused it" in text_of(admin, f"{DEAD}{ids(site)[0]}/change/")


def test_definitions_are_shown_with_their_last_refresh(site: TestDatabase, admin: Client) -> None:
    page = text_of(admin, "/admin/hogbox/flagdefinitions/")
    assert "phc_djan…" in page
    site.execute(
        "INSERT INTO posthog_refreshes (project, due_at, last_status, last_reason, last_at) "
        "VALUES ('phc_django', 1, 'error', 'auth', 2)"
    )
    assert "error auth" in text_of(admin, "/admin/hogbox/flagdefinitions/")
    assert "&quot;flags&quot;: []" in text_of(admin, "/admin/hogbox/flagdefinitions/phc_5Fdjango/change/")


@pytest.mark.parametrize("model", ["outboxevent", "deadletter", "flagdefinitions"])
def test_nobody_adds_changes_or_deletes(site: TestDatabase, admin: Client, model: str) -> None:
    capture("order placed")
    if model == "deadletter":
        bury(site)
    key = "phc_5Fdjango" if model == "flagdefinitions" else "1"
    assert admin.get(f"/admin/hogbox/{model}/add/").status_code == 403
    assert admin.post(f"/admin/hogbox/{model}/{key}/change/", {}).status_code == 403
    assert admin.post(f"/admin/hogbox/{model}/{key}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in text_of(admin, f"/admin/hogbox/{model}/")


def test_p3_a_retry_puts_events_back_in_order_with_uuid_and_timestamp(site: TestDatabase, admin: Client) -> None:
    capture("one", "two", "three", "four")
    before = site.events()
    bury(site)
    capture("meanwhile")
    first, second, third, _ = ids(site)
    page = act(admin, [third, first, second])
    assert "3 events requeued." in page
    assert site.events()[1:] == before[:3]
    assert [row["payload"] for row in site.dead_letters()] == before[3:]
    kept = {(row["shard"], row["project"], row["lane"]) for row in site.rows("posthog_outbox")}
    assert len(kept) == 1


def test_p2_all_of_a_filter_are_put_back(site: TestDatabase, admin: Client) -> None:
    capture(*(f"event {number}" for number in range(503)))
    before = site.events()
    bury(site)
    page = act(admin, ids(site)[:1], select_across="1")
    assert "503 events requeued." in page
    assert site.events() == before
    assert ids(site) == []


def test_p2_a_retry_that_fails_changes_nothing(site: TestDatabase, admin: Client) -> None:
    capture("one", "two")
    bury(site)
    site.execute(
        "CREATE TRIGGER refuse BEFORE DELETE ON posthog_dead_letters BEGIN SELECT RAISE(ABORT, 'not now'); END"
    )
    with pytest.raises(DatabaseError, match="not now"):
        act(admin, ids(site))
    assert [event["event"] for event in site.events()] == ["$exception"]
    assert len(ids(site)) == 2


def test_what_posthog_would_garble_again_stays(site: TestDatabase, admin: Client) -> None:
    capture("fine")
    bury(site)
    capture("nobody's", distinct_id="undefined")
    site.execute(
        "INSERT INTO posthog_dead_letters (shard, project, lane, payload, created_at, event_uuid, reason, died_at) "
        "VALUES (1, 'phc_django', 'analytics', 'no event', 1, '', 'broken', 1)"
    )
    page = act(admin, ids(site))
    assert "1 event requeued." in page
    assert "2 events not requeued: PostHog would still refuse or garble them." in page
    assert [event["event"] for event in site.events()] == ["fine"]
    assert "no event" in text_of(admin, f"{DEAD}{ids(site)[1]}/change/")


def test_who_may_only_look_gets_no_retry(site: TestDatabase) -> None:
    capture("one")
    bury(site)
    viewer = allowed("view_deadletter")
    assert "retry" not in text_of(viewer, DEAD)
    act(viewer, ids(site))
    assert site.events() == []


def test_who_may_change_dead_letters_may_retry(site: TestDatabase) -> None:
    capture("one")
    bury(site)
    act(allowed("view_deadletter", "change_deadletter"), ids(site))
    assert [event["event"] for event in site.events()] == ["one"]


def test_who_may_nothing_sees_nothing(site: TestDatabase) -> None:
    assert allowed().get(DEAD).status_code == 403


def test_p3_a_retry_is_the_same_on_every_database(django_database: TestDatabase) -> None:
    capture("one", "two", "three")
    before = django_database.events()
    django_database.execute(
        "INSERT INTO posthog_dead_letters (shard, project, lane, payload, created_at, event_uuid, reason, died_at) "
        "SELECT shard, project, lane, payload, created_at, 'uuid', 'why', 1 FROM posthog_outbox ORDER BY id"
    )
    django_database.execute("DELETE FROM posthog_outbox")
    assert retry([*reversed(ids(django_database)), 999_999]) == (3, 0)
    assert django_database.events() == before
    assert retry([]) == (0, 0)


def test_p3_of_two_that_retry_the_same_ones_one_does(django_database: TestDatabase) -> None:
    capture(*(f"event {number}" for number in range(20)))
    before = django_database.events()
    bury(django_database)
    wanted = ids(django_database)

    def run(_: int) -> int:
        try:
            return retry(wanted).put_back
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(4))) == 20
    assert django_database.events() == before


def test_the_models_read_the_configured_database(site: TestDatabase, sqlite_database: TestDatabase) -> None:
    with (
        connected(sqlite_database, "events"),
        override_settings(HOGBOX={"PROJECT_TOKEN": "phc_django", "DATABASE": "events"}),
    ):
        capture("there")
        assert OutboxEvent.objects.count() == 1
        assert OutboxEvent.objects.using("default").count() == 0
    assert [event["event"] for event in sqlite_database.events()] == ["there"]
