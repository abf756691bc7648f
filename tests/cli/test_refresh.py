"""`hogbox refresh`: what it prints, and how it exits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from hogbox.cli.app import build_app
from tests.fixtures.database import TestDatabase
from tests.fixtures.definitions_server import DefinitionsServer

KEY = "phs_command"
COLD = "Required data not found in cache."

Refresh = Callable[..., Result]


@pytest.fixture
def refresh(
    sqlite_database: TestDatabase, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> Refresh:
    """Runs the command."""
    for name in ("POSTHOG_PROJECT_TOKEN", "POSTHOG_API_KEY", "POSTHOG_PERSONAL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE", "0")

    def run(*arguments: str, **environment: str) -> Result:
        command = ["refresh", "-d", sqlite_database.url, "--host", definitions_server.url, *arguments]
        return CliRunner().invoke(build_app(), command, env=environment)

    return run


@pytest.mark.parametrize(
    ("status", "body", "code", "printed"),
    [
        (200, '{"flags": []}', 0, "updated"),
        (503, COLD, 3, "empty: PostHog's cache"),
        (403, "", 1, "error/auth: HTTP 403"),
        (200, "{}", 1, "error/invalid-shape: "),
    ],
)
def test_the_outcome_is_printed_and_told_by_the_exit_code(
    refresh: Refresh, definitions_server: DefinitionsServer, status: int, body: str, code: int, printed: str
) -> None:
    definitions_server.say(status, body)
    result = refresh("--project-token", "phc_command", POSTHOG_PERSONAL_API_KEY=KEY)
    assert result.stdout.startswith(printed)
    assert result.exit_code == code
    assert KEY not in result.output


def test_unchanged_is_well_and_a_cold_cache_is_told_apart(
    refresh: Refresh, definitions_server: DefinitionsServer
) -> None:
    definitions_server.say(200, '{"flags": []}', ETag='"1"').then(304).then(503, COLD)
    results = [refresh(POSTHOG_PROJECT_TOKEN="phc_command", POSTHOG_PERSONAL_API_KEY=KEY) for _ in range(3)]
    assert [(result.stdout.split(":")[0].strip(), result.exit_code) for result in results] == [
        ("updated", 0),
        ("unchanged", 0),
        ("stale", 3),
    ]


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"POSTHOG_PROJECT_TOKEN": "phc_command"}, "POSTHOG_PERSONAL_API_KEY"),
        ({"POSTHOG_PERSONAL_API_KEY": KEY}, "POSTHOG_PROJECT_TOKEN"),
    ],
    ids=["no key", "no token"],
)
def test_without_keys_it_is_skipped(
    refresh: Refresh, definitions_server: DefinitionsServer, environment: dict[str, str], missing: str
) -> None:
    result = refresh(**environment)
    assert result.stdout == f"skipped/missing-keys: {missing} is not set\n"
    assert result.exit_code == 2
    assert definitions_server.asked == []
