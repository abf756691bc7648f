"""The checks of PostHog's harness on capture (wire protocol 10.1 and 10.2), in our words, against the emulator.

The harness waits and counts requests; here a flush ends when nothing more will be sent, which `Sdk.flush` finds out.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from hogbox.emulator import Emulator, ReceivedRequest
from tests.compliance.conftest import StartSdk, batches, body_of, numbers

PATHS = {"v0": "/batch", "v1": "/i/v1/analytics/events"}
PROTOCOLS = tuple(PATHS)
OFFSET = "2025-01-02T08:34:05+05:30"
UTC_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")

GENEROUS = timedelta(seconds=30)
"""How old `created_at` may be here; the harness allows 5 s, on a machine that does nothing else."""


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def recorded(emulator: Emulator) -> None:
    emulator.configure(keep_bodies=100_000)


def capture(sdk: Any, count: int = 1, **more: Any) -> list[str]:
    return [sdk.capture("test_user", "test_event", **more) for _ in range(count)]


def sent(emulator: Emulator) -> list[ReceivedRequest]:
    return emulator.requests(method="POST")


def fail(emulator: Emulator, *statuses: int, **more: Any) -> None:
    """The next requests fail, one with each status."""
    for status in statuses:
        emulator.fault(status=status, times=1, **more)


def only_event(emulator: Emulator) -> dict[str, Any]:
    (batch,) = batches(sent(emulator))
    (event,) = batch
    return event


@numbers(1, 3, 5, 10, 28, 34, 35, 46, 47, 48, 50, 51, 56)
def test_one_event_is_one_request_with_its_fields_at_the_root(
    start: StartSdk, emulator: Emulator, protocol: Any
) -> None:
    sdk = start(protocol, flush_at=1)
    (uuid,) = capture(sdk)
    sdk.flush()
    event = only_event(emulator)
    assert sent(emulator)[0].path.rstrip("/") == PATHS[protocol]
    assert (event["event"], event["distinct_id"]) == ("test_event", "test_user")
    assert "distinct_id" not in event["properties"]
    assert UUID(event["uuid"]) == UUID(uuid)
    assert UTC_TEXT.fullmatch(event["timestamp"])


@numbers(4)
def test_v0_names_the_library_in_the_properties(start: StartSdk, emulator: Emulator) -> None:
    sdk = start("v0")
    capture(sdk)
    sdk.flush()
    assert only_event(emulator)["properties"]["$lib"] == "hogbox"


@numbers(7, 36, 44, 45)
def test_the_token_is_where_the_protocol_wants_it_and_nowhere_else(
    start: StartSdk, emulator: Emulator, protocol: Any
) -> None:
    sdk = start(protocol, api_key="phc_other")
    capture(sdk)
    sdk.flush()
    (request,) = sent(emulator)
    if protocol == "v0":
        assert body_of(request)["api_key"] == "phc_other"
    else:
        assert request.headers["authorization"] == "Bearer phc_other"
        assert not {"api_key", "token", "sent_at"} & set(body_of(request))


@numbers(9, 52, 53, 54, 55)
def test_properties_keep_their_values_and_types(start: StartSdk, emulator: Emulator, protocol: Any) -> None:
    given = {
        "text": "hello",
        "number": 42,
        "flag": True,
        "$set": {"a": 1},
        "$set_once": {"b": 2},
        "$groups": {"c": "d"},
    }
    sdk = start(protocol)
    capture(sdk, properties=given)
    sdk.flush()
    properties = only_event(emulator)["properties"]
    assert {name: properties[name] for name in given} == given
    assert properties["flag"] is True


@numbers(11, 49)
def test_a_timestamp_with_an_offset_is_sent_in_utc_and_a_property_is_left_alone(
    start: StartSdk, emulator: Emulator, protocol: Any
) -> None:
    sdk = start(protocol)
    capture(sdk, timestamp=OFFSET, properties={"when": OFFSET})
    sdk.flush()
    event = only_event(emulator)
    assert UTC_TEXT.fullmatch(event["timestamp"])
    assert datetime.fromisoformat(event["timestamp"]) == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert event["properties"]["when"] == OFFSET


@numbers(37, 38, 39, 40, 41, 42, 43, 71, 78)
def test_v1_has_its_headers_and_a_recent_batch(start: StartSdk, emulator: Emulator) -> None:
    sdk = start("v1", flush_at=1)
    capture(sdk)
    sdk.flush()
    (request,) = sent(emulator)
    headers, body = request.headers, body_of(request)
    assert headers["content-type"].startswith("application/json")
    assert re.fullmatch(r".+/.+", headers["posthog-sdk-info"])
    assert headers["user-agent"]
    assert headers["posthog-attempt"] == "1"
    assert UUID(headers["posthog-request-id"]).version
    assert UTC_TEXT.fullmatch(headers["posthog-request-timestamp"])
    assert UTC_TEXT.fullmatch(body["created_at"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(body["created_at"])) < GENEROUS


@numbers(*range(57, 69), 30, 59, 60, 61)
def test_several_events_are_one_request_and_each_is_complete(
    start: StartSdk, emulator: Emulator, protocol: Any
) -> None:
    given = {
        "text": "hello",
        "number": 42,
        "flag": True,
        "$set": {"a": 1},
        "$set_once": {"b": 2},
        "$groups": {"c": "d"},
    }
    sdk = start(protocol, flush_at=100)
    capture(sdk, 5, properties=given)
    sdk.flush()
    (batch,) = batches(sent(emulator))
    assert len({UUID(event["uuid"]) for event in batch}) == 5
    for event in batch:
        assert isinstance(event["distinct_id"], str)
        assert "distinct_id" not in event["properties"]
        assert UTC_TEXT.fullmatch(event["timestamp"])
        assert {name: event["properties"][name] for name in given} == given


@numbers(29, 69)
def test_a_flush_without_events_sends_nothing(start: StartSdk, emulator: Emulator, protocol: Any) -> None:
    start(protocol).flush()
    assert not sent(emulator)


@numbers(70)
def test_as_many_events_as_flush_at_are_sent_without_a_flush(start: StartSdk, emulator: Emulator) -> None:
    sdk = start("v1", flush_at=3)
    capture(sdk, 3)
    assert len(emulator.wait_for_events(3)) == 3


@numbers(21, 25, 26, 72, 73, 77)
def test_every_event_has_its_own_uuid_even_if_its_content_is_the_same(
    start: StartSdk, emulator: Emulator, protocol: Any
) -> None:
    sdk = start(protocol)
    capture(sdk, 5)
    sdk.flush()
    uuids = [event["uuid"] for batch in batches(sent(emulator)) for event in batch]
    assert len(uuids) == len(set(uuids)) == 5


@numbers(12, 16, 17, 18, 19, 33, 89, 90, 91, 92, 101)
@pytest.mark.parametrize("statuses", [(408,), (500,), (502,), (503, 503), (504,)], ids=str)
def test_a_failing_server_is_asked_again_until_it_succeeds(
    start: StartSdk, emulator: Emulator, protocol: Any, statuses: tuple[int, ...]
) -> None:
    fail(emulator, *statuses)
    sdk = start(protocol, flush_at=1)
    capture(sdk)
    sdk.flush()
    requests = sent(emulator)
    assert [request.status for request in requests] == [*statuses, 200]
    assert all(later.arrived_at - earlier.arrived_at >= 0.09 for earlier, later in pairwise(requests))


@numbers(15, 93, 94)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(start: StartSdk, emulator: Emulator, protocol: Any, status: int) -> None:
    fail(emulator, status, headers={"Retry-After": "2"})
    sdk = start(protocol, flush_at=1)
    capture(sdk)
    sdk.flush()
    first, second = sent(emulator)
    assert second.arrived_at - first.arrived_at >= 1.9


@numbers(20, 102)
def test_after_as_many_retries_as_allowed_nothing_more_is_sent_and_nothing_is_lost(
    start: StartSdk, emulator: Emulator, protocol: Any
) -> None:
    emulator.fault(status=503, headers={"Retry-After": "0"})
    sdk = start(protocol, flush_at=1, max_retries=1)
    capture(sdk)
    sdk.flush()
    assert len(sent(emulator)) == 2
    assert sdk.pending == 1


@numbers(13, 14, 31, 32, 95, 96, 97, 98, 122)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 413])
def test_a_refusal_is_not_repeated(start: StartSdk, emulator: Emulator, protocol: Any, status: int) -> None:
    """PostHog's own refusal of an event makes it a dead letter; one of the token, the quota or the host is a hold."""
    emulator.fault(status=status)
    sdk = start(protocol, flush_at=1)
    capture(sdk)
    sdk.flush()
    assert len(sent(emulator)) == 1
    assert sdk.pending == (1 if status in (401, 402, 403) else 0)


