"""Every row of the table of refreshes, over real HTTP, and what it leaves in the database."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hogbox import PostHog
from hogbox._wire.definitions import EMPTY
from hogbox.errors import ConfigurationError, TablesMissing
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.fixtures.definitions_server import DefinitionsServer

TOKEN = "phc_refresh_me_please"
KEY = "phs_nobody_may_see_this"
ONE = '{"flags": [{"key": "one", "active": true, "filters": {"groups": []}}], "cohorts": {}}'
TWO = '{"flags": [{"key": "two", "active": true, "filters": {"groups": []}}]}'
COLD = "Required data not found in cache. This is likely a temporary issue. Please try again later."


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without a pause."""
    monkeypatch.setenv("POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE", "0")


@pytest.fixture
def database(emptied: SharedDatabases) -> TestDatabase:
    """The shared SQLite database, emptied: how the others store definitions is tested with the store."""
    return emptied("sqlite")


@pytest.fixture
def posthog(database: TestDatabase, definitions_server: DefinitionsServer) -> Iterator[PostHog]:
    """A client with a key, of the server of definitions."""
    with client(database, definitions_server.url) as posthog:
        yield posthog


def client(database: TestDatabase, host: str, **more: Any) -> PostHog:
    arguments = {"project_token": TOKEN, "personal_api_key": KEY, **more}
    return PostHog(database.url, host=host, **arguments)


def stored(database: TestDatabase) -> tuple[str, str | None, int] | None:
    rows = database.rows("posthog_flag_definitions", "project")
    return (rows[0]["data"], rows[0]["etag"], rows[0]["revision"]) if rows else None


def noted(database: TestDatabase) -> tuple[str, str | None]:
    (row,) = database.rows("posthog_refreshes", "project")
    return row["last_status"], row["last_reason"]


def store_one(posthog: PostHog, server: DefinitionsServer, database: TestDatabase, age: int = 0) -> None:
    """Have the first definitions stored, as if so many seconds ago."""
    server.say(200, ONE, ETag='W/"1"')
    assert posthog.refresh_flag_definitions()[:2] == ("updated", None)
    database.execute("UPDATE posthog_flag_definitions SET fetched_at = fetched_at - :ms", ms=age * 1000)
    assert stored(database) == (ONE, 'W/"1"', 1)
    server.asked.clear()


def test_the_first_definitions_are_stored(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase
) -> None:
    definitions_server.say(200, ONE, ETag='W/"1"')
    assert str(posthog.refresh_flag_definitions()) == "updated"
    assert stored(database) == (ONE, 'W/"1"', 1)
    assert noted(database) == ("updated", None)
    (asked,) = definitions_server.asked
    assert asked.path == f"/flags/definitions?token={TOKEN}&send_cohorts"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["user-agent"].startswith("hogbox/")
    assert "if-none-match" not in asked.headers


def test_the_older_name_does_the_same(posthog: PostHog, definitions_server: DefinitionsServer) -> None:
    definitions_server.say(200, ONE)
    assert posthog.reload_feature_flags().status == "updated"


def test_a_path_of_the_host_is_kept(database: TestDatabase, definitions_server: DefinitionsServer) -> None:
    definitions_server.say(200, ONE)
    with client(database, f" {definitions_server.url}/proxy/ ") as posthog:
        assert posthog.refresh_flag_definitions().status == "updated"
    assert definitions_server.asked[0].path.startswith("/proxy/flags/definitions?token=")


@pytest.mark.parametrize("etag", ['W/"1"', '"1"', "1", '"a b"'])
def test_unchanged(posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase, etag: str) -> None:
    definitions_server.say(200, ONE, ETag=etag).then(304, ETag='"another"')
    posthog.refresh_flag_definitions()
    before = database.rows("posthog_flag_definitions", "project")
    assert posthog.refresh_flag_definitions()[:2] == ("unchanged", None)
    assert definitions_server.asked[1].headers["if-none-match"] == etag
    assert database.rows("posthog_flag_definitions", "project") == before
    assert noted(database) == ("unchanged", None)


def test_other_definitions_count_a_revision_and_bring_their_etag_or_none(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase
) -> None:
    store_one(posthog, definitions_server, database)
    definitions_server.say(200, TWO, ETag='W/"2"')
    assert posthog.refresh_flag_definitions().status == "updated"
    assert stored(database) == (TWO, 'W/"2"', 2)
    definitions_server.say(200, TWO)
    assert posthog.refresh_flag_definitions().status == "updated"
    assert stored(database) == (TWO, None, 2)
    posthog.refresh_flag_definitions()
    assert "if-none-match" not in definitions_server.asked[-1].headers


