"""Asking for the status as an operator does, with `hogbox status` alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hogbox._operations.page import read_pages
from hogbox.cli.app import build_app

Ask = Callable[..., dict[str, Any]]
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command: `run("status", "-d", url)`, with no other settings than those given."""
    for name in ("POSTHOG_PROJECT_TOKEN", "POSTHOG_API_KEY", "POSTHOG_PERSONAL_API_KEY", "HOGBOX_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(build_app(), list(arguments), env=environment)

    return run


@pytest.fixture
def status(run: Run) -> Ask:
    """What `hogbox status --json` says of a database; its exit code is that of its level, and its pages exist."""

    def ask(url: str, **environment: str) -> dict[str, Any]:
        result = run("status", "-d", url, "--json", **environment)
        told: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == ["healthy", "degraded", "broken"].index(told["level"])
        assert {finding["page"] for finding in told["findings"]} <= read_pages().keys()
        return told

    return ask
