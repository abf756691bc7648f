"""Definitions that are longer than the database takes: a result of the refresh, and what is stored stays."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox.schema import create_tables
from proof.server import NotApplicable, own_server
from tests.fixtures.database import SharedDatabases
from tests.fixtures.definitions_server import DefinitionsServer
from tests.fixtures.requirement import unavailable

SMALL = '{"flags": [{"key": "one", "active": true, "filters": {"groups": []}}], "cohorts": {}}'
LIMIT = 1_048_576


@pytest.fixture(params=["sqlite", "mariadb"])
def limited(
    request: pytest.FixtureRequest, emptied: SharedDatabases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sa.Engine]:
    """An engine on a database that takes texts up to 1 MiB."""
    if request.param == "sqlite":
        engine = sa.create_engine(emptied("sqlite").url)
        sa.event.listen(engine, "connect", lambda driver, _: driver.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LIMIT))
        yield engine
        engine.dispose()
        return
    if shutil.which("mariadbd") is None:
        unavailable("mariadb", "MariaDB's programs are not installed")
    folder = tmp_path_factory.mktemp("mariadb")
    try:
        with own_server("mariadb", folder, f"--max-allowed-packet={LIMIT}") as server:
            create_tables(server.url)
            engine = sa.create_engine(server.url)
            yield engine
            engine.dispose()
    except NotApplicable as reason:
        unavailable("mariadb", str(reason))


def definitions(size: int) -> str:
    flag = {"key": "large", "active": True, "filters": {"groups": [], "payloads": {"true": "x" * size}}}
    return json.dumps({"flags": [flag], "cohorts": {}})


def test_they_are_a_result_and_what_is_stored_stays(
    limited: sa.Engine, definitions_server: DefinitionsServer, caplog: pytest.LogCaptureFixture
) -> None:
    definitions_server.say(200, SMALL)
    with PostHog(
        limited, project_token="phc_t", personal_api_key="phs_k", host=definitions_server.url, definitions_max_age=0
    ) as posthog:
        assert str(posthog.refresh_flag_definitions()) == "updated"
        definitions_server.say(200, definitions(2 * LIMIT))
        with caplog.at_level(logging.WARNING, "hogbox"):
            result = posthog.refresh_flag_definitions()
        assert str(result) == "error/too-large"
        assert result.exit_code == 1
        assert "definitions of 2.1 MB" in result.detail
        assert "too-large" in caplog.text
        assert posthog.get_feature_flag(None, "one", distinct_id="u1") is False
        with limited.connect() as connection:
            assert connection.exec_driver_sql("SELECT last_reason FROM posthog_refreshes").scalar() == "too-large"
        definitions_server.say(200, SMALL)
        assert str(posthog.refresh_flag_definitions()) in ("updated", "unchanged")