@pytest.mark.parametrize("have", [False, True], ids=["nothing stored", "stored"])
@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (None, "", "fetch-failed"),
        (401, '{"code": "authentication_failed"}', "auth"),
        (403, '{"code": "permission_denied"}', "auth"),
        (429, "slow down", "rate-limited"),
        (404, "nothing here", "unexpected-status"),
        (500, "oops", "unexpected-status"),
        (503, "Service Unavailable", "unexpected-status"),
        (302, "", "unexpected-status"),
        (200, "<html>", "parse-failed"),
        (200, "{}", "invalid-shape"),
        (200, '{"flags": 7}', "invalid-shape"),
        (200, '{"flags": [], "cohorts": []}', "invalid-shape"),
    ],
)
def test_errors_leave_what_is_stored(
    posthog: PostHog,
    definitions_server: DefinitionsServer,
    database: TestDatabase,
    caplog: pytest.LogCaptureFixture,
    have: bool,
    status: int | None,
    body: str,
    reason: str,
) -> None:
    if have:
        store_one(posthog, definitions_server, database, age=1000)
    before = database.rows("posthog_flag_definitions", "project")
    definitions_server.say(status, body)
    result = posthog.refresh_flag_definitions()
    assert (result.status, result.reason, str(result)) == ("error", reason, f"error/{reason}")
    assert database.rows("posthog_flag_definitions", "project") == before
    assert noted(database) == ("error", reason)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert reason in warning.getMessage()


def test_no_server_at_all(database: TestDatabase) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with client(database, f"http://127.0.0.1:{port}") as posthog:
        assert str(posthog.refresh_flag_definitions()) == "error/fetch-failed"
    assert stored(database) is None


