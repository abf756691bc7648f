"""The headers of a request to capture v1, checked in the server's order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from hogbox.emulator.capture import token_fault
from hogbox.emulator.document import read_uuid
from hogbox.emulator.setting import Settings
from hogbox.emulator.timestamp import parse_rfc3339
from hogbox.emulator.v1.answer import V1Refusal

REQUEST_ID = "posthog-request-id"

_TIMESTAMP = "posthog-request-timestamp"
_ATTEMPT = "posthog-attempt"
_SDK = "posthog-sdk-info"
_REQUIRED = (_SDK, _ATTEMPT, REQUEST_ID, _TIMESTAMP, "content-type", "user-agent")
_ENCODINGS = ("gzip", "deflate", "br", "zstd")
_LONGEST_SDK = 200
_HIGHEST_ATTEMPT = 2**32 - 1
_BEARER = "bearer "


class V1RequestHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers say. `sdk` is the name and version of the SDK, if the header has both."""

    token: str
    encoding: str | None
    sdk: tuple[str, str] | None
    request_id: UUID
    attempt: int
    sent_at: datetime
    sent_at_text: str


def read_headers(headers: Mapping[str, str], settings: Settings) -> V1RequestHeaders:
    """The headers; raises `V1Refusal` for the first check that fails."""
    if "authorization" not in headers:
        raise V1Refusal(401, "missing_authorization", "request is missing the Authorization header")
    missing = [name for name in _REQUIRED if name not in headers or (name == "user-agent" and not headers[name])]
    if missing:
        raise V1Refusal(400, "missing_required_headers", f"request is missing required headers: {', '.join(missing)}")
    token = _read_token(headers["authorization"], settings)
    return V1RequestHeaders(
        token=token,
        encoding=_read_encoding(headers),
        request_id=_read_request_id(headers[REQUEST_ID]),
        attempt=_read_attempt(headers[_ATTEMPT]),
        sent_at=_read_sent_at(headers[_TIMESTAMP]),
        sent_at_text=headers[_TIMESTAMP],
        sdk=_read_sdk(headers[_SDK]),
    )


def _read_token(authorization: str, settings: Settings) -> str:
    if not authorization.lower().startswith(_BEARER):
        raise _invalid("authorization must use the Bearer scheme")
    token = authorization[len(_BEARER) :].strip()
    unknown = settings.known_tokens is not None and token not in settings.known_tokens
    if token_fault(token) is not None or unknown:
        raise V1Refusal(401, "invalid_api_token", "The provided API token is not valid.")
    return token


def _read_encoding(headers: Mapping[str, str]) -> str | None:
    kind = headers["content-type"].partition(";")[0].strip().lower()
    if kind != "application/json":
        raise V1Refusal(415, "unsupported_content_type", f"unsupported content type: {headers['content-type']}")
    encoding = headers.get("content-encoding")
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise V1Refusal(415, "unsupported_encoding", f"unsupported content encoding: {encoding}")
    return None if encoding is None else encoding.lower()


def _read_request_id(text: str) -> UUID:
    uuid = read_uuid(text)
    if uuid is None:
        raise _invalid(f"{REQUEST_ID} is not a valid UUID: {text}")
    return uuid


def _read_attempt(text: str) -> int:
    attempt = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if not 1 <= attempt <= _HIGHEST_ATTEMPT:
        raise _invalid(f"{_ATTEMPT} must be a positive integer: {text}")
    return attempt


def _read_sent_at(text: str) -> datetime:
    sent_at = parse_rfc3339(text)
    if sent_at is None:
        raise _invalid(f"{_TIMESTAMP} is not valid RFC 3339: {text}")
    return sent_at


def _read_sdk(text: str) -> tuple[str, str] | None:
    if len(text.encode()) > _LONGEST_SDK:
        return None
    name, _, version = (part.strip() for part in text.rpartition("/"))
    return (name, version) if name and version else None


def _invalid(what: str) -> V1Refusal:
    return V1Refusal(400, "invalid_header_value", f"invalid header value: {what}")
