"""What all tests share. Fixtures are in small plugin files by subject, under `fixtures/`."""

from __future__ import annotations

import os

import hypothesis
import pytest

hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")
"""How long an example takes depends on what else the machine does."""

pytest_plugins = [
    "pytester",
    "tests.fixtures.requirement",
    "tests.fixtures.database",
    "tests.fixtures.posthog_server",
    "tests.fixtures.process",
    "tests.fixtures.pgbouncer",
    "tests.fixtures.definitions_server",
    "tests.fixtures.galera",
]


MOST_PROCESSES = 8
"""PostgreSQL allows 100 connections, and a fleet of workers in one test uses ten of them."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """By `-n auto`: a process for each core, at most 8; none beside this one where there is a single core."""
    # xdist counts physical cores, whatever this process may use of them, and starts a process even for one.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_PROCESSES) if cores > 1 else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test that is left to the nightly run says why."""
    for item in items:
        for marker in item.iter_markers("nightly"):
            if not marker.kwargs.get("reason"):
                raise pytest.UsageError(f"{item.nodeid} is nightly without a reason")
