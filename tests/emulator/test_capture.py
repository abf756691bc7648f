"""Every rule of v0 capture (wire protocol 2.1, 3.2, 3.3, 3.7, 3.8), as a table over the pure function."""

from __future__ import annotations

import base64
import gzip
import json
from random import Random
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox.emulator.answer import Outcome, Request
from hogbox.emulator.capture import capture, make_uuid, read_distinct_id, token_fault
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.timestamp import EPOCH

UUID_TEXT = "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11"
NOW = 1_772_619_331.0  # 2026-03-04T10:15:31Z


def ask(
    body: Any = b"",
    *,
    path: str = "/batch/",
    query: str = "",
    method: str = "POST",
    headers: dict[str, str] | None = None,
    settings: Settings | None = None,
    limits: Limits | None = None,
) -> Outcome:
    request = Request(
        sequence=7,
        method=method,
        path=path,
        query=query,
        headers=headers or {},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        arrived_at=NOW,
        now=NOW,
    )
    return capture(request, settings or Settings(), limits or Limits(), Random(1))


def event(**fields: Any) -> dict[str, Any]:
    whole = {"event": "paid", "distinct_id": "u1", "properties": {}, **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def batch(*events: Any, **fields: Any) -> dict[str, Any]:
    whole = {"api_key": "phc_t", "batch": list(events), **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def bare(**fields: Any) -> dict[str, Any]:
    return event(**{"api_key": "phc_t", **fields})


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


PARSE = "failed to parse request: "
DECODE = "failed to decode request: "

REFUSED = {
    "no body": (b"", 400, "request missing data payload"),
    "empty batch": (batch(), 400, "request holds no event"),
    "empty array": ([], 400, "request holds no event"),
    "no JSON": (b"{", 400, PARSE),
    "JSON that is no form": (b"5", 400, PARSE),
    "null": (b" null", 400, PARSE),
    "NaN": (
        b'{"api_key":"phc_t","batch":[{"event":"e","distinct_id":"d","properties":{"x":NaN}}]}',
        400,
        PARSE,
    ),
    "number out of range": (
        b'{"api_key":"phc_t","batch":[{"event":"e","distinct_id":1e999}]}',
        400,
        PARSE,
    ),
    "trailing characters": (b"[] x", 400, PARSE),
    "a byte order mark": (b"\xef\xbb\xbf[]", 400, PARSE),
    "half a surrogate": (b'[{"event":"\\ud800","distinct_id":"d","token":"t"}]', 400, PARSE),
    "not UTF-8": (b"\xff\xfe", 400, DECODE + "invalid UTF8 in request payload"),
    "batch is no array": (batch(batch="x"), 400, PARSE),
    "event is no object": (batch(5), 400, PARSE),
    "missing event name": (batch(event(event=...)), 400, PARSE),
    "event name is no string": (batch(event(event=5)), 400, PARSE),
    "malformed uuid": (batch(event(uuid="nope")), 400, PARSE),
    "uuid with hyphens astray": (batch(event(uuid="01990f6a3c4e-7b51-9a55-0d2a-6f0b7c11")), 400, PARSE),
    "uuid is no string": (batch(event(uuid=5)), 400, PARSE),
    "timestamp is no string": (batch(event(timestamp=1772619331)), 400, PARSE),
    "offset is no integer": (batch(event(offset=1.5)), 400, PARSE),
    "properties are no object": (batch(event(properties=[])), 400, PARSE),
    "properties are null": (batch(event(properties=None)), 400, PARSE),
    "$set is no object": (batch(event(**{"$set": 1})), 400, PARSE),
    "sent_at is no string": (batch(event(), sent_at=5), 400, PARSE),
    "historical_migration is no boolean": (batch(event(), historical_migration="yes"), 400, PARSE),
    "two spellings of distinct_id": (batch(event(**{"$distinct_id": "u2"})), 400, PARSE),
    "two spellings of the key": (batch(event(), token="phc_t"), 400, PARSE),
    "envelope without a key": (batch(event(), api_key=...), 400, PARSE),
    "128 levels": (batch(event(properties={"x": nested(124)})), 400, PARSE + "recursion limit exceeded"),
    "128 levels in an unknown field": (batch(event(other=nested(125))), 400, PARSE),
    "a million levels": (b"[" * 1_000_000, 400, PARSE),
    "empty event name": (batch(event(event="")), 400, "event submitted with an empty event name"),
    "no distinct id": (batch(event(distinct_id=...)), 400, "event submitted without a distinct_id"),
    "null distinct id": (batch(event(distinct_id=None)), 400, "event submitted without a distinct_id"),
    "empty distinct id": (batch(event(distinct_id="")), 400, "event submitted without a distinct_id"),
    "blank distinct id": (batch(event(distinct_id="  ")), 400, "event submitted without a distinct_id"),
    "empty root, property set": (
        batch(event(distinct_id="", properties={"distinct_id": "p"})),
        400,
        "event submitted without a distinct_id",
    ),
    "cookieless mode": (
        batch(event(properties={"$cookieless_mode": "true"})),
        400,
        "event submitted with invalid cookieless mode",
    ),
    "null cookieless mode": (
        batch(event(properties={"$cookieless_mode": None})),
        400,
        "event submitted with invalid cookieless mode",
    ),
    "no key": (event(), 401, "event submitted without an api_key"),
    "no key in an array": ([event(), event()], 401, "event submitted without an api_key"),
    "different keys": (
        [bare(), bare(api_key="phc_other")],
        401,
        "batch submitted with inconsistent api_key values",
    ),
    "empty key": (batch(event(), api_key=" "), 401, "API key is not valid: empty"),
    "long key": (batch(event(), api_key="k" * 65), 401, "API key is not valid: too_long"),
    "key not ASCII": (batch(event(), api_key="clé"), 401, "API key is not valid: not_ascii"),
    "personal key": (batch(event(), api_key="phx_1"), 401, "API key is not valid: personal_api_key"),
    "key with NUL": (batch(event(), api_key="a\0b"), 401, "API key is not valid: null_byte"),
    "first bad event decides": (
        batch(event(), event(event=""), event(distinct_id=...)),
        400,
        "event submitted with an empty event name",
    ),
    "parsing comes before the key": (batch(event(uuid="x"), api_key="phx_1"), 400, PARSE),
    "the key comes before the events": (
        batch(event(event=""), api_key="phx_1"),
        401,
        "API key is not valid: ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_request_says_why_and_stores_nothing(name: str) -> None:
    body, status, text = REFUSED[name]
    outcome = ask(body)
    assert (outcome.answer.status, outcome.events) == (status, ())
    assert outcome.answer.body.decode().startswith(text)
    assert outcome.answer.content_type == "text/plain; charset=utf-8"


ACCEPTED = {
    "batch": batch(event()),
    "batch with token": batch(event(), api_key=..., token="phc_t"),
    "the envelope's key wins": batch(event(api_key="phx_other")),
    "key with blanks around": batch(event(), api_key=" phc_t "),
    "one bare event": bare(),
    "bare event with token": bare(api_key=..., token="phc_t"),
    "bare event with $token": bare(api_key=..., **{"$token": "phc_t"}),
    "bare event with its key among the properties": event(properties={"token": "phc_t"}),
    "array": [bare()],
    "array in which one event has the key": [bare(), event()],
    "null timestamp and uuid": batch(event(timestamp=None, uuid=None)),
    "empty uuid": batch(event(uuid="")),
    "no properties": batch(event(properties=...)),
    "unknown root fields": batch(event(type="capture", library="old")),
    "127 levels": batch(event(properties={"x": nested(123)})),
    "brackets in strings": batch(event(properties={"x": '[{"' * 200})),
    "many events": batch(*[event(properties={"x": nested(3)}) for _ in range(100)]),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_request_stores_its_events(name: str) -> None:
    outcome = ask(ACCEPTED[name])
    assert (outcome.answer.status, outcome.answer.body) == (200, b'{"status":"Ok"}')
    assert outcome.answer.content_type == "application/json"
    assert outcome.token == "phc_t"
    assert {(stored.token, stored.distinct_id, stored.event) for stored in outcome.events} == {("phc_t", "u1", "paid")}


def test_a_stored_event_holds_what_was_sent() -> None:
    sent = event(
        uuid=UUID_TEXT.upper(),
        timestamp="2026-03-04T10:15:30.250000+00:00",
        properties={"a": [1, None, "ü"]},
        **{"$set": {"b": 1}, "$set_once": {"c": 2}},
    )
    outcome = ask(batch(sent, historical_migration=True, sent_at="2026-03-04T10:15:32+00:00"))
    [stored] = outcome.events
    assert (stored.request, stored.path, stored.uuid) == (7, "/batch/", UUID_TEXT)
    assert stored.timestamp == "2026-03-04T10:15:30.250000+00:00"
    assert stored.time == "2026-03-04T10:15:29.250000+00:00"
    assert (stored.properties, stored.set, stored.set_once) == ({"a": [1, None, "ü"]}, {"b": 1}, {"c": 2})
    assert (stored.historical_migration, stored.sent_at) == (True, "2026-03-04T10:15:32+00:00")


@pytest.mark.parametrize(
    ("given_id", "stored"),
    [
        ("u1", "u1"),
        (" u1 ", " u1 "),
        (23, "23"),
        (23.5, "23.5"),
        (0, "0"),
        (False, "false"),
        (["a", "b"], '["a","b"]'),
        ({"string": "a", "number": 3}, '{"number":3,"string":"a"}'),
        ("a\0b", "a\ufffdb"),
        ("é" * 201, "é" * 200),
        ("x" * 200, "x" * 200),
    ],
)
def test_a_distinct_id_becomes_text_of_at_most_200_characters(given_id: Any, stored: str) -> None:
    assert ask(batch(event(distinct_id=given_id))).events[0].distinct_id == stored


def test_a_distinct_id_comes_from_the_root_first() -> None:
    fallback = {"distinct_id": "property"}
    for fields, expected in (
        ({"distinct_id": "root", "properties": fallback}, "root"),
        ({"distinct_id": ..., "properties": fallback}, "property"),
        ({"distinct_id": None, "properties": fallback}, "property"),
        ({"distinct_id": ..., "$distinct_id": "alias"}, "alias"),
    ):
        assert ask(batch(event(**fields))).events[0].distinct_id == expected


@pytest.mark.parametrize("text", [UUID_TEXT, UUID_TEXT.replace("-", ""), f"{{{UUID_TEXT}}}", f"urn:uuid:{UUID_TEXT}"])
def test_every_spelling_of_a_uuid_is_the_same_uuid(text: str) -> None:
    assert ask(batch(event(uuid=text))).events[0].uuid == UUID_TEXT


def test_an_event_without_a_uuid_gets_one_of_its_time() -> None:
    [stored] = ask(batch(event(timestamp="2026-03-04T10:15:30Z"))).events
    made = UUID(stored.uuid)
    assert (made.version, made.int >> 80) == (7, 1_772_619_330_000)
    assert UUID(make_uuid(EPOCH.replace(year=1960), Random(1))).int >> 80 == 0


@pytest.mark.parametrize(
    ("quota", "name", "properties", "stored"),
    [
        (("events",), "paid", {}, False),
        (("exceptions",), "$exception", {}, False),
        (("exceptions",), "paid", {}, True),
        (("surveys",), "survey sent", {}, False),
        (("surveys",), "survey shown", {"$product_tour_id": "t"}, True),
        (("llm_events",), "$ai_generation", {}, False),
        (("llm_events",), "$exception", {}, True),
        ((), "$exception", {}, True),
    ],
)
def test_over_quota_events_vanish_behind_a_200(
    quota: tuple[Any, ...], name: str, properties: dict[str, Any], stored: bool
) -> None:
    outcome = ask(batch(event(event=name, properties=properties)), settings=Settings(quota=quota))
    assert (outcome.answer.status, bool(outcome.events)) == (200, stored)


def test_performance_events_are_discarded_behind_a_200() -> None:
    assert ask(batch(event(event="$performance_event"))).answer.status == 200
    assert ask(batch(event(event="$performance_event"))).events == ()
    assert len(ask(batch(event(event="$performance_event"), event())).events) == 1


def test_unknown_keys_are_refused_only_where_keys_are_known() -> None:
    assert ask(batch(event()), settings=Settings(known_tokens=("phc_t",))).answer.status == 200
    assert ask(batch(event()), settings=Settings(known_tokens=("phc_other",))).answer.status == 401


def test_methods_and_beacons() -> None:
    assert ask(method="OPTIONS").answer.body == b'{"status":"Ok"}'
    assert ask(method="DELETE").answer.status == 405
    outcome = ask(batch(event()), query="beacon=1&ver=2")
    assert (outcome.answer.status, outcome.answer.body, len(outcome.events)) == (204, b"", 1)
    assert ask(b"", query="beacon=1").answer.status == 400


ZIPPED = gzip.compress(json.dumps(batch(event())).encode(), mtime=0)
PLAIN = json.dumps(batch(event())).encode()
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("body", "query", "headers"),
    [
        (ZIPPED, "", {"content-encoding": "gzip"}),
        (ZIPPED, "compression=gzip", {}),
        (ZIPPED, "compression=GZIP-js", {}),
        (ZIPPED, "", {}),
        (ZIPPED, "", {"content-encoding": "br"}),
        (PLAIN, "compression=foobar", {}),
        (PLAIN, "", {"content-encoding": "identity"}),
        (base64.b64encode(PLAIN), "compression=base64", {}),
        (base64.b64encode(ZIPPED), "", {}),
        (b"", f"data={quote(PLAIN)}", {}),
        (b"", f"data={quote(base64.b64encode(PLAIN))}", {}),
        (urlencode({"data": PLAIN}).encode(), "", FORM),
        (urlencode({"data": base64.b64encode(PLAIN)}).encode(), "", FORM),
        (b"data=" + base64.b64encode(PLAIN), "", FORM),
    ],
)
def test_payloads_are_unwrapped(body: bytes, query: str, headers: dict[str, str]) -> None:
    outcome = ask(body, path="/e/", query=query, headers=headers)
    assert (outcome.answer.status, len(outcome.events)) == (200, 1)


@pytest.mark.parametrize(
    ("body", "query", "headers", "text"),
    [
        (b"no gzip", "", {"content-encoding": "gzip"}, DECODE + "invalid GZIP data"),
        (ZIPPED[:-9], "", {}, DECODE + "invalid GZIP data"),
        (b"\x1f\x8b\x08\xff\xff", "", {}, DECODE + "invalid GZIP data"),
        (gzip.compress(b"\xff", mtime=0), "", {}, DECODE + "invalid gzip data"),
        (b"\x78\x9c\xff", "", {"content-encoding": "deflate"}, DECODE + "invalid UTF8 in request payload"),
        (b"N4Ig", "compression=lz64", {}, DECODE),
        (b"[]", "", FORM, DECODE + "expected form data in POST request payload"),
        (b"data=\xff", "", FORM, DECODE + "invalid urlencoded form data"),
    ],
)
def test_payloads_that_cannot_be_unwrapped(body: bytes, query: str, headers: dict[str, str], text: str) -> None:
    outcome = ask(body, query=query, headers=headers)
    assert outcome.answer.status == 400
    assert outcome.answer.body.decode().startswith(text)


def test_a_gzip_bomb_is_refused_and_not_inflated() -> None:
    bomb = gzip.compress(b" " * 2_000_001)
    limits = Limits(decompressed=2_000_000)
    assert ask(bomb, limits=limits).answer.status == 413
    assert ask(bomb, limits=Limits(decompressed=2_000_001)).answer.status == 400


def test_the_wire_limit_holds_for_query_data_too() -> None:
    assert ask(query=f"data={quote(PLAIN)}", limits=Limits(wire=10)).answer.status == 413


@pytest.mark.parametrize("body", [b"A===", gzip.compress(b"A===")], ids=["plain", "zipped"])
def test_what_only_looks_like_base64_is_left_as_it_is(body: bytes) -> None:
    assert ask(body, path="/e").answer.body.startswith(PARSE.encode())


def test_base64_in_gzip_is_unwrapped_on_the_older_paths_only() -> None:
    body = gzip.compress(base64.b64encode(PLAIN))
    assert ask(body, path="/capture").answer.status == 200
    assert ask(body, path="/batch").answer.status == 400
    assert ask(gzip.compress(b"////"), path="/e").answer.status == 400  # unwraps to no text


def test_a_nameless_bare_event_is_an_identify_for_engage_only() -> None:
    assert ask(bare(event=...), path="/engage/").events[0].event == "$identify"
    assert ask(bare(event=...), path="/e/").answer.status == 400
    assert ask(batch(event(event=...)), path="/engage/").answer.status == 400


def test_a_message_too_large_keeps_the_events_before_it() -> None:
    large = event(distinct_id="u2", properties={"x": "y" * 1_000_000})
    outcome = ask(batch(event(), large, event()))
    assert outcome.answer.status == 413
    assert outcome.answer.body.startswith(b"maximum event size exceeded: ")
    assert [stored.distinct_id for stored in outcome.events] == ["u1"]


@pytest.mark.parametrize(("text", "status"), [("y" * 980_000, 200), ('"' * 400_000, 413), ('"' * 240_000, 200)])
def test_the_message_holds_the_event_as_an_escaped_string(text: str, status: int) -> None:
    assert ask(batch(event(properties={"x": text}))).answer.status == status


@given(st.text())
def test_whatever_text_is_a_distinct_id_or_refused(text: str) -> None:
    outcome = ask(batch(event(distinct_id=text)))
    if text.strip():
        assert outcome.events[0].distinct_id == read_distinct_id(text)
        assert 0 < len(outcome.events[0].distinct_id) <= 200
    else:
        assert outcome.answer.status == 400


@given(st.text())
def test_a_key_in_good_shape_is_short_ascii(token: str) -> None:
    if token_fault(token) is None:
        assert 0 < len(token) <= 64
        assert token.isascii()


@given(st.binary())
def test_no_body_makes_capture_fail(body: bytes) -> None:
    assert ask(body, path="/e").answer.status in (200, 400, 401)


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), st.lists, max_leaves=5))
def test_no_json_makes_capture_fail(value: Any) -> None:
    for name in event():
        assert ask(batch(event(**{name: value}))).answer.status in (200, 400)