def test_an_answer_that_never_ends(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece of it comes in time; all of them together do not."""
    monkeypatch.setattr("hogbox._http.definitions.DEFINITIONS_TIMEOUT", 0.3)
    over = threading.Event()

    def drip(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not over.wait(0.05):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        with client(database, f"http://127.0.0.1:{listener.getsockname()[1]}") as posthog:
            result = posthog.refresh_flag_definitions()
        over.set()
        thread.join()
    assert str(result) == "error/fetch-failed"
    assert "ReadTimeout" in result.detail


@pytest.mark.parametrize("have", [False, True], ids=["nothing stored", "stored"])
def test_over_quota(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase, have: bool
) -> None:
    if have:
        store_one(posthog, definitions_server, database)
    definitions_server.say(402, '{"type": "quota_limited"}', ETag='W/"402"').then(200, ONE, ETag='W/"1"')
    assert str(posthog.refresh_flag_definitions()) == "error/quota"
    assert stored(database) == (EMPTY, None, 2 if have else 1)
    assert posthog.refresh_flag_definitions().status == "updated"
    assert "if-none-match" not in definitions_server.asked[-1].headers
    assert stored(database) == (ONE, 'W/"1"', 3 if have else 2)


def test_a_cold_cache_with_nothing_stored(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase
) -> None:
    definitions_server.say(503, COLD)
    assert posthog.refresh_flag_definitions()[:2] == ("empty", None)
    assert stored(database) == (EMPTY, None, 1)
    assert len(definitions_server.asked) == 4


@pytest.mark.parametrize(
    ("age", "keep", "outcome", "emptied_"),
    [
        (0, False, "stale", False),
        (290, False, "stale", False),
        (310, False, "empty", True),
        (310, True, "stale/kept-stale", False),
        (290, True, "stale", False),
    ],
)
def test_a_cold_cache(
    database: TestDatabase,
    definitions_server: DefinitionsServer,
    age: int,
    keep: bool,
    outcome: str,
    emptied_: bool,
) -> None:
    with client(database, definitions_server.url, keep_stale_definitions=keep) as posthog:
        store_one(posthog, definitions_server, database, age)
        definitions_server.say(503, COLD)
        result = posthog.refresh_flag_definitions()
    assert str(result) == outcome
    assert result.detail
    assert stored(database) == ((EMPTY, None, 2) if emptied_ else (ONE, 'W/"1"', 1))
    assert "/".join(filter(None, noted(database))) == outcome


def test_the_environment_may_say_to_keep_stale_definitions(
    database: TestDatabase, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOGBOX_KEEP_STALE_DEFINITIONS", "yes")
    with client(database, definitions_server.url) as posthog:
        store_one(posthog, definitions_server, database, age=4000)
        definitions_server.say(503, COLD)
        assert str(posthog.refresh_flag_definitions()) == "stale/kept-stale"


def test_definitions_that_have_not_changed_for_long_are_fresh(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase
) -> None:
    """The five minutes are of the outage: what PostHog has just called unchanged is not old."""
    store_one(posthog, definitions_server, database, age=4000)
    definitions_server.say(304).then(503, COLD)
    assert posthog.refresh_flag_definitions().status == "unchanged"
    assert posthog.refresh_flag_definitions().status == "stale"
    assert stored(database) == (ONE, 'W/"1"', 1)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase, status: int
) -> None:
    definitions_server.say(status, "x" * 100_000).then(status).then(status, COLD).then(200, ONE)
    assert posthog.refresh_flag_definitions().status == "updated"
    assert len(definitions_server.asked) == 4
    assert stored(database) == (ONE, None, 1)


@pytest.mark.parametrize(("status", "times"), [(429, 4), (500, 4), (401, 1), (402, 1), (404, 1), (304, 1), (None, 1)])
def test_how_often_is_asked(
    posthog: PostHog, definitions_server: DefinitionsServer, status: int | None, times: int
) -> None:
    definitions_server.say(status)
    posthog.refresh_flag_definitions()
    assert len(definitions_server.asked) == times


def test_the_pauses_between_tries(
    posthog: PostHog, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE")
    pauses: list[float] = []
    monkeypatch.setattr("hogbox._worker.refresher._sleep", pauses.append)
    definitions_server.say(429)
    posthog.refresh_flag_definitions()
    assert pauses[:3] == [1.5, 3.0, 6.0]
    monkeypatch.setenv("POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE", "250")
    del pauses[:]
    posthog.refresh_flag_definitions()
    assert pauses[:3] == [0.25, 0.25, 0.25]


def test_not_modified_where_no_etag_is_stored(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase
) -> None:
    definitions_server.say(304, ETag='W/"9"')
    assert str(posthog.refresh_flag_definitions()) == "error/unexpected-status"
    assert stored(database) is None


def test_stored_definitions_that_nobody_can_read_are_fetched_anew(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase
) -> None:
    store_one(posthog, definitions_server, database)
    database.execute("UPDATE posthog_flag_definitions SET data = '{'")
    posthog.refresh_flag_definitions()
    assert "if-none-match" not in definitions_server.asked[-1].headers
    assert stored(database) == (ONE, 'W/"1"', 2)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_key_follows_no_redirect(posthog: PostHog, definitions_server: DefinitionsServer, status: int) -> None:
    elsewhere = DefinitionsServer().say(200, ONE)
    try:
        definitions_server.say(status, Location=f"{elsewhere.url}/flags/definitions?token={TOKEN}")
        result = posthog.refresh_flag_definitions()
    finally:
        elsewhere.close()
    assert elsewhere.asked == []
    assert str(result) == "error/unexpected-status"
    assert f"redirects to {elsewhere.url}" in result.detail
    assert TOKEN not in result.detail


def test_a_refresh_moves_the_next_one(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase
) -> None:
    definitions_server.say(200, ONE)
    posthog.refresh_flag_definitions()
    database.execute("UPDATE posthog_refreshes SET due_at = 0")
    posthog.refresh_flag_definitions()
    (row,) = database.rows("posthog_refreshes", "project")
    assert 50_000 < row["due_at"] - row["last_at"] <= 60_000


# Without keys


@pytest.mark.parametrize(
    ("token", "key", "disabled", "outcome"),
    [
        (TOKEN, None, False, "skipped/missing-keys"),
        (TOKEN, "  ", False, "skipped/missing-keys"),
        (None, KEY, True, "skipped/disabled"),
        (TOKEN, KEY, True, "skipped/disabled"),
    ],
)
def test_without_keys_nothing_is_asked_or_queried(
    tmp_path: Any,
    definitions_server: DefinitionsServer,
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
    key: str | None,
    disabled: bool,
    outcome: str,
) -> None:
    monkeypatch.delenv("POSTHOG_PERSONAL_API_KEY", raising=False)
    path = tmp_path / "none.db"
    arguments: dict[str, Any] = {"project_token": token, "personal_api_key": key, "disabled": disabled}
    with PostHog(f"sqlite:///{path}", host=definitions_server.url, **arguments) as posthog:
        assert str(posthog.refresh_flag_definitions()) == outcome
    assert definitions_server.asked == []
    assert not path.exists()


def test_the_key_may_come_from_the_environment(
    database: TestDatabase, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", f" {KEY} ")
    definitions_server.say(200, ONE)
    with client(database, definitions_server.url, personal_api_key=None) as posthog:
        assert posthog.refresh_flag_definitions().status == "updated"
    assert definitions_server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_without_tables_the_refresh_says_so(tmp_path: Any, definitions_server: DefinitionsServer) -> None:
    with PostHog(
        f"sqlite:///{tmp_path / 'new.db'}", project_token=TOKEN, personal_api_key=KEY, host=definitions_server.url
    ) as posthog:
        with pytest.raises(TablesMissing):
            posthog.refresh_flag_definitions()
    assert definitions_server.asked == []


# The key stays secret (P9)


def test_p9_the_key_is_nowhere_but_in_the_request(
    tmp_path: Any,
    definitions_server: DefinitionsServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "app.db"
    posthog = PostHog(f"sqlite:///{path}", project_token=TOKEN, personal_api_key=KEY, host=definitions_server.url)
    posthog.create_tables()
    echo = f"Bearer {KEY} of {TOKEN}"
    shown = []
    for status, body in [(200, ONE), (304, ""), (401, echo), (402, echo), (429, echo), (500, echo), (200, echo)]:
        definitions_server.say(status, body, ETag='"1"')
        shown.append(repr(posthog.refresh_flag_definitions()))
    definitions_server.say(None)
    shown.append(repr(posthog.refresh_flag_definitions()))
    shown += [
        repr(posthog),
        str(posthog._components.settings),
        repr(vars(posthog)),
        repr(vars(posthog._components)),
        repr(vars(posthog._components.refresher)),
    ]
    posthog.shutdown()
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    printed = capfd.readouterr()
    assert all(asked.headers["authorization"] == f"Bearer {KEY}" for asked in definitions_server.asked)
    for text in [*shown, caplog.text, printed.out, printed.err, written.decode("latin-1")]:
        assert KEY not in text
        assert KEY[4:] not in text


def test_p9_the_projects_token_is_shortened_in_the_log(
    posthog: PostHog, definitions_server: DefinitionsServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for status in (200, 500):
        definitions_server.say(status, ONE.replace("one", TOKEN))
        posthog.refresh_flag_definitions()
    assert "flag definitions of project phc_refr…" in caplog.text
    ours = [record for record in caplog.records if record.name.startswith(("hogbox", "httpx2", "httpcore"))]
    assert ours
    assert TOKEN not in "".join(record.getMessage() for record in ours)


def test_p9_a_personal_key_draws_one_warning(
    database: TestDatabase, definitions_server: DefinitionsServer, caplog: pytest.LogCaptureFixture
) -> None:
    definitions_server.say(200, ONE)
    with client(database, definitions_server.url, personal_api_key="phx_all_my_projects") as posthog:
        posthog.refresh_flag_definitions()
        posthog.refresh_flag_definitions()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "personal" in warnings[0]
    assert "all_my_projects" not in caplog.text


def test_a_projects_public_token_is_no_key() -> None:
    with pytest.raises(ConfigurationError, match="phs_"):
        PostHog(project_token=TOKEN, personal_api_key=TOKEN)


def kept(database: TestDatabase) -> list[tuple[int, str]]:
    return [(row["revision"], row["data"]) for row in database.rows("posthog_flag_history", "revision")]


def test_each_revision_is_kept(posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase) -> None:
    store_one(posthog, definitions_server, database)
    definitions_server.say(200, TWO)
    posthog.refresh_flag_definitions()
    posthog.refresh_flag_definitions()
    assert kept(database) == [(1, ONE), (2, TWO)]


def test_what_an_older_hogbox_stored_is_kept_before_it_is_replaced(
    posthog: PostHog, definitions_server: DefinitionsServer, database: TestDatabase
) -> None:
    store_one(posthog, definitions_server, database)
    database.execute("DELETE FROM posthog_flag_history")
    definitions_server.say(200, TWO)
    posthog.refresh_flag_definitions()
    assert kept(database) == [(1, ONE), (2, TWO)]


@pytest.mark.parametrize(
    ("setting", "left"),
    [("HOGBOX_FLAG_HISTORY=1", [2]), ("HOGBOX_FLAG_HISTORY=0", []), ("HOGBOX_FLAG_HISTORY_BYTES=5", [2])],
)
def test_the_history_is_bounded(
    database: TestDatabase,
    definitions_server: DefinitionsServer,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    left: list[int],
) -> None:
    monkeypatch.setenv(*setting.split("="))
    with client(database, definitions_server.url) as posthog:
        for text in (ONE, TWO):
            definitions_server.say(200, text)
            posthog.refresh_flag_definitions()
    assert [number for number, _ in kept(database)] == left
