"""The HOGBOX setting: what it may say, what it is told where it can't be meant, and when it is read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command  # type: ignore[import-untyped]
from django.core.management.base import SystemCheckError  # type: ignore[import-untyped]
from django.test import override_settings  # type: ignore[import-untyped]

from hogbox.errors import ConfigurationError
from hogbox.integrations.django import posthog
from hogbox.integrations.django.check import check_configuration
from hogbox.integrations.django.client import current
from hogbox.integrations.django.configuration import ARGUMENTS, configuration, table_prefix
from hogbox.integrations.django.middleware import PostHogMiddleware
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase, make_database
from tests.integrations.django.site import connection_settings

TOKEN = {"PROJECT_TOKEN": "phc_django"}

MISTAKES: dict[str, tuple[Any, str]] = {
    "no dict": (["phc_x"], "HOGBOX must be a dict, {'PROJECT_TOKEN': 'phc_…'}, not list"),
    "unknown key": (
        {"TOKEN": "phc_x"},
        "unknown key 'TOKEN' in HOGBOX; the keys are BEFORE_SEND, CAPTURE_EXCEPTIONS, CAPTURE_MODE, ",
    ),
    "lower case": ({"host": "x"}, "unknown key 'host' in HOGBOX"),
    "no text": ({"HOST": 8010}, "HOGBOX['HOST'] must be text, not int"),
    "no choice": ({**TOKEN, "DISABLED": "0"}, "HOGBOX['DISABLED'] must be True or False, not str"),
    "no personless": ({**TOKEN, "PERSONLESS": 1}, "HOGBOX['PERSONLESS'] must be True or False, not int"),
    "no number": ({**TOKEN, "DEFINITIONS_MAX_AGE": True}, "HOGBOX['DEFINITIONS_MAX_AGE'] must be a number, not bool"),
    "alias": ({**TOKEN, "DATABASE": "events"}, "HOGBOX['DATABASE'] is 'events', but DATABASES contains 'default'"),
    "path": (
        {**TOKEN, "BEFORE_SEND": "shop.nowhere.strip"},
        "HOGBOX['BEFORE_SEND'] is 'shop.nowhere.strip', which can't be imported: No module named 'shop'",
    ),
    "no path": ({**TOKEN, "IDENTIFY": "identify"}, "HOGBOX['IDENTIFY'] is 'identify', which can't be imported"),
    "no callable": ({**TOKEN, "USER_DISTINCT_ID": "os.sep"}, "HOGBOX['USER_DISTINCT_ID'] must be a callable"),
    "no delivery": ({**TOKEN, "DELIVERY": 5}, "HOGBOX['DELIVERY'] must be a dict or DeliverySettings, not int"),
    "delivery": (
        {**TOKEN, "DELIVERY": {"BATCH": 1}},
        "unknown setting 'BATCH'; the settings are batch_bytes, batch_events",
    ),
    "secret": ({"PROJECT_TOKEN": "phx_secret"}, "project"),
    "prefix": ({**TOKEN, "TABLE_PREFIX": "Post-Hog"}, "table_prefix 'Post-Hog' is invalid"),
    "time zone": ({**TOKEN, "FLAGS_TIMEZONE": "Moon/Base"}, "Moon/Base"),
    "URL": ({**TOKEN, "DATABASE_URL": "oracle://db"}, "'oracle' is not a database that hogbox knows"),
}


def reverse(event: dict[str, Any]) -> dict[str, Any]:
    """A hook, by its path."""
    return {**event, "event": event["event"][::-1]}


def shout(event: dict[str, Any]) -> dict[str, Any]:
    """Another one."""
    return {**event, "event": event["event"].upper()}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_by_the_check_and_by_the_first_call(site: TestDatabase, mistake: str) -> None:
    setting, message = MISTAKES[mistake]
    with override_settings(HOGBOX=setting):
        (found,) = check_configuration()
        assert (found.id, message in found.msg) == ("hogbox.E001", True), found.msg
        with pytest.raises(SystemCheckError, match=r"hogbox\.E001"):
            call_command("check")
        with pytest.raises(ConfigurationError, match=re.escape(message)):
            posthog.capture("paid", distinct_id="u1")


@pytest.mark.parametrize("mistake", ["no dict", "unknown key", "no choice", "alias", "path"])
def test_a_server_does_not_start_with_a_mistake(site: TestDatabase, mistake: str) -> None:
    setting, message = MISTAKES[mistake]
    with override_settings(HOGBOX=setting), pytest.raises(ConfigurationError, match=re.escape(message)):
        PostHogMiddleware(lambda _: None)


def test_a_missing_token_is_a_warning(site: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTHOG_PROJECT_TOKEN", raising=False)
    with override_settings(HOGBOX={"PROJECT_TOKEN": None}):
        (found,) = check_configuration()
        assert found.id == "hogbox.W001"
        with pytest.raises(ConfigurationError):
            posthog.capture("paid", distinct_id="u1")


@pytest.mark.parametrize("setting", [TOKEN, {"DISABLED": True}])
def test_what_is_right_is_not_mentioned(site: TestDatabase, setting: dict[str, Any]) -> None:
    with override_settings(HOGBOX=setting):
        assert check_configuration() == []


def test_every_argument_of_the_client_is_a_key(site: TestDatabase) -> None:
    setting = {
        "PROJECT_TOKEN": "phc_all",
        "HOST": "http://127.0.0.1:8010",
        "SECRET_KEY": "phs_secret",
        "PERSONAL_API_KEY": "phs_older",
        "EVALUATION_CONTEXTS": ["web"],
        "IDENTIFY": lambda _: "identified",
        "BEFORE_SEND": [f"{__name__}.reverse", shout],
        "DISABLED": False,
        "DISABLE_GEOIP": False,
        "TABLE_PREFIX": "posthog_",
        "DELIVERY": {"batch_events": 7},
        "KEEP_STALE_DEFINITIONS": True,
        "DEFINITIONS_MAX_AGE": 2,
        "FLAGS_TIMEZONE": "Europe/Berlin",
        "PROPERTIES_COMPLETE": True,
        "TRACK_EXPOSURES": False,
        "EXCEPTION_LOCALS": True,
        "CAPTURE_MODE": "v1",
        "HISTORICAL_MIGRATION": False,
        "PRIVACY_MODE": True,
        "ENABLE_FULL_AI_CAPTURE": True,
        "ENABLE_EXCEPTION_AUTOCAPTURE": False,
        "LOG_CAPTURED_EXCEPTIONS": True,
        "CAPTURE_TRACE_CONTEXT": True,
        "IN_APP_MODULES": ["shop"],
        "IN_APP_EXCLUDE": ["shop.vendored"],
        "PROJECT_ROOT": "/srv/shop",
    }
    assert sorted(setting) == sorted(ARGUMENTS)
    with override_settings(HOGBOX=setting):
        assert configuration().delivery == DeliverySettings(batch_events=7)
        assert configuration().settings().keep_stale_definitions
        posthog.capture("paid")
        (event,) = site.events()
        assert (event["event"], event["distinct_id"]) == ("DIAP", "identified")
        assert "$geoip_disable" not in event["properties"]
        assert site.rows("posthog_outbox")[0]["project"] == "phc_all"


def test_a_key_that_is_not_given_or_none_is_read_from_the_environment(
    site: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTHOG_PROJECT_TOKEN", "phc_environment")
    monkeypatch.setenv("HOGBOX_BATCH_EVENTS", "11")
    with override_settings(HOGBOX={"PROJECT_TOKEN": None, "DISABLE_GEOIP": None}):
        assert configuration().delivery.batch_events == 11
        posthog.capture("paid", distinct_id="u1")
    assert site.rows("posthog_outbox")[0]["project"] == "phc_environment"


def test_the_database_is_djangos_whatever_the_environment_says(
    site: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOGBOX_DATABASE_URL", "sqlite:////nowhere/else.db")
    posthog.client.capture(None, "paid", distinct_id="u1")
    assert len(site.events()) == 1


def test_nothing_is_made_before_the_first_use(site: TestDatabase) -> None:
    with override_settings(HOGBOX={"PROJECT_TOKEN": "phx_wrong"}):
        bound = posthog.using("default")
        with pytest.raises(ConfigurationError):
            bound.capture("paid", distinct_id="u1")


def test_a_changed_setting_makes_another_client(site: TestDatabase) -> None:
    first = posthog.client
    assert posthog.client is first
    with override_settings(HOGBOX={"PROJECT_TOKEN": "phc_other"}):
        posthog.capture("paid", distinct_id="u1")
        assert posthog.client is not first
    assert site.rows("posthog_outbox")[0]["project"] == "phc_other"
    assert "phc_django"[:8] in repr(posthog.client)


def test_threads_share_one_client(site: TestDatabase) -> None:
    with ThreadPoolExecutor(8) as pool:
        clients = set(pool.map(lambda _: current.get(), range(32)))
    assert len(clients) == 1


@pytest.mark.parametrize(
    ("setting", "expected"),
    [(None, "posthog_"), ({"TABLE_PREFIX": "ph_"}, "ph_"), ({"TABLE_PREFIX": "No!"}, "posthog_"), ([], "posthog_")],
)
def test_models_get_a_prefix_whatever_the_setting_says(setting: Any, expected: str) -> None:
    with override_settings(HOGBOX=setting):
        assert table_prefix() == expected


PREFIXED = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["hogbox.integrations.django"], USE_TZ=True, DATABASES={"default": {
        "ENGINE": "django.db.backends.sqlite3", "NAME": "prefixed.db"}},
    HOGBOX={"PROJECT_TOKEN": "phc_x", "TABLE_PREFIX": "analytics_"},
)
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("makemigrations", "--check", "--dry-run", verbosity=0)
from hogbox.integrations.django import posthog
from hogbox.integrations.django.models import OutboxEvent
posthog.capture("paid", distinct_id="u1")
assert OutboxEvent.objects.get().project == "phc_x"
assert OutboxEvent._meta.db_table == "analytics_outbox"
"""

