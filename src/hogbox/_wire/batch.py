"""The capture request: `POST /batch/` (wire protocol 3.1)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

PATH: Final = "/batch/"
"""The path for all lanes."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_FASTEST: Final = 1
_WORTH_COMPRESSING: Final = 1024


class CaptureRequest(NamedTuple):
    """A request to send: path under the host, headers, body."""

    path: str
    headers: dict[str, str]
    body: bytes


def batch_request(
    token: str, payloads: Iterable[str], *, sent_at: str, user_agent: str, historical: bool = False
) -> CaptureRequest:
    """The request that delivers these encoded events, in this order.

    `sent_at` is the time of this attempt, in ISO 8601: the server uses it to correct for the sender's clock.
    `historical` marks all of them as a backfill.
    """
    backfill = "true" if historical else "false"
    text = (
        f'{{"api_key":{_quoted(token)},"historical_migration":{backfill},"sent_at":{_quoted(sent_at)},'
        f'"batch":[{",".join(payloads)}]}}'
    )
    headers = {"Content-Type": "application/json", "User-Agent": user_agent}
    body = text.encode()
    if len(body) < _WORTH_COMPRESSING:
        return CaptureRequest(PATH, headers, body)
    return CaptureRequest(PATH, {**headers, "Content-Encoding": "gzip"}, _gzip(body))


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    return compressor.compress(body) + compressor.flush()


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
