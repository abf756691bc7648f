"""P1: what is captured shares the fate of `atomic`, on every database that Django and hogbox share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from django.db import IntegrityError, connection, connections, transaction  # type: ignore[import-untyped]
from django.db.transaction import TransactionManagementError  # type: ignore[import-untyped]

from hogbox.errors import TablesMissing, TablesOutdated, UnsupportedHandle, UsageError
from hogbox.integrations.django import posthog
from tests.fixtures.database import TestDatabase
from tests.integrations.django.site import connected


class Rollback(Exception):
    """Leaves a block."""


@contextmanager
def rolled_back() -> Iterator[None]:
    """A block of `atomic` that an exception leaves."""
    with suppress(Rollback), transaction.atomic():
        yield
        raise Rollback


def insert_order(number: int = 1) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (%s)", [number])


def names(database: TestDatabase) -> list[str]:
    return [event["event"] for event in database.events()]


def test_p1_outside_of_atomic_an_event_is_committed_at_once(django_database: TestDatabase) -> None:
    uuid = posthog.capture("paid", distinct_id="u1")
    assert [event["uuid"] for event in django_database.events()] == [uuid]


def test_p1_committed_with_the_block(django_database: TestDatabase) -> None:
    with transaction.atomic():
        insert_order()
        posthog.capture("paid", distinct_id="u1")
        assert names(django_database) == []
    assert names(django_database) == ["paid"]
    assert django_database.count("orders") == 1


def test_p1_rolled_back_with_the_block(django_database: TestDatabase) -> None:
    with rolled_back():
        insert_order()
        posthog.capture("paid", distinct_id="u1")
    assert names(django_database) == []
    assert django_database.count("orders") == 0


def test_p1_gone_with_an_inner_block_that_is_rolled_back(django_database: TestDatabase) -> None:
    with transaction.atomic():
        posthog.capture("before", distinct_id="u1")
        with rolled_back():
            posthog.capture("inside", distinct_id="u1")
        posthog.capture("after", distinct_id="u1")
    assert names(django_database) == ["before", "after"]


def test_p1_an_inner_block_that_is_kept_waits_for_the_outer_one(django_database: TestDatabase) -> None:
    with transaction.atomic():
        with transaction.atomic():
            posthog.capture("inside", distinct_id="u1")
        assert names(django_database) == []
    assert names(django_database) == ["inside"]


def test_p1_gone_with_the_outer_block_though_the_inner_one_was_kept(django_database: TestDatabase) -> None:
    with rolled_back():
        with transaction.atomic():
            posthog.capture("inside", distinct_id="u1")
    assert names(django_database) == []


def test_p1_gone_with_a_block_that_is_told_to_roll_back(django_database: TestDatabase) -> None:
    with transaction.atomic():
        posthog.capture("paid", distinct_id="u1")
        transaction.set_rollback(True)
    assert names(django_database) == []


def test_p1_gone_where_a_later_statement_fails(django_database: TestDatabase) -> None:
    @transaction.atomic  # type: ignore[untyped-decorator]
    def pay() -> None:
        insert_order()
        posthog.capture("paid", distinct_id="u1")
        insert_order()

    with pytest.raises(IntegrityError):
        pay()
    assert names(django_database) == []


def test_it_does_not_end_the_transaction(django_database: TestDatabase) -> None:
    with transaction.atomic():
        insert_order()
        posthog.capture("paid", distinct_id="u1")
        assert connection.in_atomic_block
        insert_order(2)
        assert django_database.count("orders") == 0
    assert django_database.count("orders") == 2


def test_on_commit_runs_after_the_event_is_there(django_database: TestDatabase) -> None:
    seen: list[list[str]] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(names(django_database)))
        posthog.capture("paid", distinct_id="u1")
    assert seen == [["paid"]]


def test_in_a_block_that_can_only_be_rolled_back_nothing_is_captured(django_database: TestDatabase) -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError, match="until the end of the 'atomic' block"):
            posthog.capture("paid", distinct_id="u1")


def test_any_connection_of_djangos_is_a_handle(django_database: TestDatabase) -> None:
    for handle in (connection, connections["default"]):
        with transaction.atomic():
            posthog.client.capture(handle, "paid", distinct_id="u1")
            assert names(django_database) == []
            transaction.set_rollback(True)
    assert names(django_database) == []


def test_a_property_with_percent_signs_arrives_as_it_is(django_database: TestDatabase) -> None:
    posthog.capture("100 %s", distinct_id="u1", properties={"off": "50 %", "format": "%(name)s %%"})
    (event,) = django_database.events()
    assert event["event"] == "100 %s"
    assert (event["properties"]["off"], event["properties"]["format"]) == ("50 %", "%(name)s %%")


def test_another_database_by_its_alias_or_its_connection(
    django_database: TestDatabase, sqlite_database: TestDatabase
) -> None:
    with connected(sqlite_database, "other") as other:
        with transaction.atomic(using="other"):
            posthog.using("other").capture("alias", distinct_id="u1")
            posthog.using(other).capture("connection", distinct_id="u1")
            assert names(sqlite_database) == []
        assert names(sqlite_database) == ["alias", "connection"]
    assert names(django_database) == []


def test_an_alias_that_is_not_there_is_refused(django_database: TestDatabase) -> None:
    with pytest.raises(UsageError, match="there is no database 'replica': DATABASES contains 'default'"):
        posthog.using("replica")


def test_missing_and_outdated_tables_are_named(empty_database: TestDatabase) -> None:
    with connected(empty_database):
        with pytest.raises(TablesMissing):
            posthog.capture("paid", distinct_id="u1")
        empty_database.execute("CREATE TABLE posthog_outbox (id INTEGER)")
        with pytest.raises(TablesOutdated):
            posthog.capture("paid", distinct_id="u1")


def test_a_database_that_hogbox_does_not_know_is_refused(
    django_database: TestDatabase, sqlite_database: TestDatabase
) -> None:
    with connected(sqlite_database, "legacy") as legacy:
        legacy.vendor = "oracle"
        with pytest.raises(UnsupportedHandle, match="no tables in Django's 'oracle': use SQLite, PostgreSQL"):
            posthog.using("legacy").capture("paid", distinct_id="u1")
