"""Encodings: what is captured and what is read survives every encoding of the caller's connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStore
from hogbox._store.delivery import DeliveryStore
from hogbox._store.inspection.status import StatusStore
from hogbox.emulator import Emulator
from tests.client.conftest import TOKEN
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.database import SharedDatabases, TestDatabase

ENCODINGS = [
    *(("mariadb", f"charset={charset}") for charset in ("utf8mb3", "latin1", "gbk", "cp932", "ascii")),
    *(("postgresql", f"client_encoding={encoding}") for encoding in ("latin1", "euc_jp", "win1252")),
]
WHO = "zoë 🦔"
PROPERTIES = {"title": "東京 🦔", "naïve": ["é\\u00e9", '"', "\n"]}
DOCUMENT = definitions(flag("city", where("city", ["東京"]), filters={"payloads": {"true": '"🦔"'}}), flag("größe"))


@pytest.fixture(params=ENCODINGS, ids=" ".join)
def narrow(request: pytest.FixtureRequest, emptied: SharedDatabases) -> Iterator[tuple[TestDatabase, sa.Engine]]:
    """A database, and an engine whose connections can't carry every character."""
    backend, option = request.param
    database = emptied(backend)
    name, encoding = option.split("=")
    engine = sa.create_engine(sa.make_url(database.url).update_query_pairs([(name, encoding)]))
    yield database, engine
    engine.dispose()


@contextmanager
def _client(database: TestDatabase, host: str = "http://127.0.0.1:1") -> Iterator[PostHog]:
    with PostHog(database.url, project_token=TOKEN, host=host) as posthog:
        yield posthog


def test_p2_an_event_arrives_as_it_was_captured(narrow: tuple[TestDatabase, sa.Engine]) -> None:
    database, engine = narrow
    with Emulator() as emulator, _client(database, emulator.url) as posthog:
        with engine.begin() as connection:
            if database.backend == "mariadb":
                connection.exec_driver_sql("SET SESSION sql_mode = ''")
            posthog.capture(connection, "café 🦔", distinct_id=WHO, properties=PROPERTIES)
        assert posthog.deliver(timeout=10)[:2] == (1, 0)
        (event,) = emulator.events()
    assert (event.event, event.distinct_id) == ("café 🦔", WHO)
    assert {name: event.properties[name] for name in PROPERTIES} == PROPERTIES


def test_a_dead_letter_keeps_its_text(narrow: tuple[TestDatabase, sa.Engine]) -> None:
    database, engine = narrow
    with _client(database) as posthog, engine.begin() as connection:
        posthog.capture(connection, "東京", distinct_id="é" * 201)
    (letter,) = database.dead_letters()
    assert letter["payload"]["distinct_id"] == "é" * 201
    assert letter["reason"].isascii()


def test_p7_flags_are_read_as_posthog_defines_them(narrow: tuple[TestDatabase, sa.Engine]) -> None:
    database, engine = narrow
    DefinitionStore(Database(database.engine, "posthog_"), TOKEN).store(
        json.dumps(DOCUMENT, ensure_ascii=False), None, None
    )
    with _client(database) as posthog, engine.connect() as connection:
        found = posthog.get_feature_flag_result(connection, "city", distinct_id=WHO, person_properties={"city": "東京"})
        assert found is not None
        assert (found.value, found.payload) == (True, "🦔")
        assert posthog.get_feature_flag(connection, "größe", distinct_id=WHO) is True


def test_everything_that_is_stored_is_ascii(any_database: TestDatabase) -> None:
    own = Database(any_database.engine, "posthog_")
    worker = DeliveryStore(own, "w1")
    worker.announce("gerät-🦔", 1, "0")
    worker.hold(TOKEN, 60, 1, 401, "キーが無効です")
    DefinitionStore(own, TOKEN).store('{"flags": [], "é": 1}', 'W/"é"', None)
    with _client(any_database) as posthog:
        posthog.capture(None, "é", distinct_id=WHO)
    names = ("outbox", "workers", "holds", "flag_definitions")
    for name in names:
        order = "id" if name in ("outbox", "workers") else "project"
        for row in any_database.rows(f"posthog_{name}", order):
            assert all(value.isascii() for value in row.values() if isinstance(value, str))
    (hold,) = StatusStore(own).read().holds
    assert hold.reason == "キーが無効です"


def test_definitions_that_an_older_hogbox_stored_are_replaced(database: TestDatabase) -> None:
    text = '{"flags": [], "é": 1}'
    database.execute("INSERT INTO posthog_flag_definitions VALUES (:p, :d, NULL, 1, 7)", p=TOKEN, d=text)
    store = DefinitionStore(Database(database.engine, "posthog_"), TOKEN)
    store.store(text, None, store.read())
    after = store.read()
    assert after is not None
    assert (after.data, after.revision) == ('{"flags": [], "\\u00e9": 1}', 8)


def test_p2_a_database_without_an_encoding_keeps_what_is_captured(postgresql_server: str) -> None:
    name = f"hogbox_ascii_{uuid4().hex[:12]}"
    admin = sa.create_engine(postgresql_server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        options = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        connection.exec_driver_sql(f"CREATE DATABASE {name} {options}")
        try:
            url = sa.make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)
            with Emulator() as emulator, PostHog(url, project_token=TOKEN, host=emulator.url) as posthog:
                posthog.create_tables()
                posthog.capture(None, "café 🦔", distinct_id=WHO)
                assert posthog.deliver(timeout=10)[:2] == (1, 0)
                assert [(event.event, event.distinct_id) for event in emulator.events()] == [("café 🦔", WHO)]
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
