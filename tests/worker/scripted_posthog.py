"""A PostHog by script, at the edge to HTTP: it has outages, dislikes some events, loses answers, and notes arrivals."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hogbox._wire.batch import batch_request
from hogbox._wire.verdict import Answer, judge, no_answer

PAGE = "<!doctype html><title>Not here</title>"

ANSWERS: dict[str, Answer] = {
    "taken": judge(200, '{"status":"Ok"}'),
    "error": judge(500, "internal error"),
    "overloaded": judge(503, "busy", 7.0),
    "silence": no_answer("the connection was closed"),
    "page": judge(200, PAGE, None, "text/html"),
    "forbidden": judge(403, PAGE),
    "token": judge(401, "API key is not valid"),
    "quota": judge(402, "quota used up"),
    "rate": judge(429, "slow down"),
    "rate later": judge(429, "slow down", 30.0),
    "refused": judge(400, "failed to parse request: bad event"),
    "foreign": judge(400, PAGE),
    "large": judge(413, "request entity too large"),
}


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
    largest: int = 1 << 30
    """Bytes of a body, at most."""
    late: list[Request] = field(default_factory=list)
    requests: int = 0

    def send_batch(self, token: str, payloads: list[str], *, historical: bool = False) -> Answer:
        """As the transport does it."""
        self.requests += 1
        request = _read(token, payloads, historical=historical)
        self.meanwhile()
        name = self._answer(request, sum(len(payload) for payload in payloads))
        self.tick(self.random.choice((0.001, 0.05, 0.5)) + (2.0 if name == "silence" else 0.0))
        if name == "taken":
            self._take(request)
        return ANSWERS[name]

    def take_late(self) -> None:
        """A request arrives that its sender has given up long since."""
        if self.late:
            self._take(self.late.pop(self.random.randrange(len(self.late))))

    def _answer(self, request: Request, size: int) -> str:
        if request.project in self.outages:
            return self.outages[request.project]
        if size > self.largest and len(request.events) > 1:
            return "large"
        for event in request.events:
            if "event" not in event:
                return "refused"
            if event["uuid"] in self.guilty:
                return self.guilty[event["uuid"]]
        if self.random.random() >= self.trouble:
            return "taken"
        fate = self.random.choice(("before", "after", "later", "overloaded", "page"))
        if fate == "after":
            self._take(request)
        elif fate == "later":
            self.late.append(request)
        return fate if fate in ANSWERS else "silence"

    def _take(self, request: Request) -> None:
        for event in request.events:
            self.arrive(request.project, request.lane, event)


def _read(token: str, payloads: Sequence[str], *, historical: bool) -> Request:
    """Of what goes over the wire."""
    made = batch_request(token, payloads, sent_at="2026-01-01T00:00:00Z", user_agent="test", historical=historical)
    body = zlib.decompress(made.body, 47) if "Content-Encoding" in made.headers else made.body
    read = json.loads(body)
    assert len(read["batch"]) == len(payloads)
    uuids = [event.get("uuid") for event in read["batch"]]
    assert len(set(uuids)) == len(uuids), "one request holds no uuid twice"
    return Request(read["api_key"], "historical" if read["historical_migration"] else "analytics", read["batch"])
