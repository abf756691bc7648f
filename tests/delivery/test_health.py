"""What a worker's process answers to those who watch it."""

from __future__ import annotations

import pytest

from hogbox._delivery.health import WorkerHealth, hindrance, illness

WELL = WorkerHealth(beat_age=0.1, failing_for=None, leased=True, held=64, stopping=False)


@pytest.mark.parametrize(
    ("health", "ill", "hindered"),
    [
        (WELL, None, None),
        (WELL._replace(held=0), None, None),
        (WELL._replace(beat_age=None), None, "the worker has not begun"),
        (WELL._replace(stopping=True), None, "the worker is about to end"),
        (WELL._replace(stopping=True, beat_age=61.0), None, "the worker is about to end"),
        (WELL._replace(failing_for=300.0), None, "the database fails"),
        (WELL._replace(failing_for=301.0), "the database has failed for 301 s", "the database fails"),
        (WELL._replace(failing_for=301.0, stopping=True), None, "the worker is about to end"),
        (WELL._replace(leased=False), None, "the worker has no valid leases"),
        (WELL._replace(beat_age=61.0), "the worker has stood still for 61 s", "the worker has stood still for 61 s"),
    ],
)
def test_who_is_well(health: WorkerHealth, ill: str | None, hindered: str | None) -> None:
    assert illness(health, 60.0) == ill
    assert hindrance(health, 60.0) == hindered
