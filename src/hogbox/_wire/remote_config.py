"""Remote config, the payload of one flag: the request and the response (wire protocol 8)."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import quote

from hogbox._wire.flag_record import UNKNOWN_ERROR
from hogbox._wire.flags import FlagsFailure, FlagsRequest
from hogbox._wire.key import Secret
from hogbox._wire.printable import one_line

ENCRYPTED: Final = "encrypted"
"""The reason if PostHog keeps an encrypted payload to itself."""

NO_KEY: Final = "no_key"
"""The reason if this process has no key to ask with."""

_EXCERPT: Final = 300

_MEANINGS: Final = {
    401: "PostHog does not accept the key or the project token",
    403: "the key belongs to another project, or may not read feature flags",
    404: "the project has no such flag, or it is not a remote config flag",
    429: "too many requests with this personal key: use the project's secret key, which has no limit",
    500: "PostHog could not decrypt the payload, or failed",
}


class RemoteConfig(NamedTuple):
    """A payload as PostHog returns it, usually a text that contains JSON; None if the flag has none."""

    payload: Any


def remote_config_request(token: str, key: str, secret: Secret, user_agent: str) -> FlagsRequest:
    """The request for the payload of the flag with this key."""
    # Dots are escaped too: a path with `..` in it would be shortened on the way.
    name = quote(key.encode("utf-8", "replace"), safe="").replace(".", "%2E")
    path = f"/api/projects/@current/feature_flags/{name}/remote_config?token={quote(token, safe='')}"
    headers = {"Authorization": f"Bearer {secret.reveal()}", "User-Agent": user_agent}
    return FlagsRequest(path, b"", headers, "GET")


def read_remote_config(status: int, body: bytes, hide: tuple[str, ...] = ()) -> RemoteConfig | FlagsFailure:
    """The parsed response, or why it contains no payload."""
    if status != 200:
        meaning, answer = _MEANINGS.get(status, ""), _shown(body, hide)
        return FlagsFailure(f"api_error_{status}", ": ".join(filter(None, (f"HTTP {status}", meaning, answer))))
    try:
        payload = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse) if body.strip() else None
    except (ValueError, RecursionError):
        return FlagsFailure(UNKNOWN_ERROR, f"the response is not JSON: {_shown(body, hide)}")
    return RemoteConfig(payload)


def _shown(body: bytes, hide: tuple[str, ...]) -> str:
    return one_line(body.decode(errors="replace"), _EXCERPT, hide)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
