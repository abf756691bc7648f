"""A PostHog by script, at the edge to HTTP: it has outages, dislikes some events, loses answers, and notes arrivals."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hogbox._wire.analytics import analytics_request
from hogbox._wire.analytics_verdict import judge_analytics
from hogbox._wire.batch import OutgoingBatch, batch_request
from hogbox._wire.compression import encoder
from hogbox._wire.verdict import Answer, judge, no_answer

PAGE = "<!doctype html><title>Not here</title>"

Told = tuple[int, str, float | None, str | None]

SILENCE = "silence"
ANSWERS: dict[str, Told] = {
    "taken": (200, '{"status":"Ok"}', None, None),
    "error": (500, "internal error", None, None),
    "overloaded": (503, "busy", 7.0, None),
    "page": (200, PAGE, None, "text/html"),
    "forbidden": (403, PAGE, None, None),
    "token": (401, "API key is not valid", None, None),
    "quota": (402, "quota used up", None, None),
    "rate": (429, "slow down", None, None),
    "rate later": (429, "slow down", 30.0, None),
    "refused": (400, "failed to parse request: bad event", None, None),
    "foreign": (400, PAGE, None, None),
    "large": (413, "request entity too large", None, None),
    "unknown": (404, "no such path", None, None),
}
TAGS = {
    "error": "internal_error",
    "overloaded": "service_unavailable",
    "token": "invalid_api_token",
    "quota": "billing_limit_exceeded",
    "rate": "rate_limited",
    "rate later": "rate_limited",
    "refused": "request_parsing_error",
}
"""What capture v1 says in place of a text."""


@dataclass
class Request:
    """What arrived, or was on its way when the answer got lost."""

    project: str
    lane: str
    events: list[dict[str, Any]]


@dataclass
class ScriptedPostHog:
    """Stands in for the transport. `meanwhile` runs while a request is under way; `arrive` is told of each arrival."""

    random: Random
    tick: Callable[[float], None]
    meanwhile: Callable[[], None]
    arrive: Callable[[str, str, dict[str, Any]], None]
    guilty: dict[str, str] = field(default_factory=dict)
    """The answer to every request that an event is in, by its uuid."""
    outages: dict[str, str] = field(default_factory=dict)
    """The answer to every request of a project."""
    trouble: float = 0.0
    """The share of requests that fail for no reason."""
    partial: float = 0.0
    """The share of events that capture v1 asks for again, with all later ones of the person."""
    knows_v1: bool = True
    largest: int = 1 << 30
    """Bytes of a body, at most."""
    late: list[Request] = field(default_factory=list)
    requests: int = 0

    def send_batch(self, batch: OutgoingBatch) -> Answer:
        """As the transport does it."""
        self.requests += 1
        request = _read(batch)
        self.meanwhile()
        by_event = batch.endpoint.states_results
        name = self._answer(request, sum(len(payload) for payload in batch.payloads), by_event=by_event)
        self.tick(self.random.choice((0.001, 0.05, 0.5)) + (2.0 if name == SILENCE else 0.0))
        if name == SILENCE:
            return no_answer("the connection was closed")
        status, body, retry_after, kind = ANSWERS[name]
        if not by_event:
            if name == "taken":
                self._take(request)
            return judge(status, body, retry_after, kind)
        if name == "taken":
            return judge_analytics(200, json.dumps({"results": self._results(request)}), self.random.choice((None, 1)))
        return judge_analytics(status, json.dumps({"error": TAGS[name]}) if name in TAGS else body, retry_after, kind)

    def _results(self, request: Request) -> dict[str, Any]:
        """The results of capture v1, which stores the events that are well."""
        results: dict[str, Any] = {}
        failed: set[str] = set()
        for event in request.events:
            person, uuid = event["distinct_id"], event["uuid"]
            if self.guilty.get(uuid) == "drop":
                results[uuid] = {"result": "drop", "details": "event_restriction_drop"}
            elif person in failed or self.random.random() < self.partial:
                failed.add(person)
                results[uuid] = {"result": "retry", "details": "not_persisted"}
            else:
                self.arrive(request.project, request.lane, event)
                if self.random.random() < 0.9:
                    results[uuid.upper()] = {"result": self.random.choice(("ok", "warning", "limited", "new"))}
        return results

    def take_late(self) -> None:
        """A request arrives that its sender has given up long since."""
        if self.late:
            self._take(self.late.pop(self.random.randrange(len(self.late))))

    def _answer(self, request: Request, size: int, *, by_event: bool) -> str:
        if by_event and not self.knows_v1:
            return "unknown"
        if request.project in self.outages:
            return self.outages[request.project]
        if size > self.largest and len(request.events) > 1:
            return "large"
        for event in request.events:
            if "event" not in event:
                return "refused"
            if (kind := self.guilty.get(event["uuid"], "drop")) != "drop":
                return kind
        if self.random.random() >= self.trouble:
            return "taken"
        fate = self.random.choice(("before", "after", "later", "overloaded", "page"))
        if fate == "after":
            self._take(request)
        elif fate == "later":
            self.late.append(request)
        return fate if fate in ANSWERS else SILENCE

    def _take(self, request: Request) -> None:
        for event in request.events:
            self.arrive(request.project, request.lane, event)


def _read(batch: OutgoingBatch) -> Request:
    """Of what goes over the wire."""
    sent: Any = {"sent_at": "2026-01-01T00:00:00Z", "user_agent": "test", "historical": batch.historical}
    if batch.identity is None:
        made = batch_request(batch.project, batch.payloads, **sent)
    else:
        made = analytics_request(batch.project, batch.payloads, batch.identity, encoder=encoder("auto"), **sent)
    body = zlib.decompress(made.body, 47) if "Content-Encoding" in made.headers else made.body
    read = json.loads(body)
    assert len(read["batch"]) == len(batch.payloads)
    uuids = [event.get("uuid") for event in read["batch"]]
    assert len(set(uuids)) == len(uuids), "one request holds no uuid twice"
    project = read.get("api_key") or made.headers["Authorization"].removeprefix("Bearer ")
    return Request(project, "historical" if read.get("historical_migration") else "analytics", read["batch"])