@numbers(22, 23, 24, 74, 75, 76)
def test_uuids_and_timestamps_are_the_same_in_every_attempt(start: StartSdk, emulator: Emulator, protocol: Any) -> None:
    fail(emulator, 503, 503)
    sdk = start(protocol)
    capture(sdk, 3)
    sdk.flush()
    facts = [[(event["uuid"], event["timestamp"]) for event in batch] for batch in batches(sent(emulator))]
    assert len(facts) == 3
    assert facts[0] == facts[1] == facts[2]
    assert len(set(facts[0])) == 3


@numbers(79, 80, 82)
def test_v1_counts_its_attempts_under_one_request_id(start: StartSdk, emulator: Emulator) -> None:
    fail(emulator, 503, 503)
    sdk = start("v1", flush_at=1)
    capture(sdk)
    sdk.flush()
    headers = [request.headers for request in sent(emulator)]
    assert [one["posthog-attempt"] for one in headers] == ["1", "2", "3"]
    assert len({one["posthog-request-id"] for one in headers}) == 1
    assert len({one["posthog-request-timestamp"] for one in headers}) == 3


@numbers(81)
def test_v1_gives_another_batch_another_request_id(start: StartSdk, emulator: Emulator) -> None:
    sdk = start("v1")
    for _ in range(2):
        capture(sdk)
        sdk.flush()
    first, second = (request.headers["posthog-request-id"] for request in sent(emulator))
    assert first != second


