"""PostHog's answers: plain HTTP values, and the refusals of its capture endpoints with their exact texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from hogbox.emulator.record import ReceivedEvent

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request, read to its end unless it was `interrupted`. `now` is the server's clock, in epoch seconds."""

    sequence: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    arrived_at: float
    now: float
    client: str = ""
    interrupted: Literal["too large", "stalled"] | None = None


class EmulatorResponse(msgspec.Struct, frozen=True):
    status: int
    body: bytes = b""
    content_type: str | None = TEXT
    headers: tuple[tuple[str, str], ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a request comes to: the answer, and the events that are stored if nothing gets in between.

    `settle` makes decisions that count as used, so it is called only if no fault takes the place of the answer.
    """

    answer: EmulatorResponse
    token: str | None = None
    events: tuple[ReceivedEvent, ...] = ()
    payload: str | None = None
    settle: Callable[[], Outcome] | None = None


class Refusal(Exception):
    """PostHog refuses the request as a whole."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.answer = EmulatorResponse(status, text.encode())


OK = EmulatorResponse(200, b'{"status":"Ok"}', JSON)
NO_CONTENT = EmulatorResponse(204, b"", None)
ALIVE = EmulatorResponse(200, b"ok")
NOT_FOUND = EmulatorResponse(404)
NOT_ALLOWED = EmulatorResponse(405)

NO_AI_EVENT = "event submitted to the AI endpoint is not an AI event"
NO_EVENT = "request holds no event"
NO_PAYLOAD = "request missing data payload"
NO_EVENT_NAME = "event submitted with an empty event name"
NO_DISTINCT_ID = "event submitted without a distinct_id"
BAD_COOKIELESS_MODE = "event submitted with invalid cookieless mode"
NO_TOKEN = "event submitted without an api_key"  # noqa: S105 - an error text
MIXED_TOKENS = "batch submitted with inconsistent api_key values"
CLIENT_STOPPED = "client stopped sending data"

# What a fault that names only a status says on capture's paths: the text PostHog uses there.
CAPTURE_ANSWERS = {
    status: EmulatorResponse(status, text.encode())
    for status, text in {
        400: "failed to parse request: injected by the emulator",
        401: "API key is not valid: injected by the emulator",
        408: CLIENT_STOPPED,
        413: "maximum event size exceeded: injected by the emulator",
        429: "rate limited",
        500: "internal server error: injected by the emulator",
        503: "transient error, please retry",
    }.items()
}


def undecodable(why: str) -> Refusal:
    return Refusal(400, f"failed to decode request: {why}")


def unparsable(why: str) -> Refusal:
    return Refusal(400, f"failed to parse request: {why}")


def bad_token(why: str) -> Refusal:
    return Refusal(401, f"API key is not valid: {why}")


def too_large(detail: str) -> Refusal:
    return Refusal(413, f"maximum event size exceeded: {detail}")
