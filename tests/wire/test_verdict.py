"""What each answer means for its events: the table in the design's section 5, for every status there is."""

from __future__ import annotations

import pytest

from hogbox._wire.verdict import Answer, Verdict, judge, no_answer


def by_the_design(status: int) -> Verdict:
    """The table, row by row; what it leaves out (no answer at all, or a redirect) is nobody's poison and is retried."""
    match status:
        case 408 | 429:
            return Verdict.RETRY
        case 413:
            return Verdict.TOO_LARGE
        case 401 | 403:
            return Verdict.KEY_REFUSED
    return {2: Verdict.DELIVERED, 4: Verdict.REFUSED}.get(status // 100, Verdict.RETRY)


@pytest.mark.parametrize("status", range(100, 600))
def test_p2_every_status_has_the_verdict_of_the_design(status: int) -> None:
    assert judge(status).verdict is by_the_design(status)


@pytest.mark.parametrize("status", [0, 99, 600, 999])
def test_p2_a_status_that_is_none_is_tried_again(status: int) -> None:
    assert judge(status).verdict is Verdict.RETRY


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("body", ['{"status":"Ok"}', '{"status":1}', '{"quota_limited":["recordings"]}', "<html>", ""])
def test_the_body_of_a_success_is_not_read(status: int, body: str) -> None:
    assert judge(status, body).verdict is Verdict.DELIVERED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param("", "HTTP 400", id="no body"),
        pytest.param(" \n", "HTTP 400", id="blank"),
        pytest.param("failed to parse\n  request", "HTTP 400: failed to parse request", id="on one line"),
        pytest.param("x" * 1000, "HTTP 400: " + "x" * 300, id="long"),
    ],
)
def test_the_reason_is_the_status_and_what_the_server_said(body: str, reason: str) -> None:
    assert judge(400, body) == Answer(Verdict.REFUSED, 400, reason)


def test_retry_after_is_handed_on() -> None:
    assert judge(429, retry_after=3.0) == Answer(Verdict.RETRY, 429, "HTTP 429", 3.0)


def test_p2_no_answer_is_tried_again() -> None:
    assert no_answer("ConnectError: refused") == Answer(Verdict.RETRY, None, "ConnectError: refused")