@numbers(103, 104, 105, 106, 114, 115)
@pytest.mark.parametrize(
    "words", [("ok", "ok"), ("drop", "drop"), ("ok", "limited"), ("new",), ("ok", "drop", "warning")]
)
def test_results_other_than_retry_are_final(start: StartSdk, emulator: Emulator, words: tuple[str, ...]) -> None:
    sdk = start("v1")
    for index, word in enumerate(words):
        emulator.result(result=word, distinct_id=f"user {index}")
        sdk.capture(f"user {index}", "test_event")
    sdk.flush()
    assert len(sent(emulator)) == 1
    assert sdk.pending == 0
    assert sdk.dead == words.count("drop")


@numbers(107, 108, 109, 110, 111, 112)
def test_only_events_to_retry_are_sent_again_under_the_same_request_id(start: StartSdk, emulator: Emulator) -> None:
    sdk = start("v1")
    for word in ("ok", "drop", "retry"):
        emulator.result(result=word, distinct_id=word, times=1)
    uuids = {word: sdk.capture(word, "test_event") for word in ("ok", "drop", "retry")}
    sdk.flush()
    first, second = sent(emulator)
    assert [event["uuid"] for event in body_of(second)["batch"]] == [uuids["retry"]]
    assert [request.headers["posthog-attempt"] for request in (first, second)] == ["1", "2"]
    assert first.headers["posthog-request-id"] == second.headers["posthog-request-id"]
    assert body_of(first)["created_at"] == body_of(second)["created_at"]


