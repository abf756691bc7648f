"""Where events are sent, and what is concluded about the host."""

from __future__ import annotations

import pytest

from hogbox._delivery.endpoint import REMEMBERED_SECONDS, Endpoints
from hogbox._wire.analytics_verdict import judge_analytics
from hogbox._wire.mode import CaptureEndpoint, CaptureMode
from hogbox._wire.verdict import Answer, judge, no_answer

OK = judge_analytics(200, '{"results":{}}')
TAGGED_404 = judge_analytics(404, '{"error":"not_found"}')


@pytest.mark.parametrize(
    ("mode", "lane", "endpoint"),
    [
        (CaptureMode.V0, "analytics", CaptureEndpoint.BATCH),
        (CaptureMode.V1, "analytics", CaptureEndpoint.ANALYTICS),
        (CaptureMode.AUTO, "historical", CaptureEndpoint.ANALYTICS),
        (CaptureMode.V0, "ai", CaptureEndpoint.AI),
        (CaptureMode.V1, "ai", CaptureEndpoint.AI),
    ],
)
def test_the_mode_and_the_lane_choose(mode: CaptureMode, lane: str, endpoint: CaptureEndpoint) -> None:
    assert Endpoints(mode).choose(lane, 0.0) is endpoint


@pytest.mark.parametrize(
    ("answer", "missing", "missing_if_proven"),
    [
        (OK, False, False),
        (TAGGED_404, False, False),
        (judge_analytics(404, "not found"), True, True),
        (judge_analytics(405), True, True),
        (judge_analytics(302), True, True),
        (judge_analytics(403, "<html>"), True, True),
        (judge_analytics(200, "<html>"), True, True),
        (judge_analytics(500, "error"), True, False),
        (judge_analytics(502), True, False),
        (judge_analytics(429, "slow down"), True, False),
        (judge_analytics(503, '{"error":"service_unavailable"}'), False, False),
        (no_answer("refused"), False, False),
    ],
)
def test_auto_tries_v0_where_the_answer_is_not_one_of_v1(
    answer: Answer, missing: bool, missing_if_proven: bool
) -> None:
    assert Endpoints(CaptureMode.AUTO).is_missing(CaptureEndpoint.ANALYTICS, answer) is missing
    proven = Endpoints(CaptureMode.AUTO)
    assert not proven.is_missing(CaptureEndpoint.ANALYTICS, OK)
    assert proven.is_missing(CaptureEndpoint.ANALYTICS, answer) is missing_if_proven
    assert not Endpoints(CaptureMode.V1).is_missing(CaptureEndpoint.ANALYTICS, answer)


@pytest.mark.parametrize(("status", "missing"), [(404, True), (405, True), (403, False), (400, False), (503, False)])
def test_a_host_without_an_ai_lane_gets_ai_events_at_the_ordinary_endpoint(status: int, missing: bool) -> None:
    assert Endpoints(CaptureMode.V1).is_missing(CaptureEndpoint.AI, judge(status)) is missing


def test_what_the_host_does_not_know_is_left_alone_for_a_while_and_the_other_lanes_go_on() -> None:
    endpoints = Endpoints(CaptureMode.AUTO)
    assert endpoints.leave("analytics", 10.0)
    assert not endpoints.leave("historical", 20.0), "the same endpoint is no news"
    assert endpoints.choose("analytics", 20.0 + REMEMBERED_SECONDS - 1) is CaptureEndpoint.BATCH
    assert endpoints.choose("ai", 30.0) is CaptureEndpoint.AI
    assert endpoints.choose("analytics", 20.0 + REMEMBERED_SECONDS) is CaptureEndpoint.ANALYTICS
    assert endpoints.leave("analytics", 20.0 + REMEMBERED_SECONDS)


def test_v0_is_never_left() -> None:
    assert not Endpoints(CaptureMode.V0).is_missing(CaptureEndpoint.BATCH, judge(404))
