"""Requests of capture v1 as a careful client would send them, to be changed by each test."""

from __future__ import annotations

import json
from typing import Any

import httpx2

PATH = "/i/v1/analytics/events"
AI_PATH = "/i/v1/ai/events"
REQUEST_ID = "01990f6a-3c4e-7b51-9a55-0d2a6f0b7cff"
NOW = "2026-03-04T10:15:31Z"

HEADERS = {
    "Authorization": "Bearer phc_t",
    "Content-Type": "application/json",
    "User-Agent": "sdk/1.2",
    "PostHog-Sdk-Info": "sdk/1.2",
    "PostHog-Attempt": "1",
    "PostHog-Request-Id": REQUEST_ID,
    "PostHog-Request-Timestamp": NOW,
}


def uuid(number: int) -> str:
    return f"01990f6a-3c4e-7b51-9a55-0d2a6f0b7c{number:02x}"


def event(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A well-formed event; a field that is given as `...` is left out."""
    whole = {
        "event": "paid",
        "uuid": uuid(number),
        "distinct_id": "u1",
        "timestamp": "2026-03-04T10:15:30.25Z",
        "options": {},
        "properties": {},
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def batch(*events: Any, **fields: Any) -> dict[str, Any]:
    whole = {"created_at": NOW, "batch": list(events), **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def post(
    client: httpx2.Client, body: Any = None, *, path: str = PATH, headers: dict[str, Any] | None = None
) -> httpx2.Response:
    """Posts a body, by default one event; a header that is given as `...` is left out."""
    sent = {name: value for name, value in {**HEADERS, **(headers or {})}.items() if value is not ...}
    content = body if isinstance(body, bytes) else json.dumps(batch(event()) if body is None else body).encode()
    request = client.build_request("POST", path, content=content)
    for name in ("user-agent", "accept-encoding"):
        request.headers.pop(name, None)
    request.headers.update(sent)
    return client.send(request)


def results(answer: httpx2.Response) -> list[tuple[str, str | None]]:
    """The results in order, each with its details."""
    assert answer.status_code == 200, answer.text
    return [(result["result"], result.get("details")) for result in answer.json()["results"].values()]
