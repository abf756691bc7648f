"""What the server's answer to a capture request means for its events (docs/explanation/answers.md)."""

from __future__ import annotations

import pytest

from hogbox._wire.verdict import Answer, Verdict, judge, no_answer, what_is_refused

OK = '{"status":"Ok"}'
PARSE = "failed to parse request: invalid type: null, expected a string"
PAGE = "<!doctype html><title>Sign in</title>"
FOREIGN = [
    "",
    "<html><h1>400 Bad Request</h1></html>",
    "Client sent an HTTP request to an HTTPS server.",
    '{"detail":"no"}',
]


def by_the_design(status: int) -> Verdict:
    """The table, row by row, for answers in PostHog's form; what it leaves out accuses no event, and is retried."""
    match status:
        case 413:
            return Verdict.TOO_LARGE
        case 401 | 402 | 403 | 404:
            return Verdict.KEY_REFUSED
        case 400 | 422:
            return Verdict.REFUSED
    return Verdict.DELIVERED if status // 100 == 2 else Verdict.RETRY


def usual_body(status: int) -> str:
    if status == 204:
        return ""
    return OK if status // 100 == 2 else PARSE


@pytest.mark.parametrize("status", range(100, 600))
def test_p2_every_status_has_the_verdict_of_the_design(status: int) -> None:
    assert judge(status, usual_body(status)).verdict is by_the_design(status)


@pytest.mark.parametrize("status", [0, 99, 600, 999])
def test_p2_a_status_that_is_none_is_tried_again(status: int) -> None:
    assert judge(status).verdict is Verdict.RETRY


@pytest.mark.parametrize(
    "body",
    [
        OK,
        '{"status": 1}',
        ' {"status":"ok"}\n',
        '{"status":1,"quota_limited":["recordings"]}',
        '{"quota_limited":["recordings"]}',
        '{"status":"Ok","request_id":"01a2","more":{"a":[1]}}',
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_success_in_a_form_of_posthogs_is_delivered(status: int, body: str) -> None:
    assert judge(status, body).verdict is Verdict.DELIVERED


def test_no_content_is_a_form_of_posthogs() -> None:
    assert judge(204).verdict is Verdict.DELIVERED


@pytest.mark.parametrize(
    ("body", "kind", "what"),
    [
        pytest.param(PAGE, "text/html; charset=utf-8", "text/html", id="page"),
        pytest.param(PAGE, None, "other text", id="page without a type"),
        pytest.param("", "text/plain", "text/plain", id="empty, of a type"),
        pytest.param(" \n", None, "nothing", id="blank"),
        pytest.param("Ok", None, "other text", id="word"),
        pytest.param("1", "application/json", "other JSON", id="number"),
        pytest.param("[]", "application/json", "other JSON", id="list"),
        pytest.param("{}", "application/json", "other JSON", id="empty object"),
        pytest.param('{"message":"hello"}', "application/json", "other JSON", id="another API"),
        pytest.param('{"status":"error"}', "application/problem+json", "other JSON", id="an error"),
        pytest.param('{"status":404}', "application/json", "other JSON", id="a status of HTTP"),
        pytest.param('{"status":0}', "application/json", "other JSON", id="zero"),
        pytest.param('{"status":"Ok"', "application/json", "other JSON", id="cut off"),
        pytest.param("[" * 100_000, "application/json", "other JSON", id="deep"),
        pytest.param("\ud800", "application/json", "text that is not JSON", id="lone surrogate"),
        pytest.param(PAGE, "application/json", "text that is not JSON", id="page that says it is JSON"),
    ],
)
@pytest.mark.parametrize("status", [200, 202, 299])
def test_p2_a_success_of_another_server_is_tried_again(status: int, body: str, kind: str | None, what: str) -> None:
    answer = judge(status, body, 3.0, kind)
    assert (answer.verdict, answer.status, answer.retry_after) == (Verdict.RETRY, status, 3.0)
    assert f"the response is {what}, not PostHog's JSON: check POSTHOG_HOST" in answer.reason
    assert len(answer.reason) < 500


def test_p2_no_content_with_content_is_tried_again() -> None:
    assert judge(204, PAGE).verdict is Verdict.RETRY


@pytest.mark.parametrize("body", FOREIGN)
@pytest.mark.parametrize("status", [400, 405, 406, 407, 410, 418, 421, 422, 425, 426, 431, 451])
def test_p2_a_refusal_in_words_that_are_not_posthogs_accuses_no_event(status: int, body: str) -> None:
    answer = judge(status, body)
    assert (answer.verdict, answer.accuses) == (Verdict.RETRY, False)
    assert answer.may_accuse is (status in (400, 422))


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (400, PARSE, Verdict.REFUSED),
        (400, "event submitted with an empty event name", Verdict.REFUSED),
        (400, "event submitted without a distinct_id", Verdict.REFUSED),
        (400, '{"type":"validation_error","code":"invalid_payload","detail":"x","attr":null}', Verdict.REFUSED),
        (413, "maximum event size exceeded: 2000000", Verdict.TOO_LARGE),
    ],
)
def test_posthogs_words_about_an_event_accuse_it(status: int, body: str, verdict: Verdict) -> None:
    answer = judge(status, body)
    assert (answer.verdict, answer.accuses) == (verdict, True)


@pytest.mark.parametrize("body", FOREIGN)
def test_a_size_that_another_server_refuses_accuses_no_event_yet(body: str) -> None:
    answer = judge(413, body)
    assert (answer.verdict, answer.accuses, answer.may_accuse) == (Verdict.TOO_LARGE, False, True)


def test_what_a_status_refuses_of_a_project() -> None:
    found = {status: what_is_refused(status) for status in (None, 200, 401, 402, 403, 404, 429)}
    assert found == {None: None, 200: None, 401: "token", 402: "quota", 403: "token", 404: "address", 429: None}


def test_only_429_is_about_the_number_of_requests() -> None:
    assert [status for status in range(100, 600) if judge(status).rate_limited] == [429]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param("", "HTTP 503", id="no body"),
        pytest.param(" \n", "HTTP 503", id="blank"),
        pytest.param("failed to parse\n  request", "HTTP 503: failed to parse request", id="on one line"),
        pytest.param("x" * 1000, "HTTP 503: " + "x" * 300, id="long"),
    ],
)
def test_the_reason_is_the_status_and_what_the_server_said(body: str, reason: str) -> None:
    assert judge(503, body) == Answer(Verdict.RETRY, 503, reason)


def test_retry_after_is_handed_on() -> None:
    assert judge(429, retry_after=3.0) == Answer(Verdict.RETRY, 429, "HTTP 429", 3.0)


def test_p2_no_answer_is_tried_again() -> None:
    assert no_answer("ConnectError: refused") == Answer(Verdict.RETRY, None, "ConnectError: refused")
