"""The capture request of v1: `POST /i/v1/analytics/events` (wire protocol 4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Iterable

from hogbox._wire.batch import CaptureRequest, RequestIdentity, quoted
from hogbox._wire.compression import Encoder
from hogbox._wire.conversion import to_v1
from hogbox._wire.mode import CaptureEndpoint


def analytics_request(
    token: str,
    payloads: Iterable[str],
    identity: RequestIdentity,
    *,
    sent_at: str,
    user_agent: str,
    encoder: Encoder,
    historical: bool = False,
) -> CaptureRequest:
    """The request that delivers these stored events, in this order. `sent_at` is the time of this attempt."""
    backfill = '"historical_migration":true,' if historical else ""
    events = ",".join(map(to_v1, payloads))
    text = f'{{"created_at":{quoted(identity.created_at)},{backfill}"batch":[{events}]}}'
    body, encoding = encoder.encode(text.encode())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": user_agent,
        "Authorization": f"Bearer {token}",
        "PostHog-Sdk-Info": user_agent,
        "PostHog-Attempt": str(identity.attempt),
        "PostHog-Request-Id": identity.request_id,
        "PostHog-Request-Timestamp": sent_at,
    }
    return CaptureRequest(CaptureEndpoint.ANALYTICS.value, {**headers, **encoding}, body)