WITHOUT_DJANGO = """
import sys
sys.modules["django"] = None
import hogbox.client
from hogbox.errors import MissingDependency
try:
    import hogbox.integrations.django
except MissingDependency as error:
    print(error)
"""

PSYCOPG2 = """
import sys, json
sys.modules["psycopg"] = None
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["hogbox.integrations.django"], USE_TZ=True, DATABASES={"default": json.loads(sys.argv[1])},
    HOGBOX={"PROJECT_TOKEN": "phc_x"},
)
django.setup()
from django.core.management import call_command
from django.db import connection, transaction
from hogbox.errors import TablesMissing
from hogbox.integrations.django import posthog
try:
    posthog.capture("too early", distinct_id="u1")
except TablesMissing:
    call_command("migrate", verbosity=0)
with transaction.atomic():
    posthog.capture("kept", distinct_id="u1")
with transaction.atomic():
    posthog.capture("rolled back", distinct_id="u1")
    transaction.set_rollback(True)
posthog.client.capture(None, "by itself", distinct_id="u1")
assert type(connection.connection).__module__ == "psycopg2.extensions"
call_command("hogbox_status")
"""


def run(program: str, *arguments: str, **options: Any) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_the_tables_may_have_another_prefix(tmp_path: Path) -> None:
    run(PREFIXED, cwd=tmp_path)


