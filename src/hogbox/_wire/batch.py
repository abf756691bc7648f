"""The capture request of v0: `POST /batch/`, and the same for the AI lane (wire protocol 3.1, 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from hogbox._wire.compression import AUTOMATIC, Encoder, v0_encoder
from hogbox._wire.mode import CaptureEndpoint


class RequestIdentity(NamedTuple):
    """What stays the same over the attempts of one request of v1, and the number of the attempt, from 1."""

    request_id: str
    created_at: str
    """When the batch was built, in RFC 3339."""
    attempt: int = 1


class OutgoingBatch(NamedTuple):
    """Encoded events of one project, in order, and where they go. `historical`: they are a backfill."""

    project: str
    payloads: Sequence[str]
    endpoint: CaptureEndpoint = CaptureEndpoint.BATCH
    historical: bool = False
    identity: RequestIdentity | None = None
    """For capture v1, which requires one."""


class CaptureRequest(NamedTuple):
    """A request to send: path under the host, headers, body."""

    path: str
    headers: dict[str, str]
    body: bytes


def batch_request(
    token: str,
    payloads: Iterable[str],
    *,
    sent_at: str,
    user_agent: str,
    historical: bool = False,
    encoder: Encoder | None = None,
    endpoint: CaptureEndpoint = CaptureEndpoint.BATCH,
) -> CaptureRequest:
    """The request that delivers these encoded events, in this order.

    `sent_at` is the time of this attempt, in ISO 8601: the server uses it to correct for the sender's clock.
    `historical` marks all of them as a backfill. Without an encoder, large bodies are compressed with gzip.
    """
    backfill = "true" if historical else "false"
    text = (
        f'{{"api_key":{quoted(token)},"historical_migration":{backfill},"sent_at":{quoted(sent_at)},'
        f'"batch":[{",".join(payloads)}]}}'
    )
    headers = {"Content-Type": "application/json", "User-Agent": user_agent}
    body, encoding = (encoder or v0_encoder(AUTOMATIC)).encode(text.encode())
    return CaptureRequest(endpoint.value, {**headers, **encoding}, body)


def quoted(text: str) -> str:
    """The text as JSON."""
    return msgspec.json.encode(text).decode()