@numbers(113)
def test_retry_after_is_obeyed_after_a_partial_result(start: StartSdk, emulator: Emulator) -> None:
    sdk = start("v1")
    uuid = capture(sdk)[0]
    results = {"results": {uuid: {"result": "retry", "details": "not_persisted"}}}
    fail(emulator, 200, headers={"Retry-After": "2"}, body=results)
    sdk.flush()
    first, second = sent(emulator)
    assert second.arrived_at - first.arrived_at >= 1.9


@numbers(27, 116, 117, 118, 119, 121)
@pytest.mark.parametrize(
    ("protocol", "encoding"), [("v0", "gzip"), ("v1", "gzip"), ("v1", "deflate"), ("v1", "br"), ("v1", "zstd")]
)
def test_a_compressed_body_is_named_and_readable(
    start: StartSdk, emulator: Emulator, protocol: str, encoding: str
) -> None:
    sdk = start(protocol, compression=encoding, enable_compression=True, flush_at=1)
    capture(sdk)
    sdk.flush()
    assert sent(emulator)[0].headers["content-encoding"] == encoding
    assert len(emulator.events()) == 1


@numbers(120)
def test_without_compression_there_is_no_content_encoding(start: StartSdk, emulator: Emulator, protocol: Any) -> None:
    sdk = start(protocol, flush_at=1)
    capture(sdk)
    sdk.flush()
    assert "content-encoding" not in sent(emulator)[0].headers


@numbers(123, 124, 125, 126, 128)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("cookieless_mode", True),
        ("disable_skew_correction", True),
        ("process_person_profile", False),
        ("product_tour_id", "tour_123"),
    ],
)
def test_an_option_is_sent_with_each_event(start: StartSdk, emulator: Emulator, option: str, value: Any) -> None:
    sdk = start("v1")
    capture(sdk, 3, options={option: value})
    sdk.flush()
    (batch,) = batches(sent(emulator))
    assert [event["options"][option] for event in batch] == [value] * 3
    assert all(not name.startswith("$process") and name != "$cookieless_mode" for name in batch[0]["properties"])


@numbers(127)
def test_options_that_are_not_set_are_left_out(start: StartSdk, emulator: Emulator) -> None:
    sdk = start("v1")
    capture(sdk)
    sdk.flush()
    options = {"cookieless_mode", "disable_skew_correction", "process_person_profile", "product_tour_id"}
    assert not options & set(only_event(emulator)["options"])


@numbers(129)
@pytest.mark.parametrize("disabled", [True, False])
def test_geolocation_is_switched_off_where_asked(
    start: StartSdk, emulator: Emulator, protocol: Any, disabled: bool
) -> None:
    sdk = start(protocol, disable_geoip=disabled)
    capture(sdk)
    sdk.flush()
    assert only_event(emulator)["properties"].get("$geoip_disable") == (True if disabled else None)


@numbers(130, 131)
@pytest.mark.parametrize("historical", [True, False])
def test_a_backfill_is_marked_and_nothing_else_is(start: StartSdk, emulator: Emulator, historical: bool) -> None:
    sdk = start("v1", historical_migration=historical)
    capture(sdk)
    sdk.flush()
    body = body_of(sent(emulator)[0])
    assert body.get("historical_migration") == (True if historical else None)


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_other_ways_to_deliver_send_the_same(start: StartSdk, emulator: Emulator, protocol: Any, mode: Any) -> None:
    fail(emulator, 503)
    sdk = start(protocol, mode)
    uuids = capture(sdk, 3)
    sdk.flush()
    assert [[event["uuid"] for event in batch] for batch in batches(sent(emulator))] == [uuids, uuids]