def test_without_django_it_says_what_to_install() -> None:
    assert run(WITHOUT_DJANGO) == "hogbox.integrations.django needs Django: pip install 'hogbox[django]'\n"


def test_django_on_psycopg2(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with make_database(request, "postgresql", tmp_path) as database:
        output = run(PSYCOPG2, json.dumps(connection_settings(database)))
        assert [event["event"] for event in database.events()] == ["kept", "by itself"]
    assert "waiting: 2" in output


@pytest.mark.parametrize(("own", "expected"), [({}, False), ({"CAPTURE_EXCEPTIONS": True}, True)])
def test_the_settings_of_posthogs_own_middleware_stand_in_for_missing_keys(own: dict[str, Any], expected: bool) -> None:
    with override_settings(HOGBOX={**TOKEN, **own}, POSTHOG_MW_CAPTURE_EXCEPTIONS=False, POSTHOG_MW_TAG_MAP=shout):
        assert configuration().requests.capture_exceptions is expected
        assert configuration().requests.properties_map is shout
    with override_settings(HOGBOX=TOKEN, POSTHOG_MW_CAPTURE_EXCEPTIONS="no"):
        with pytest.raises(ConfigurationError, match="POSTHOG_MW_CAPTURE_EXCEPTIONS must be True or False, not str"):
            configuration()
