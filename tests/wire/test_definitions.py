"""Definitions over HTTP: the request, and every row of the table of answers."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._wire.definitions import (
    EMPTY,
    RETRY_DELAYS,
    STALE_AFTER,
    DefinitionsOutcome,
    RefreshContext,
    RefreshReason,
    RefreshStatus,
    Reply,
    Snapshot,
    definitions_request,
    interpret,
    no_reply,
    readable,
    retry_delays,
    worth_retrying,
)
from hogbox._wire.key import Secret, objection, read_key
from hogbox.errors import ConfigurationError

TOKEN = "phc_the_token_of_the_project"
KEY = "phs_the_secret_key_of_the_project"
HIDE = (KEY, TOKEN)
COLD = b"Required data not found in cache. This is likely a temporary issue. Please try again later."

NOTHING = RefreshContext(asked_for_change=False, stored_age=None, hide=HIDE)
FRESH = RefreshContext(asked_for_change=True, stored_age=10.0, hide=HIDE)
OLD = RefreshContext(asked_for_change=True, stored_age=STALE_AFTER + 1, hide=HIDE)


def parse(document: Mapping[str, Any]) -> object:
    """Stands for the evaluator: it wants a list of flags."""
    if not isinstance(document["flags"], list):
        raise ValueError("flags is no list")
    return document


def found(status: int, body: bytes = b"", around: RefreshContext = FRESH, **more: Any) -> DefinitionsOutcome:
    return interpret(Reply(status, body, **more), around, parse)


# The request


def test_the_request_names_the_project_and_carries_the_key() -> None:
    request = definitions_request(TOKEN, Secret(KEY), None, user_agent="hogbox/1")
    assert f"{request.path}?{request.query}" == f"/flags/definitions?token={TOKEN}&send_cohorts"
    assert request.headers == {"Authorization": f"Bearer {KEY}", "User-Agent": "hogbox/1"}


@pytest.mark.parametrize("etag", ['W/"3f2a"', '"3f2a"', "3f2a", 'W/"a b"'])
def test_the_etag_goes_back_exactly_as_it_came(etag: str) -> None:
    stored = found(200, b'{"flags":[]}', etag=etag).store
    assert stored is not None
    request = definitions_request(TOKEN, Secret(KEY), stored.etag, user_agent="hogbox/1")
    assert request.headers["If-None-Match"] == etag


def test_a_token_with_signs_of_its_own_stays_one_value() -> None:
    assert definitions_request("a&b=c#d", Secret(KEY), None, user_agent="x").query == "token=a%26b%3Dc%23d&send_cohorts"


def test_the_request_does_not_show_the_key() -> None:
    request = definitions_request(TOKEN, Secret(KEY), None, user_agent="hogbox/1")
    assert KEY not in repr(request)
    assert KEY not in f"{request}"


# The table


def test_definitions_are_stored_as_they_came_with_their_etag() -> None:
    body = '{"flags": [], "later": {"\N{PILE OF POO}": 1}}'
    assert found(200, body.encode(), etag='W/"1"') == DefinitionsOutcome(
        RefreshStatus.UPDATED, store=Snapshot(body, 'W/"1"')
    )


def test_without_an_etag_the_last_one_is_forgotten() -> None:
    assert found(200, b'{"flags":[]}').store == Snapshot('{"flags":[]}', None)


@pytest.mark.parametrize("etag", ["", "caf\xe9", "a\tb"])
def test_an_etag_that_could_not_be_sent_back_is_none(etag: str) -> None:
    assert found(200, b'{"flags":[]}', etag=etag).store == Snapshot('{"flags":[]}', None)


def test_not_modified_keeps_what_is_stored() -> None:
    assert found(304) == DefinitionsOutcome(RefreshStatus.UNCHANGED)


def test_not_modified_makes_no_sense_where_no_etag_was_sent() -> None:
    finding = found(304, around=NOTHING)
    assert (finding.status, finding.reason, finding.store) == (
        RefreshStatus.ERROR,
        RefreshReason.UNEXPECTED_STATUS,
        None,
    )


@pytest.mark.parametrize("around", [NOTHING, FRESH, OLD], ids=["nothing", "fresh", "old"])
@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, b'{"code":"authentication_failed"}', RefreshReason.AUTH),
        (403, b'{"code":"permission_denied"}', RefreshReason.AUTH),
        (429, b"", RefreshReason.RATE_LIMITED),
        (200, b"<html>", RefreshReason.PARSE_FAILED),
        (200, b"", RefreshReason.PARSE_FAILED),
        (200, b'{"flags":[NaN]}', RefreshReason.PARSE_FAILED),
        (200, b'{"flags":["\xff"]}', RefreshReason.PARSE_FAILED),
        (200, b"[" * 100_000, RefreshReason.PARSE_FAILED),
        (200, b"[]", RefreshReason.INVALID_SHAPE),
        (200, b"null", RefreshReason.INVALID_SHAPE),
        (200, b"{}", RefreshReason.INVALID_SHAPE),
        (200, b'{"flags":{}}', RefreshReason.INVALID_SHAPE),
        (200, b'{"flags":null}', RefreshReason.INVALID_SHAPE),
        (201, b'{"flags":[]}', RefreshReason.UNEXPECTED_STATUS),
        (204, b"", RefreshReason.UNEXPECTED_STATUS),
        (301, b"", RefreshReason.UNEXPECTED_STATUS),
        (400, b"token missing", RefreshReason.UNEXPECTED_STATUS),
        (404, b"", RefreshReason.UNEXPECTED_STATUS),
        (500, COLD, RefreshReason.UNEXPECTED_STATUS),
        (503, b"Service Unavailable", RefreshReason.UNEXPECTED_STATUS),
    ],
)
def test_an_error_stores_nothing(status: int, body: bytes, reason: RefreshReason, around: RefreshContext) -> None:
    finding = found(status, body, around)
    assert (finding.status, finding.reason, finding.store) == (RefreshStatus.ERROR, reason, None)
    assert finding.detail


@pytest.mark.parametrize("around", [NOTHING, FRESH, OLD], ids=["nothing", "fresh", "old"])
def test_over_quota_nothing_is_known_and_the_etag_is_forgotten(around: RefreshContext) -> None:
    finding = found(402, b'{"type":"quota_limited"}', around)
    assert (finding.status, finding.reason) == (RefreshStatus.ERROR, RefreshReason.QUOTA)
    assert finding.store == Snapshot(EMPTY, None)


@pytest.mark.parametrize(
    ("age", "keep", "status", "reason", "stored"),
    [
        (None, False, RefreshStatus.EMPTY, None, True),
        (None, True, RefreshStatus.EMPTY, None, True),
        (0.0, False, RefreshStatus.STALE, None, False),
        (STALE_AFTER, False, RefreshStatus.STALE, None, False),
        (STALE_AFTER + 0.1, False, RefreshStatus.EMPTY, None, True),
        (STALE_AFTER, True, RefreshStatus.STALE, None, False),
        (STALE_AFTER + 0.1, True, RefreshStatus.STALE, RefreshReason.KEPT_STALE, False),
        (1e9, True, RefreshStatus.STALE, RefreshReason.KEPT_STALE, False),
    ],
)
@pytest.mark.parametrize("body", [COLD, COLD.upper(), b'{"detail": "' + COLD + b'"}'])
def test_a_cold_cache(
    body: bytes, age: float | None, keep: bool, status: RefreshStatus, reason: RefreshReason | None, stored: bool
) -> None:
    finding = found(503, body, RefreshContext(asked_for_change=True, stored_age=age, keep_stale=keep))
    assert (finding.status, finding.reason) == (status, reason)
    assert finding.store == (Snapshot(EMPTY, None) if stored else None)
    assert finding.detail


def test_the_empty_snapshot_is_a_document_of_no_flags() -> None:
    assert json.loads(EMPTY) == {"flags": [], "group_type_mapping": {}, "cohorts": {}}


@given(st.integers(100, 599), st.binary(max_size=200), st.none() | st.floats(0, 1e6), st.booleans())
def test_only_what_can_be_read_is_ever_stored(status: int, body: bytes, age: float | None, keep: bool) -> None:
    finding = interpret(Reply(status, body), RefreshContext(True, age, keep), parse)
    assert finding.store is None or readable(finding.store.data, parse)
    assert (finding.status is RefreshStatus.ERROR) <= (finding.reason is not None)


def test_a_parser_that_breaks_keeps_what_is_stored() -> None:
    def breaks(_: object) -> object:
        raise RecursionError("too deep")

    finding = interpret(Reply(200, b'{"flags":[]}'), FRESH, breaks)
    assert (finding.status, finding.reason, finding.store) == (RefreshStatus.ERROR, RefreshReason.INVALID_SHAPE, None)


@pytest.mark.parametrize(("data", "expected"), [(EMPTY, True), ("{}", False), ("<", False), ('{"flags":1}', False)])
def test_what_is_stored_is_readable_or_not(data: str, expected: bool) -> None:
    assert readable(data, parse) is expected


# What people are told


def test_a_warning_holds_the_first_500_characters_of_the_body() -> None:
    finding = found(500, b"\n head  of it " + b"x" * 10_000)
    assert finding.detail == "HTTP 500: head of it " + "x" * (500 - len("head of it "))


def test_neither_token_nor_key_is_shown_not_even_in_part() -> None:
    echo = ("y" * 490 + TOKEN + KEY).encode()
    for finding in (
        found(500, echo),
        found(500, f"{TOKEN} {KEY}".encode()),
        found(302, location=f"https://elsewhere.example/?token={TOKEN}"),
        found(200, f'{{"api_key": "{KEY}"}}'.encode()),
        found(200, f"<{TOKEN}>".encode()),
        no_reply(f"ConnectError: {TOKEN} {KEY}", FRESH),
    ):
        assert TOKEN[:8] not in finding.detail
        assert KEY[:8] not in finding.detail
        assert "[hidden]" in finding.detail


def test_nothing_to_hide_hides_nothing() -> None:
    finding = interpret(Reply(500, b"oops"), RefreshContext(False, None, hide=("", "")), parse)
    assert finding.detail == "HTTP 500: oops"


def test_a_redirect_says_where_to() -> None:
    assert "redirects to https://elsewhere.example" in found(302, location="https://elsewhere.example").detail


def test_no_answer_says_why() -> None:
    finding = no_reply("ConnectError: refused", NOTHING)
    assert (finding.status, finding.reason, finding.store) == (RefreshStatus.ERROR, RefreshReason.FETCH_FAILED, None)
    assert "ConnectError: refused" in finding.detail


# Trying again


@pytest.mark.parametrize(
    ("status", "again"), [(429, True), (500, True), (503, True), (599, True), (402, False), (304, False), (200, False)]
)
def test_what_is_worth_another_try(status: int, again: bool) -> None:
    assert worth_retrying(Reply(status)) is again


@pytest.mark.parametrize(
    ("override", "delays"),
    [
        (None, RETRY_DELAYS),
        ("", RETRY_DELAYS),
        ("soon", RETRY_DELAYS),
        ("-1", RETRY_DELAYS),
        ("nan", RETRY_DELAYS),
        ("inf", RETRY_DELAYS),
        ("0", (0.0, 0.0, 0.0)),
        ("250", (0.25, 0.25, 0.25)),
        (" 0.5 ", (0.0005, 0.0005, 0.0005)),
    ],
)
def test_the_delays(override: str | None, delays: tuple[float, ...]) -> None:
    assert retry_delays(override) == delays
    assert RETRY_DELAYS == (1.5, 3.0, 6.0)


# The key


def test_a_key_is_trimmed_and_never_shows() -> None:
    key = read_key(f"  {KEY}\n")
    assert key is not None
    assert key.reveal() == KEY
    assert key == Secret(KEY)
    assert key != KEY
    assert hash(key) == hash(Secret(KEY))
    for shown in (repr(key), str(key), f"{key}", f"{key!r}", "%s" % key, repr({"key": key}), repr([key])):  # noqa: UP031
        assert KEY not in shown
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(key)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_key_is_none(text: str | None) -> None:
    assert read_key(text) is None


@pytest.mark.parametrize("text", ["phc_public", "phs_a b", "phs_a\nb", "phs_\xe9", "phs_" + "x" * 300, "phs_\0"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_key(text)
    assert text not in str(caught.value)
    assert "POSTHOG_PERSONAL_API_KEY" in str(caught.value)


@pytest.mark.parametrize(("text", "words"), [("phx_mine", "personal"), ("legacy", "not a project's secret key")])
def test_other_keys_than_a_projects_work_but_draw_a_word(text: str, words: str) -> None:
    said = objection(Secret(text))
    assert said is not None
    assert words in said
    assert text not in said


def test_a_projects_secret_key_draws_none() -> None:
    assert objection(Secret(KEY)) is None


@pytest.mark.parametrize(
    "body", ['{"flags": [{"seed": "s3cr\\"et"', '{"seed":"s3cr\\"et', '{"holdout":{"seed" : "s3cr\\"et"}']
)
def test_a_warning_holds_no_seed(body: str) -> None:
    detail = found(200, body.encode()).detail
    assert "seed" in detail
    assert "s3cr" not in detail
