"""The refusals of `/flags`, `/flags/definitions` and remote config, with PostHog's exact texts."""

from __future__ import annotations

from hogbox.emulator.answer import JSON, EmulatorResponse, Refusal
from hogbox.emulator.capture import token_fault
from hogbox.emulator.setting import Settings

_NO_DISTINCT_ID = "The distinct_id field is missing from the request. Please include a valid identifier."
_NO_TOKEN = "No API token provided. Please include a valid API token in your request."  # noqa: S105 - an error text
_UNKNOWN_TOKEN = "The provided API key is invalid or has expired. Please check your API key and try again."  # noqa: S105 - an error text
_INTERNAL = "An internal server error occurred. Please try again later or contact support if the problem persists."
_COLD = "Required data not found in cache. This is likely a temporary issue. Please try again later."
_DATABASE = "Our database service is currently unavailable. This is likely a temporary issue. Please try again later."
_BUSY = "Evaluation pool busy, timed out after 1000ms. Please retry."


def _text(status: int, text: str) -> EmulatorResponse:
    return EmulatorResponse(status, text.encode())


def _json(status: int, kind: str, code: str, detail: str) -> EmulatorResponse:
    body = f'{{"type":"{kind}","code":"{code}","detail":"{detail}","attr":null}}'
    return EmulatorResponse(status, body.encode(), JSON)


NO_DISTINCT_ID = _text(400, _NO_DISTINCT_ID)
NO_TOKEN = _text(401, _NO_TOKEN)
UNKNOWN_TOKEN = _text(401, _UNKNOWN_TOKEN)
NO_QUERY_TOKEN = _text(400, "Failed to deserialize query string: missing field `token`")
NO_CREDENTIAL = _json(401, "authentication_error", "not_authenticated", "Authentication credentials were not provided.")
BAD_SECRET_KEY = _json(401, "authentication_error", "authentication_failed", "Secret API token is invalid.")
BAD_PERSONAL_KEY = _json(401, "authentication_error", "authentication_failed", "Personal API key is invalid.")
OVER_QUOTA = _json(402, "quota_limited", "payment_required", "You have exceeded your feature flag request quota")
NO_SCOPE = _json(
    403,
    "authentication_error",
    "permission_denied",
    "Personal API key lacks required scopes (feature_flag:read or feature_flag:write).",
)
RATE_LIMITED = _json(429, "validation_error", "rate_limit_exceeded", "Rate limit exceeded")
COLD_CACHE = _text(503, _COLD)
UNKNOWN_PROJECT = EmulatorResponse(401, b"", None)
NO_SUCH_PROJECT = _json(404, "invalid_request", "not_found", "Project not found.")
NO_SUCH_FLAG = _json(404, "invalid_request", "not_found", "Feature flag not found.")
_NOT_DECRYPTED = _json(500, "server_error", "remote_config_decrypt_failed", "Failed to decrypt the payload.")

# What a fault that names only a status says.
DEFINITIONS_ANSWERS = {
    answer.status: answer
    for answer in (
        NO_QUERY_TOKEN,
        BAD_PERSONAL_KEY,
        OVER_QUOTA,
        NO_SCOPE,
        RATE_LIMITED,
        _text(500, _INTERNAL),
        COLD_CACHE,
        _text(504, _BUSY),
    )
}
REMOTE_CONFIG_ANSWERS = {**DEFINITIONS_ANSWERS, 404: NO_SUCH_FLAG, 500: _NOT_DECRYPTED}
FLAGS_ANSWERS = {
    **DEFINITIONS_ANSWERS,
    400: NO_DISTINCT_ID,
    401: UNKNOWN_TOKEN,
    503: _text(503, _DATABASE),
}


class FlagRefusal(Refusal):
    """A refusal in the words of the flags service."""

    def __init__(self, answer: EmulatorResponse) -> None:
        super().__init__(answer.status, "")
        self.answer = answer


def undecodable(why: str) -> FlagRefusal:
    text = f"Failed to decode request: {why}. Please check your request format and try again."
    return FlagRefusal(_text(400, text))


def other_methods(allowed: str) -> dict[str, EmulatorResponse]:
    """The answers to HEAD, OPTIONS and, by the empty name, to whatever is not allowed."""
    allow = (("allow", allowed),)
    return {
        "HEAD": EmulatorResponse(200, b"", JSON),
        "OPTIONS": EmulatorResponse(204, b"", None, allow),
        "": EmulatorResponse(405, b"", None, allow),
    }


def is_known(token: str, settings: Settings) -> bool:
    """Whether a project key belongs to a project."""
    return token_fault(token) is None and (settings.known_tokens is None or token in settings.known_tokens)
