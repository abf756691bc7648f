"""P9: the secrets of a client and a worker are in no log, row, repr, traceback, request, argument, metric or status."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from hogbox._encryption import new_key
from hogbox.emulator import Emulator, ReceivedRequest
from tests.fixtures.database import TestDatabase, make_database
from tests.fixtures.forked import run_hogbox
from tests.fixtures.port import free_port
from tests.fixtures.process import QUICK
from tests.fixtures.waiting import wait_until

APPLICATION = Path(__file__).with_name("application.py")

SECRETS = {
    "definitions": "phs_definitionsSecret0123456789",
    "hash": "the hash key, QpX7vK2m",
    "encryption": new_key(),
    "old encryption": new_key(),
    "database": "dbPassw0rdOfTheTests",
    "application": "localVariable0fTheTests",
}

TOKEN = "phc_projectTokenOfTheSecretsTest"
"""It is public, and all the same shortened in logs."""


def forms(secret: str) -> set[str]:
    """The secret as it is, and as code that handles it might write it."""
    raw = secret.encode()
    found = {secret, repr(secret)[1:-1], raw.hex(), base64.b64encode(raw).decode(), hashlib.sha256(raw).hexdigest()}
    with suppress(ValueError):
        found.add(base64.urlsafe_b64decode(secret).hex())
    return {*found, secret[4:]}


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, request: pytest.FixtureRequest) -> TestDatabase:
    """A database of this kind; where it is a server, its URL holds the password, which the server does not check."""
    if kind == "sqlite":
        found: TestDatabase = request.getfixturevalue("sqlite_database")
        return found
    request.getfixturevalue("postgresql_server")
    return request.getfixturevalue("postgresql_database")  # type: ignore[no-any-return]


@pytest.fixture
def postgresql_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestDatabase]:
    with make_database(request, "postgresql", tmp_path) as database:
        yield database


def environment(database: TestDatabase, emulator: Emulator) -> dict[str, str]:
    url = sa.make_url(database.url)
    if url.host:
        url = url.set(password=SECRETS["database"])
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HOGBOX_", "POSTHOG_"))},
        **QUICK,
        "HOGBOX_DATABASE_URL": url.render_as_string(hide_password=False),
        "HOGBOX_HASH_KEY": SECRETS["hash"],
        "HOGBOX_ENCRYPTION_KEYS": f"{SECRETS['encryption']},{SECRETS['old encryption']}",
        "POSTHOG_PROJECT_TOKEN": TOKEN,
        "POSTHOG_PERSONAL_API_KEY": SECRETS["definitions"],
        "POSTHOG_HOST": emulator.url,
        "POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE": "0",
        "SECRET_OF_THE_APPLICATION": SECRETS["application"],
        "PYTHONUNBUFFERED": "1",
    }


def run(command: list[str], variables: dict[str, str]) -> str:
    """What the process printed, and its arguments."""
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    return f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"


def hogbox(arguments: list[str], variables: dict[str, str]) -> str:
    """What the command printed; `work` and tests of the command line look at its arguments."""
    done = run_hogbox(arguments, variables)
    return f"{done.args} ended with {done.returncode}\n{done.stdout}{done.stderr}"


def work(variables: dict[str, str], emulator: Emulator, database: TestDatabase) -> str:
    """What a worker prints while PostHog fails, refuses the key, and then takes the events; and its arguments."""
    emulator.fault(status=503, times=1)
    emulator.fault(status=401, times=1)
    port = free_port()
    command = [sys.executable, "-m", "hogbox", "worker", "--verbose", "--metrics-port", str(port)]
    variables = {**variables, "HOGBOX_KEY_REFUSED_CAP_SECONDS": "0.5"}
    process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: not database.count("posthog_outbox"), "the worker to deliver")
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        rows = all_rows(database)
        metrics = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
        assert "hogbox_events_total" in metrics
    finally:
        process.terminate()
        printed, _ = process.communicate(timeout=60)
    return f"{arguments}\n{rows}\n{metrics}\n{printed}"


def all_rows(database: TestDatabase) -> str:
    """Every row of every table."""
    with database.engine.connect() as connection:
        tables = sa.inspect(connection).get_table_names()
        return "\n".join(f"{one}: {connection.execute(sa.text(f'SELECT * FROM {one}')).all()}" for one in tables)


def refuses() -> str:
    """The URL of a database that nobody answers at, with the password."""
    return f"postgresql://me:{SECRETS['database']}@127.0.0.1:9/app?application_name=x"


def test_p9_no_secret_is_told_in_success_or_failure(place: TestDatabase, emulator: Emulator) -> None:
    variables = environment(place, emulator)
    refused = {**variables, "HOGBOX_DATABASE_URL": refuses()}
    emulator.configure(keep_bodies=1_000_000)
    emulator.fault(path="/batch/", status=503)
    told = {"the application": run_application(variables), "what it left": all_rows(place)}
    emulator.clear_faults()
    told["the worker"] = work(variables, emulator, place)
    emulator.configure(secret_keys=())
    told["hogbox refresh, refused by PostHog"] = hogbox(["refresh"], variables)
    for command in (["status"], ["status", "--json"], ["doctor"], ["doctor", "--json"], ["dead", "list", "--json"]):
        told[" ".join(["hogbox", *command])] = hogbox(command, variables)
        told[" ".join(["hogbox", *command, "refused"])] = hogbox(command, refused)
    told["hogbox worker, refused by the database"] = hogbox(["worker"], refused)
    asked, sent = _by_path(emulator)
    told["what PostHog got"] = repr([*emulator.events(), *sent])
    assert {request.headers["authorization"] for request in asked} == {f"Bearer {SECRETS['definitions']}"}
    told["what is left"] = all_rows(place)
    assert "signed up" in told["what PostHog got"]
    assert "fernet:" in told["what it left"]
    assert "it failed" in told["the application"]
    for where, text in told.items():
        for name, secret in SECRETS.items():
            for form in forms(secret):
                assert form not in text, f"the secret of {name} is in {where}: {around(text, form)}"


def _by_path(emulator: Emulator) -> tuple[list[ReceivedRequest], list[ReceivedRequest]]:
    """The requests for definitions, which alone carry a secret, in the header that is meant for it; and all others."""
    asked = [request for request in emulator.requests() if request.path == "/flags/definitions"]
    return asked, [request for request in emulator.requests() if request not in asked]


def run_application(variables: dict[str, str]) -> str:
    """What it prints; the URL that is its argument has no part in that, being its own doing."""
    url = refuses()
    code = f"import os, runpy, sys; sys.argv = ['app', os.environ['REFUSING']]; runpy.run_path({str(APPLICATION)!r}, "
    return run([sys.executable, "-c", f"{code}run_name='__main__')"], {**variables, "REFUSING": url})


def around(text: str, form: str) -> str:
    at = text.index(form)
    return text[max(0, at - 300) : at + 100]


def test_the_search_finds_what_is_there(place: TestDatabase) -> None:
    assert SECRETS["hash"] in forms(SECRETS["hash"])
    place.execute("CREATE TABLE leak (text VARCHAR(100))")
    place.execute("INSERT INTO leak VALUES (:text)", text=SECRETS["hash"])
    assert any(form in all_rows(place) for form in forms(SECRETS["hash"]))
