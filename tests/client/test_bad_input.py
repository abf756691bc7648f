"""What can't work is refused at once with what to do; what PostHog would refuse is kept aside. Word for word."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from hogbox import PostHog
from hogbox.errors import (
    ConfigurationError,
    HogboxError,
    InvalidEvent,
    MissingDistinctId,
    UnsupportedDatabase,
    UnsupportedHandle,
    UsageError,
)
from hogbox.settings import DeliverySettings
from tests.client.conftest import TOKEN, Only
from tests.fixtures.colour import open_session
from tests.fixtures.database import TestDatabase


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


CALLS: dict[str, tuple[Callable[[PostHog], Any], type[HogboxError], str]] = {
    "no distinct id": (
        lambda posthog: posthog.capture(None, "paid"),
        MissingDistinctId,
        "No distinct id: pass distinct_id=..., give PostHog(identify=...), or open hogbox.context.new_context().",
    ),
    "a distinct id that is no id": (
        lambda posthog: posthog.capture(None, "paid", distinct_id=True),
        InvalidEvent,
        "distinct_id must be text, an integer or a UUID, not True",
    ),
    "an empty name": (
        lambda posthog: posthog.capture(None, " ", distinct_id="u1"),
        InvalidEvent,
        "the event's name must not be empty: capture(ctx, 'order placed', distinct_id=...)",
    ),
    "a name that is no text": (
        lambda posthog: posthog.capture(None, 7, distinct_id="u1"),  # type: ignore[arg-type]
        InvalidEvent,
        "the event's name must be text, not 7: capture(ctx, 'order placed', distinct_id=...)",
    ),
    "properties that are no mapping": (
        lambda posthog: posthog.capture(None, "paid", distinct_id="u1", properties=["plan"]),  # type: ignore[arg-type]
        InvalidEvent,
        "properties must be a mapping such as {'plan': 'pro'}, not list",
    ),
    "groups that are no mapping": (
        lambda posthog: posthog.capture(None, "paid", distinct_id="u1", groups="acme"),  # type: ignore[arg-type]
        InvalidEvent,
        "groups must be a mapping such as {'company': 'c-19'}, not str",
    ),
    "a group without a key": (
        lambda posthog: posthog.capture(None, "paid", distinct_id="u1", groups={"company": ""}),
        InvalidEvent,
        "a group key must not be empty",
    ),
    "a group identified without a type": (
        lambda posthog: posthog.group_identify(None, "", "c-19"),
        InvalidEvent,
        "group_type must not be empty",
    ),
    "a group identified without a key": (
        lambda posthog: posthog.group_identify(None, "company", None),  # type: ignore[arg-type]
        InvalidEvent,
        "group_key must be text, not None",
    ),
    "an empty alias": (
        lambda posthog: posthog.alias(None, "", distinct_id="u1"),
        InvalidEvent,
        "alias must not be empty",
    ),
    "arguments in another order": (
        lambda posthog: posthog.capture("paid", "u1"),
        UnsupportedHandle,
        "hogbox can't write in a builtins.str: pass one of SQLAlchemy ",
    ),
    "more than can be kept": (
        lambda posthog: posthog.capture(None, "paid", distinct_id="u1", properties={"text": "x" * 8_000_000}),
        InvalidEvent,
        "the event has 8,000,",
    ),
}


@pytest.mark.parametrize("mistake", CALLS)
def test_a_mistake_of_the_callers_raises_at_once(posthog: PostHog, database: TestDatabase, mistake: str) -> None:
    call, kind, message = CALLS[mistake]
    with pytest.raises(kind) as caught:
        call(posthog)
    said = str(caught.value)
    assert said == message or (message[-1] in " ," and said.startswith(message))
    assert isinstance(caught.value, UsageError)
    assert database.events() == database.dead_letters() == []


def test_an_event_beyond_the_storable_size_says_how_large_it_is(posthog: PostHog) -> None:
    with pytest.raises(
        InvalidEvent,
        match=r"^the event has 8,000,\d{3} bytes, and hogbox stores at most 7,340,032: capture less in one",
    ):
        posthog.capture(None, "paid", distinct_id="u1", properties={"text": "x" * 8_000_000})


def test_p8_a_mistake_leaves_the_callers_transaction_usable(posthog: PostHog, database: TestDatabase) -> None:
    with open_session(posthog, database) as session:
        with pytest.raises(InvalidEvent):
            posthog.capture(session.handle, "", distinct_id="u1")
        posthog.capture(session.handle, "paid", distinct_id="u1")
        session.commit()
    assert [event["event"] for event in database.events()] == ["paid"]


def test_p8_a_value_without_a_json_form_becomes_null_with_a_warning(
    posthog: PostHog, only: Only, caplog: pytest.LogCaptureFixture
) -> None:
    class Opaque:
        pass

    properties = {"plan": "pro", "odd": Opaque(), "ratio": float("nan"), "most": float("inf"), "deep": {"er": {"x"}}}
    uuid = posthog.capture(None, "paid", distinct_id="u1", properties=properties)
    kept = only()["properties"]
    assert {key: kept[key] for key in properties} == {
        "plan": "pro",
        "odd": None,
        "ratio": None,
        "most": None,
        "deep": {"er": ["x"]},
    }
    assert warnings(caplog) == [
        f"event {uuid} (paid): property 'odd': Opaque has no JSON form; sent as null; property 'ratio': nan has no "
        "JSON form; sent as null; property 'most': inf has no JSON form; sent as null"
    ]


def test_p8_values_that_raise_when_they_are_read_do_not_break_the_call(posthog: PostHog, only: Only) -> None:
    class Spiteful(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("no")

    posthog.capture(None, "paid", distinct_id="u1", properties={"plan": "pro", "odd": Spiteful()})
    kept = only()["properties"]
    assert (kept["plan"], kept["odd"]) == ("pro", {})


def test_p2_an_event_that_is_too_large_is_kept_as_a_dead_letter_with_one_warning(
    any_database: TestDatabase, caplog: pytest.LogCaptureFixture, colour: type[PostHog]
) -> None:
    with colour(any_database.url, project_token=TOKEN) as posthog:
        uuid = posthog.capture(None, "paid", distinct_id="u1", properties={"text": 'x"\\' * 700_000})
    (dead,) = any_database.dead_letters()
    size = len(any_database.rows("posthog_dead_letters")[0]["payload"])
    reason = f"the event has {size:,} bytes; PostHog accepts at most 921,600"
    assert size > 2_000_000
    assert (dead["event_uuid"], dead["reason"], dead["status"]) == (uuid, reason, None)
    assert dead["payload"]["properties"]["text"] == 'x"\\' * 700_000
    assert any_database.events() == []
    assert warnings(caplog) == [f"event {uuid} (paid) stored as a dead letter: {reason}"]


def test_the_largest_event_that_can_be_kept_is_kept(any_database: TestDatabase, colour: type[PostHog]) -> None:
    with colour(any_database.url, project_token=TOKEN) as posthog:
        posthog.capture(None, "paid", distinct_id="u1", properties={"text": "'" * 7_339_000})
    assert any_database.count("posthog_dead_letters") == 1


@pytest.mark.parametrize(
    ("distinct_id", "reason"),
    [
        ("u" * 300, "distinct_id has 300 characters; PostHog truncates it to 200"),
        ("anonymous", "distinct_id 'anonymous' is an id for which PostHog creates no person"),
        (" NULL ", "distinct_id ' NULL ' is an id for which PostHog creates no person"),
        (0, "distinct_id '0' is an id for which PostHog creates no person"),
        ("a\0b", "distinct_id 'a\\x00b' contains NUL, which PostHog replaces"),
    ],
    ids=["long", "anonymous", "null", "zero", "NUL"],
)
def test_p2_a_distinct_id_that_posthog_garbles_makes_a_dead_letter(
    posthog: PostHog, database: TestDatabase, caplog: pytest.LogCaptureFixture, distinct_id: Any, reason: str
) -> None:
    uuid = posthog.capture(None, "paid", distinct_id=distinct_id)
    (dead,) = database.dead_letters()
    assert (dead["event_uuid"], dead["reason"]) == (uuid, reason)
    assert dead["payload"]["distinct_id"] == str(distinct_id)
    assert database.events() == []
    assert warnings(caplog) == [f"event {uuid} (paid) stored as a dead letter: {reason}"]


def test_a_distinct_id_of_200_characters_is_none_of_them(posthog: PostHog, database: TestDatabase) -> None:
    posthog.capture(None, "paid", distinct_id="é" * 200)
    assert len(database.events()) == 1


async def asynchronous(_: Any) -> None:
    """What has to be awaited, and nobody would."""


SETTINGS: dict[str, tuple[dict[str, Any], type[ConfigurationError], str]] = {
    "no token": (
        {"project_token": None},
        ConfigurationError,
        "no project token: pass project_token=... or set POSTHOG_PROJECT_TOKEN (it starts with phc_); "
        "PostHog(disabled=True) captures nothing and needs no token",
    ),
    "a secret key as token": (
        {"project_token": "phx_secret_of_mine"},
        ConfigurationError,
        "the project token is a secret key (phx_ or phs_): pass the project's public token, which starts with phc_",
    ),
    "a token that is too long": (
        {"project_token": "phc_" + "x" * 70},
        ConfigurationError,
        "the project token phc_xxxx… is invalid: at most 64 ASCII characters",
    ),
    "a bad host": (
        {"host": "app.example.com"},
        ConfigurationError,
        "host 'app.example.com' is not an address such as https://us.i.posthog.com: correct POSTHOG_HOST or host=...",
    ),
    "a bad prefix": (
        {"table_prefix": "drop table;"},
        ConfigurationError,
        "table_prefix 'drop table;' is invalid: use at most 40 lower-case letters, digits and underscores",
    ),
    "an unknown database": (
        {"database": "oracle://scott@db/app"},
        UnsupportedDatabase,
        "'oracle' is not a database that hogbox knows: use SQLite, PostgreSQL, MariaDB and MySQL",
    ),
    "no URL": (
        {"database": "app.db"},
        ConfigurationError,
        "the database URL can't be read: write sqlite:///app.db, postgresql://user@host/name or mysql://user@host/name",
    ),
    "a port that is no number": (
        {"database": "postgresql://user:hunter2@host:port/app"},
        ConfigurationError,
        "the database URL can't be read: write sqlite:///app.db, postgresql://user@host/name or mysql://user@host/name",
    ),
    "a password with an @": (
        {"database": "postgresql://user:p@hunter2@host/app"},
        ConfigurationError,
        "the host of the database URL has an @ in it: write an @ of the password as %40",
    ),
    "a driver that nobody knows": (
        {"database": "postgresql+telepathy://host/app"},
        ConfigurationError,
        "SQLAlchemy knows no driver 'postgresql+telepathy': leave it at postgresql://…",
    ),
    "an asynchronous callback": (
        {"identify": asynchronous},
        ConfigurationError,
        "identify is a coroutine function, and PostHog is synchronous: use a plain def, or AsyncPostHog",
    ),
    "an asynchronous hook": (
        {"before_send": asynchronous},
        ConfigurationError,
        "before_send asynchronous is a coroutine function: use a plain def",
    ),
    "a path": (
        {"database": Path("app.db")},
        ConfigurationError,
        "the database must be a URL or a SQLAlchemy Engine, not PosixPath",
    ),
}


@pytest.mark.parametrize("mistake", SETTINGS)
def test_a_mistake_of_the_configuration_raises_before_anything_is_captured(mistake: str) -> None:
    arguments, kind, message = SETTINGS[mistake]
    with pytest.raises(kind) as caught:
        PostHog(**{"database": "sqlite://", "project_token": TOKEN, **arguments})
    assert str(caught.value) == message


def test_the_inner_engine_of_an_asynchronous_one_is_refused() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    with pytest.raises(ConfigurationError) as caught:
        PostHog(engine.sync_engine, project_token=TOKEN)
    assert str(caught.value) == (
        "the inner engine of an AsyncEngine works inside of it only: pass the AsyncEngine, or sqlite://…"
    )


def test_no_database_is_needed_before_one_is_used(database: TestDatabase) -> None:
    posthog = PostHog(project_token=TOKEN)
    message = "no database: pass a URL such as sqlite:///app.db or a SQLAlchemy Engine, or set HOGBOX_DATABASE_URL"
    for call in (
        lambda: posthog.capture(None, "paid", distinct_id="u1"),
        posthog.create_tables,
        posthog.deliver,
        posthog.start,
    ):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert str(caught.value) == message
    with Session(database.engine) as session:
        assert posthog.capture(session, "paid", distinct_id="u1")
    posthog.shutdown()


def test_settings_come_from_the_environment(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOGBOX_DATABASE_URL", database.url)
    monkeypatch.setenv("POSTHOG_API_KEY", " phc_from_environment ")
    monkeypatch.setenv("POSTHOG_HOST", "https://eu.posthog.com/")
    with PostHog() as posthog:
        assert repr(posthog) == "PostHog(project='phc_from…', host='https://eu.i.posthog.com')"
        posthog.capture(None, "paid", distinct_id="u1")
    assert database.rows("posthog_outbox")[0]["project"] == "phc_from_environment"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("HOGBOX_BATCH_EVENTS", "many", "HOGBOX_BATCH_EVENTS='many' is not a number"),
        ("HOGBOX_BATCH_EVENTS", "1.5", "HOGBOX_BATCH_EVENTS='1.5' is not a number"),
        ("HOGBOX_DISABLED", "perhaps", "HOGBOX_DISABLED='perhaps' is not a boolean: use 1 or 0"),
    ],
)
def test_a_bad_value_of_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        PostHog("sqlite://", project_token=TOKEN)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_number_that_cannot_be_used_names_its_setting(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HOGBOX_LEASE_SECONDS", value)
    with pytest.raises(ConfigurationError, match=r"lease_seconds"):
        PostHog("sqlite://", project_token=TOKEN)


def test_a_lease_shorter_than_a_request_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        DeliverySettings(lease_seconds=10, request_timeout_seconds=10)
    assert str(caught.value) == (
        "lease_seconds (10) must be at least 1.5 times request_timeout_seconds (10): a worker sends only while its "
        "lease outlasts the request"
    )


@pytest.mark.parametrize(
    ("module", "url", "message"),
    [
        (
            "psycopg",
            "postgresql://host/app",
            "the driver of postgresql+psycopg is not installed (No module named 'psycopg'): "
            "pip install 'hogbox[postgres]'",
        ),
        (
            "pymysql",
            "mysql://host/app",
            "the driver of mysql+pymysql is not installed (No module named 'pymysql'): pip install 'hogbox[mysql]'",
        ),
        (
            "psycopg2",
            "postgresql+psycopg2://host/app",
            "the driver of postgresql+psycopg2 is not installed (No module named 'psycopg2')",
        ),
    ],
)
def test_a_missing_driver_is_named_with_the_extra(module: str, url: str, message: str) -> None:
    program = f"""
