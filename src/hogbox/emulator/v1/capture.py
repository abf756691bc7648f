"""Capture v1: a request in, a result for each of its events and the stored events out.

Nothing here waits, reads a clock or touches the world. The order of the checks is the server's: headers, body,
batch, uuids, every event in turn, and quota.
"""

from __future__ import annotations

from collections.abc import Sequence

from hogbox.emulator.answer import NOT_ALLOWED, OK, EmulatorResponse, Outcome, Request
from hogbox.emulator.record import ReceivedEvent
from hogbox.emulator.script import ABSENT, ScriptedResults
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.v1.answer import V1Refusal, results
from hogbox.emulator.v1.body import read_batch, read_text, read_uuids
from hogbox.emulator.v1.event import OVER_QUOTA, V1RequestContext, V1Verdict, judge
from hogbox.emulator.v1.header import read_headers

V1_PATH = "/i/v1/analytics/events"
V1_AI_PATH = "/i/v1/ai/events"


def capture_v1(request: Request, settings: Settings, limits: Limits, scripted: ScriptedResults) -> Outcome:
    """PostHog's response to a request of capture v1, and the events that it stores."""
    if request.method != "POST":
        return Outcome(answer=OK if request.method == "OPTIONS" else NOT_ALLOWED)
    ai_only = request.path.startswith(V1_AI_PATH)
    token = payload = None
    try:
        headers = read_headers(request.headers, settings)
        token = headers.token
        _check_arrival(request)
        unpacked = limits.decompressed if ai_only else limits.v1_decompressed
        payload = read_text(request.body, headers.encoding, unpacked)
        batch = read_batch(payload)
        uuids = read_uuids(batch)
        context = V1RequestContext(
            request=request,
            headers=headers,
            settings=settings,
            limits=limits,
            historical_migration=batch.historical_migration,
            ai_only=ai_only,
            size=len(payload),
        )
        verdicts = [judge(event, uuid, context) for event, uuid in zip(batch.batch, uuids, strict=True)]
        _check_quota(verdicts)
    except V1Refusal as refusal:
        return Outcome(answer=refusal.answer, token=token, payload=payload)
    return Outcome(
        answer=_answer(verdicts),
        token=token,
        events=_stored(verdicts),
        payload=payload,
        settle=lambda: _settle(verdicts, scripted),
    )


def _check_arrival(request: Request) -> None:
    """Raises `V1Refusal` if the body did not arrive as a whole."""
    if request.interrupted == "too large":
        raise V1Refusal(413, "payload_too_large", "payload too large: the request body exceeds the limit")
    if request.interrupted == "stalled":
        raise V1Refusal(408, "body_read_timeout", "the request body stopped arriving")


def _check_quota(verdicts: Sequence[V1Verdict]) -> None:
    """Raises `V1Refusal` if nothing is left because of the quota."""
    over = any(verdict.details == OVER_QUOTA for verdict in verdicts)
    if over and all(verdict.result != "ok" for verdict in verdicts):
        raise V1Refusal(402, "billing_limit_exceeded", "billing limit exceeded")


def _settle(verdicts: Sequence[V1Verdict], scripted: ScriptedResults) -> Outcome:
    """The answer and the stored events, after the scripted results had their say."""
    settled = [_script(verdict, scripted) for verdict in verdicts]
    return Outcome(answer=_answer(settled), events=_stored(settled))


def _script(verdict: V1Verdict, scripted: ScriptedResults) -> V1Verdict:
    chosen = None if verdict.stored is None else scripted.choose(verdict.stored)
    if chosen is None or verdict.stored is None:
        return verdict
    stored = verdict.stored if chosen.stores() else None
    if chosen.disables_person() and stored is not None:
        stored.person_processing = False
    return V1Verdict(uuid=verdict.uuid, result=chosen.result, details=chosen.given_details(), stored=stored)


def _answer(verdicts: Sequence[V1Verdict]) -> EmulatorResponse:
    reported = (verdict for verdict in verdicts if verdict.result != ABSENT)
    return results({verdict.uuid: (verdict.result, verdict.details) for verdict in reported})


def _stored(verdicts: Sequence[V1Verdict]) -> tuple[ReceivedEvent, ...]:
    return tuple(verdict.stored for verdict in verdicts if verdict.stored is not None)
