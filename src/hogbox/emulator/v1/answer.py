"""The answers of capture v1: errors with a tag, and a result for each event."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from hogbox.emulator.answer import JSON, EmulatorResponse, Refusal

_ABOUT_API = "https://posthog.com/docs/api"
_ABOUT_LIMITS = "https://posthog.com/docs/billing/limits"
_RETRY_AFTER = (("retry-after", "1"),)
_RETRYABLE = frozenset((408, 500, 503, 504))


class V1Refusal(Refusal):
    """Capture v1 refuses the request as a whole."""

    def __init__(self, status: int, tag: str, text: str) -> None:
        super().__init__(status, text)
        self.answer = error(status, tag, text)


def error(status: int, tag: str, text: str) -> EmulatorResponse:
    """An error; those that the client is to repeat say when."""
    about = _ABOUT_LIMITS if status == HTTPStatus.PAYMENT_REQUIRED else _ABOUT_API
    body = {"error": tag, "error_description": text, "error_uri": about}
    return EmulatorResponse(status, msgspec.json.encode(body), JSON, _RETRY_AFTER if status in _RETRYABLE else ())


def results(by_uuid: Mapping[str, tuple[str, str | None]]) -> EmulatorResponse:
    """The result of each event, with its details if it has any."""
    body = {
        uuid: {"result": result} if details is None else {"result": result, "details": details}
        for uuid, (result, details) in by_uuid.items()
    }
    retried = any(result == "retry" for result, _ in by_uuid.values())
    return EmulatorResponse(200, msgspec.json.encode({"results": body}), JSON, _RETRY_AFTER if retried else ())


# What a fault that names only a status says on v1's paths.
V1_ANSWERS = {
    status: error(status, tag, "injected by the emulator")
    for status, tag in {
        400: "request_parsing_error",
        401: "invalid_api_token",
        402: "billing_limit_exceeded",
        408: "request_timeout",
        413: "payload_too_large",
        415: "unsupported_encoding",
        429: "rate_limited",
        500: "internal_error",
        503: "service_unavailable",
        504: "gateway_timeout",
    }.items()
}