import importlib.abc, sys
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from hogbox import PostHog
from hogbox._store.handles.handle import KINDS
from hogbox.errors import MissingDependency
try:
    PostHog({url!r}, project_token="phc_x")
except MissingDependency as error:
    print(error, end="")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == message


def test_importing_hogbox_imports_no_driver_and_no_framework() -> None:
    program = (
        "import sys; import hogbox, hogbox.client, hogbox._worker.worker; "
        "print([name for name in ('psycopg', 'pymysql', 'sqlite3', 'asyncpg', 'typer', 'starlette') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u@127.0.0.1:1/app?charset=none",
        "mysql://u@127.0.0.1:1/app?none=1",
        "mysql://u@127.0.0.1:1/app?ssl_ca=none.pem",
        f"mysql://u@{'a' * 70}.example:1/app",
    ],
)
def test_an_option_that_the_driver_fails_at_is_a_mistake_of_the_configuration(url: str) -> None:
    with PostHog(url, project_token=TOKEN) as posthog, pytest.raises(ConfigurationError, match="the driver refuses"):
        posthog.create_tables()


@pytest.mark.parametrize("url", ["postgresql+telepathy://me:hunter2@host/app", "oracle://me:hunter2@host/app"])
def test_p9_no_message_tells_the_password_of_the_database(url: str, colour: type[PostHog]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        colour(url, project_token=TOKEN)
    assert "hunter2" not in str(caught.value)
