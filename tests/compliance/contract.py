"""Runs the tests of PostHog's harness, which are data (`shared/vectors/harness`), as the harness runs them.

An assertion without an index is about the first request or the first event; a request count is of all requests.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import UUID

import yaml

from tests.compliance.mock import Exchange, MockServer

FOLDER: Final = Path(__file__).parents[3] / "shared" / "vectors" / "harness"

SUITES: Final = ("capture_tests", "capture_analytics_v1_tests", "capture_ai_tests", "feature_flags_tests")
_CANONICAL: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


class Calls(Protocol):
    """Sends one adapter call, such as `/capture` with its JSON, and returns the adapter's JSON."""

    def __call__(self, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Case:
    """One numbered test of the contract."""

    number: int
    suite: str
    name: str
    needs: frozenset[str]
    steps: tuple[Mapping[str, Any], ...]


def cases(folder: Path = FOLDER) -> Iterator[Case]:
    """The tests for server SDKs, numbered from 1 through all suites as wire protocol 10.8 numbers them."""
    number = 0
    for suite in SUITES:
        document = yaml.safe_load((folder / f"{suite}.yaml").read_text(encoding="utf-8"))
        for category in document["categories"].values():
            for test in category["tests"]:
                number += 1
                if "server" not in test.get("sdk_types", ["server"]):
                    continue
                needs = frozenset(filter(None, (document.get("requires"), test.get("requires"))))
                yield Case(number, suite, test["name"], needs, tuple(test["steps"]))


class Run:
    """One test: its steps, against one adapter and one mock server. Raises AssertionError."""

    def __init__(self, adapter: Calls, mock: MockServer) -> None:
        self._adapter = adapter
        self._mock = mock
        self._result: dict[str, Any] = {}

    def steps(self, case: Case) -> None:
        for step in case.steps:
            action, arguments = step["action"], step.get("params") or {}
            method: Callable[..., None] | None = getattr(self, action, None)
            assert method is not None, f"the contract has an unknown action {action}"
            method(**arguments)

    @property
    def _requests(self) -> list[Exchange]:
        return self._mock.exchanges

    @property
    def _captures(self) -> list[Exchange]:
        return [one for one in self._requests if not one.is_flags]

    @property
    def _flags(self) -> list[Exchange]:
        return [one for one in self._requests if one.is_flags]

    @property
    def _events(self) -> list[dict[str, Any]]:
        return [event for one in self._captures for event in one.events]

    # Calls of the adapter

    def init(self, **arguments: Any) -> None:
        self._call("/init", {"api_key": "phc_test_key", **arguments, "host": self._mock.url})

    def capture(self, **arguments: Any) -> None:
        self._call("/capture", arguments)

    def capture_ai(self, **arguments: Any) -> None:
        self._call("/capture_ai", arguments)

    def capture_multiple(self, count: int, params: Mapping[str, Any]) -> None:
        for index in range(count):
            self._call("/capture", _filled(params, index))

    def get_feature_flag(self, **arguments: Any) -> None:
        self._call("/get_feature_flag", arguments)

    def flush(self) -> None:
        # Assertions on a result are about the call before the flush.
        assert self._adapter("/flush", {})["success"]

    def _call(self, path: str, arguments: Mapping[str, Any]) -> None:
        self._result = self._adapter(path, arguments)
        assert self._result["success"], self._result

    # The mock server and the clock

    def configure_mock_responses(self, responses: list[Mapping[str, Any]]) -> None:
        self._mock.script(responses)

    def wait(self, duration_ms: int) -> None:
        time.sleep(duration_ms / 1000)

    # Requests

    def assert_request_count(self, expected: int) -> None:
        assert len(self._requests) == expected

    def assert_request_count_gte(self, expected: int) -> None:
        assert len(self._requests) >= expected

    def assert_sdk_did_not_retry(self) -> None:
        assert len(self._captures) == 1

    def assert_request_path(self, expected: str) -> None:
        assert {one.path.rstrip("/") for one in self._requests} == {expected.rstrip("/")}

    def assert_no_requests_to_paths(self, paths: list[str]) -> None:
        assert not {one.path.rstrip("/") for one in self._requests} & {path.rstrip("/") for path in paths}

    def assert_final_success(self, success_statuses: tuple[int, ...] = (200,)) -> None:
        assert any(one.status in success_statuses for one in self._requests)

    def assert_retry_delay(self, min_delay_ms: int) -> None:
        assert 1000 * (self._requests[1].at - self._requests[0].at) >= min_delay_ms

    def assert_backoff_implemented(self, min_first_delay_ms: int) -> None:
        self.assert_retry_delay(min_first_delay_ms)

    # Headers

    def assert_request_has_header(self, header: str, expected: str | None = None) -> None:
        assert header.lower() in self._captures[0].headers
        assert expected is None or self._header(header) == expected

    def assert_header_absent(self, header: str) -> None:
        requests = self._flags if not self._captures else self._captures
        assert header.lower() not in requests[0].headers

    def assert_header_value_matches(self, header: str, pattern: str) -> None:
        assert re.search(pattern, self._header(header))

    def assert_header_is_uuid(self, header: str) -> None:
        UUID(self._header(header))

    def assert_header_is_rfc3339(self, header: str) -> None:
        _instant(self._header(header))

    def assert_header_is_integer(self, header: str, expected: int) -> None:
        assert int(self._header(header)) == expected

    def assert_authorization_bearer_token(self, expected: str | None = None) -> None:
        scheme, _, token = self._header("authorization").partition(" ")
        assert scheme == "Bearer"
        assert expected is None or token == expected

    def assert_attempt_header_increments(self) -> None:
        attempts = [int(one.headers["posthog-attempt"]) for one in self._captures]
        assert attempts == list(range(1, len(attempts) + 1))
        assert len(attempts) > 1

    def assert_request_id_preserved_on_retry(self) -> None:
        assert len(self._captures) > 1
        assert len({one.headers["posthog-request-id"] for one in self._captures}) == 1

    def assert_request_timestamp_changes_on_retry(self) -> None:
        first, second = (one.headers["posthog-request-timestamp"] for one in self._captures[:2])
        assert first != second

    def assert_different_request_ids(self) -> None:
        first, second = (one.headers["posthog-request-id"] for one in self._captures[:2])
        assert first != second

    def _header(self, name: str) -> str:
        return self._captures[0].headers[name.lower()]

    # Bodies

    def assert_token_present(self, expected: str) -> None:
        body = self._captures[0].body
        assert expected in (body.get("api_key"), body.get("token"))

    def assert_batch_format(self, has_api_key_field: bool = False, has_batch_array: bool = False) -> None:
        body = self._captures[0].body
        assert not has_api_key_field or "api_key" in body
        assert not has_batch_array or isinstance(body["batch"], list)

    def assert_v1_body_format(self) -> None:
        _instant(self._captures[0].body["created_at"])
        assert self._captures[0].events

    def assert_v1_created_at_recent(self, max_age_seconds: float = 5) -> None:
        age = datetime.now(UTC) - _instant(self._captures[0].body["created_at"])
        assert abs(age) <= timedelta(seconds=max_age_seconds)

    def assert_body_field(self, field: str, expected: Any) -> None:
        assert self._captures[0].body[field] == expected

    def assert_body_field_absent(self, fields: list[str]) -> None:
        assert not set(fields) & set(self._captures[0].body)

    def assert_compressed_body_decompressible(self) -> None:
        assert self._captures[0].readable
        assert self._captures[0].events

    def assert_events_in_batch_count(self, expected: int, request_index: int = 0) -> None:
        assert len(self._captures[request_index].events) == expected

    # Events

    def assert_event_has_field(self, field: str) -> None:
        assert field in self._events[0]

    def assert_event_field(self, field: str, expected: Any) -> None:
        assert self._events[0][field] == expected

    def assert_event_field_is_string(self, field: str) -> None:
        assert isinstance(self._events[0][field], str)

    def assert_event_field_is_rfc3339(self, field: str, expected: str | None = None) -> None:
        instant = _instant(self._events[0][field])
        assert expected is None or instant == datetime.fromisoformat(expected)

    def assert_event_field_not_in_properties(self, field: str) -> None:
        assert field in self._events[0]
        assert field not in self._events[0]["properties"]

    def assert_event_property(self, property: str, **wanted: Any) -> None:  # noqa: A002 - the contract's name
        _property(self._events[0], property, wanted)

    def assert_event_property_is_object(self, property: str) -> None:  # noqa: A002 - the contract's name
        assert isinstance(self._events[0]["properties"][property], dict)

    def assert_event_property_in_named_event(self, event_name: str, property: str, expected: Any) -> None:  # noqa: A002
        event = next(event for event in self._events if event["event"] == event_name)
        _property(event, property, {"expected": expected})

    def assert_event_count_with_name(self, name: str, expected: int) -> None:
        assert sum(event["event"] == name for event in self._events) == expected

    def assert_event_option(self, option: str, absent: bool = False, **wanted: Any) -> None:
        options = self._events[0]["options"]
        assert absent == (option not in options)
        assert absent or options[option] == wanted["expected"]

    def assert_v1_event_format(self) -> None:
        for event in self._events:
            assert {"event", "uuid", "distinct_id", "timestamp"} <= set(event)

    def assert_uuid_format(self, field: str) -> None:
        UUID(self._events[0][field])

    def assert_all_uuids_unique(self) -> None:
        uuids = [event["uuid"] for event in self._events]
        assert len(uuids) == len(set(uuids))

    assert_different_uuids = assert_all_uuids_unique

    def assert_no_duplicate_events_in_batch(self) -> None:
        for one in self._captures:
            uuids = [event["uuid"] for event in one.events]
            assert len(uuids) == len(set(uuids))

    def assert_uuid_preserved_on_retry(self) -> None:
        self._preserved("uuid")

    def assert_timestamp_preserved_on_retry(self) -> None:
        self._preserved("timestamp")

    def _preserved(self, field: str) -> None:
        assert len(self._captures) > 1
        first = {event["uuid"]: event[field] for event in self._captures[0].events}
        for one in self._captures[1:]:
            assert one.events
            for event in one.events:
                assert event[field] == first[event["uuid"]]

    def assert_partial_batch_retry_pruning(self) -> None:
        results = self._captures[0].response_body["results"]
        wanted = {uuid for uuid, one in results.items() if one["result"] == "retry"}
        assert {event["uuid"] for event in self._captures[1].events} == wanted

    # Responses of the mock server

    def assert_v1_response_status(self, expected: int) -> None:
        assert self._captures[0].status == expected

    def assert_v1_response_has_results_map(self) -> None:
        assert isinstance(self._captures[0].response_body["results"], dict)

    def assert_v1_response_results_count(self, expected: int) -> None:
        assert len(self._captures[0].response_body["results"]) == expected

    def assert_v1_all_events_result(self, expected_result: str) -> None:
        results = self._captures[0].response_body["results"].values()
        assert {one["result"] for one in results} == {expected_result}

    def assert_v1_retry_after_present(self) -> None:
        assert "Retry-After" in self._captures[0].response_headers

    def assert_v1_retry_after_absent(self) -> None:
        assert "Retry-After" not in self._captures[0].response_headers

    def assert_v1_response_echoes_request_id(self) -> None:
        one = self._captures[0]
        assert one.response_headers["PostHog-Request-Id"] == one.headers["posthog-request-id"]

    # Flags, and what an action returned

    def assert_flags_request_count(self, expected: int) -> None:
        assert len(self._flags) == expected

    def assert_flags_request_field(self, field: str, expected: Any) -> None:
        value = self._flags[0].body
        for name in field.split("."):
            value = value.get(name, value.get("api_key") if name == "token" else None)
        assert value == expected

    def assert_flags_request_query_param(self, param: str, expected: str) -> None:
        assert self._flags[0].query[param] == expected

    def assert_action_result(self, expected: Any, field: str | None = None) -> None:
        assert (self._result[field] if field else self._result) == expected

    def assert_action_result_uuid_matches_event(self) -> None:
        assert self._result["uuid"] == self._events[0]["uuid"]


def _property(event: Mapping[str, Any], name: str, wanted: Mapping[str, Any]) -> None:
    properties = event["properties"]
    if "exists" in wanted:
        assert (name in properties) == wanted["exists"]
    if "expected" in wanted:
        value = properties[name]
        assert (type(value), value) == (type(wanted["expected"]), wanted["expected"])


def _filled(value: Any, index: int) -> Any:
    if isinstance(value, str):
        return value.replace("{index}", str(index))
    if isinstance(value, Mapping):
        return {key: _filled(one, index) for key, one in value.items()}
    return value


def _instant(text: str) -> datetime:
    assert _CANONICAL.fullmatch(text), text
    return datetime.fromisoformat(text)
