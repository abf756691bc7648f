"""When things are well, degraded or broken: a pure judgement of the facts."""

from __future__ import annotations

from typing import Any

import pytest

from hogbox._operations.diagnosis import judge
from hogbox._operations.finding import Severity, worst
from hogbox._store.inspection.snapshot import (
    BacklogSummary,
    DeadReason,
    DefinitionsRow,
    HoldRow,
    ShardRow,
    StatusSnapshot,
    WorkerRow,
)

NOBODY = ShardRow(0, None, -1e9, 0.0, 0, None, None, False)
WORKER = WorkerRow("w1", "host", 7, "0.1", 500.0, 1.0, 10, 0, 60)
FRESH = DefinitionsRow("phc_a_project", 3, 10.0, True, 50.0, "w1", "unchanged", None, 10.0, 9, 27)


def owned(left: float = 29.0, **changes: Any) -> ShardRow:
    return NOBODY._replace(owner="w1", lease_left=left, **changes)


def standing(**changes: Any) -> StatusSnapshot:
    return StatusSnapshot(BacklogSummary(0, {}, None, False), (owned(),), (WORKER,), (), (), ())._replace(**changes)


def waiting(oldest: float, *projects: str) -> BacklogSummary:
    return BacklogSummary(len(projects), dict.fromkeys(projects, 1), oldest, False)


def found(facts: StatusSnapshot) -> list[tuple[str, Severity]]:
    """What is wrong; without what is only said."""
    findings = judge(facts, lease=30, key_given=False)
    return [(finding.name, finding.severity) for finding in findings if finding.severity is not Severity.HEALTHY]


def test_without_definitions_and_a_key_it_is_said_that_flags_are_inconclusive() -> None:
    (only,) = judge(standing(), lease=30, key_given=False)
    assert (only.name, only.severity) == ("definitions_missing", Severity.HEALTHY)
    assert "POSTHOG_PERSONAL_API_KEY" in only.text


def test_nothing_wrong_is_healthy() -> None:
    assert worst(judge(standing(definitions=(FRESH,)), lease=30, key_given=True)) is Severity.HEALTHY


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"workers": (), "backlog": waiting(5, "phc_a")}, [("no_worker", Severity.DEGRADED)]),
        ({"workers": (), "backlog": waiting(500, "phc_a")}, [("no_worker", Severity.BROKEN)]),
        ({"workers": ()}, []),
        ({"backlog": waiting(500, "phc_a")}, [("late", Severity.DEGRADED)]),
        ({"dead": (DeadReason("odd", 400, 1, 9.0),)}, [("dead_letters", Severity.DEGRADED)]),
    ],
)
def test_what_waits_and_what_died(changes: dict[str, Any], expected: list[tuple[str, Severity]]) -> None:
    assert found(standing(**changes)) == expected


@pytest.mark.parametrize(
    ("silent", "left", "expected"),
    [
        (14.0, 16.0, []),
        (16.0, 14.0, ["worker_silent"]),
        (1.2, 0.8, ["worker_silent"]),
        (16.0, 284.0, []),
        (400.0, -100.0, ["worker_silent"]),
    ],
)
def test_a_worker_is_silent_by_its_own_lease(silent: float, left: float, expected: list[str]) -> None:
    facts = standing(workers=(WORKER._replace(silent=silent),), shards=(owned(left),))
    assert [what for what, _ in found(facts)] == expected


def test_a_hold_without_events_is_of_the_past() -> None:
    hold = HoldRow("phc_wrong", 100.0, -50.0, 3, 403, "no")
    assert found(standing(holds=(hold,), backlog=waiting(5, "phc_right"))) == []
    assert found(standing(holds=(hold,), backlog=waiting(5, "phc_wrong"))) == [("project_held", Severity.BROKEN)]


@pytest.mark.parametrize(("attempt", "level"), [(1, Severity.DEGRADED), (10, Severity.BROKEN)])
def test_an_outage_is_worse_the_longer_it_lasts(attempt: int, level: Severity) -> None:
    failing = owned(attempt=attempt, waiting=True, last_error="HTTP 503")
    assert found(standing(shards=(failing,), backlog=waiting(900, "phc_a"))) == [("event_fails", level)]
    assert found(standing(shards=(failing._replace(waiting=False),))) == []
    hold = HoldRow("phc_a", 100.0, 5.0, attempt, 503, "HTTP 503")
    assert found(standing(holds=(hold,), backlog=waiting(900, "phc_a"))) == [("posthog_fails", level)]
    assert found(standing(holds=(hold,), backlog=waiting(5, "phc_b"))) == []


@pytest.mark.parametrize(
    ("status", "what", "words"),
    [
        (401, "project_held", "refuses the token phc_a"),
        (402, "project_held", "quota is used up"),
        (404, "project_held", "at this POSTHOG_HOST"),
        (429, "posthog_fails", "does not take events of project phc_a"),
        (200, "posthog_fails", "does not take events of project phc_a"),
        (None, "posthog_fails", "does not take events of project phc_a"),
    ],
)
def test_a_project_that_is_put_off_is_told_with_what_is_wrong(status: int | None, what: str, words: str) -> None:
    facts = standing(holds=(HoldRow("phc_a", 9.0, 5.0, 1, status, "so it said"),), backlog=waiting(9, "phc_a"))
    finding = judge(facts, lease=30, key_given=False)[0]
    assert finding.name == what
    assert words in finding.text
    assert "so it said" in finding.text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"last_status": "error", "last_reason": "quota"}, [("flags_unknown", Severity.BROKEN)]),
        ({"last_status": "empty"}, [("flags_unknown", Severity.DEGRADED)]),
        ({"last_status": "error", "last_reason": "auth"}, [("definitions_fail", Severity.DEGRADED)]),
        ({"last_status": "error", "last_reason": "auth", "revision": None}, [("definitions_fail", Severity.BROKEN)]),
        ({"due": -170.0, "last": 230.0}, []),
        ({"due": -190.0, "last": 250.0}, [("definitions_stopped", Severity.DEGRADED)]),
    ],
)
def test_definitions(changes: dict[str, Any], expected: list[tuple[str, Severity]]) -> None:
    assert found(standing(definitions=(FRESH._replace(**changes),))) == expected


def test_the_worst_comes_first() -> None:
    hold = HoldRow("phc_wrong", 100.0, 50.0, 3, 403, "no phc_wrong_or_right")
    facts = standing(holds=(hold,), backlog=waiting(5, "phc_wrong"), dead=(DeadReason("says phc_wrong", 400, 1, 9.0),))
    findings = judge(facts, lease=30, key_given=True)
    assert [finding.name for finding in findings] == ["project_held", "dead_letters", "definitions_missing"]
    assert "phc_wrong" not in "".join(finding.text for finding in findings)
