"""Flagged events: those that include their person's flags, for which PostHog is asked before they are sent.

A failure never holds events back: they are sent without flags, and PostHog is not asked again for a few seconds.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from hogbox._delivery.batch import Waiting
from hogbox._events.event import ANALYTICS, FLAGGED, UNREADABLE
from hogbox._events.exposure import flag_properties
from hogbox._events.limit import MAX_EVENT_BYTES
from hogbox._http.flags import FlagsTransport
from hogbox._http.response import NoReply
from hogbox._wire.flags import FlagsAnswer, FlagsFailure, flags_request, read_answer
from hogbox._wire.host import shorten
from hogbox._wire.library import USER_AGENT
from hogbox.flags._result import legacy_form
from hogbox.telemetry import ANSWERED, FlagsAsked, Telemetry

log = logging.getLogger("hogbox.delivery")

_TIMEOUT: Final = 3.0
"""Seconds for one request."""

_PATIENCE: Final = 2.0
"""Seconds of requests for the events of one read; the events after them are read again."""

_PAUSE: Final = 5.0
"""Seconds after a failure in which a project's events are sent without flags."""


class _Subject(NamedTuple):
    """Whose flags, and how PostHog is asked."""

    project: str
    distinct_id: str
    groups: str
    disable_geoip: bool


class _FlaggedEvent(NamedTuple):
    """A payload taken apart. What is not understood stays as it is written."""

    fields: dict[str, msgspec.Raw]
    properties: dict[str, msgspec.Raw]
    subject: _Subject


_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()


class FlaggedEvents:
    """Adds flag values to the events that ask for them. Safe to use from several threads."""

    def __init__(
        self,
        host: str,
        telemetry: Telemetry,
        ends: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """No request outlasts `ends`, a time of the clock."""
        self._transport = FlagsTransport(host, _TIMEOUT)
        self._ends = ends
        self._telemetry = telemetry
        self._clock = clock
        self._paused: dict[str, float] = {}

    def __enter__(self) -> FlaggedEvents:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def complete(self, rows: Sequence[Waiting]) -> tuple[list[Waiting], bool]:
        """The rows to send now, as ordinary events with flags; and whether some have to be read again.

        The rows after the first for which there was no time are left out: each person's events stay in order.
        """
        if not any(row.lane == FLAGGED for row in rows):
            return [*rows], False
        ends = self._clock() + _PATIENCE
        known: dict[_Subject, Mapping[str, Any]] = {}
        complete: list[Waiting] = []
        for row in rows:
            event = _taken_apart(row) if row.lane == FLAGGED else None
            if event is not None and event.subject not in known:
                if known and self._clock() >= ends:
                    return complete, True
                known[event.subject] = self._ask(event.subject)
            if event is not None:
                row = _with_flags(row, event, known[event.subject])
            complete.append(row._replace(lane=ANALYTICS) if row.lane == FLAGGED else row)
        return complete, False

    def _ask(self, subject: _Subject) -> Mapping[str, Any]:
        """The properties for the person's flags; none where PostHog does not answer."""
        if self._clock() < self._paused.get(subject.project, 0.0):
            return {}
        began = self._clock()
        answer = self._answer(subject)
        outcome = answer.reason if isinstance(answer, FlagsFailure) else ANSWERED
        self._telemetry.emit(FlagsAsked(shorten(subject.project), outcome, self._clock() - began))
        if isinstance(answer, FlagsAnswer):
            if self._paused.pop(subject.project, None) is not None:
                log.info("events of project %s are sent with flags again", shorten(subject.project))
            return flag_properties({key: legacy_form(one.value) for key, one in answer.flags.items() if one.decided})
        if subject.project not in self._paused:
            log.warning(
                "events of project %s are sent without their person's flags: %s: %s",
                shorten(subject.project),
                answer.reason,
                answer.detail,
                extra={"project": shorten(subject.project), "reason": answer.reason},
            )
        self._paused[subject.project] = self._clock() + _PAUSE
        return {}

    def _answer(self, subject: _Subject) -> FlagsAnswer | FlagsFailure:
        request = flags_request(
            subject.project,
            subject.distinct_id,
            groups=json.loads(subject.groups),
            person_properties=None,
            group_properties=None,
            device_id=None,
            disable_geoip=subject.disable_geoip,
            keys=None,
            sent_at=datetime.now(UTC).isoformat(),
            user_agent=USER_AGENT,
        )
        try:
            status, body = self._transport.send(request, max(0.001, self._ends - self._clock()))
        except NoReply as error:
            return FlagsFailure(error.reason, str(error))
        return read_answer(status, body, hide=(subject.project,))


def _taken_apart(row: Waiting) -> _FlaggedEvent | None:
    """None for an event that can't be read: it is sent as it is, for PostHog to judge."""
    try:
        fields = _FIELDS.decode(row.payload)
        properties = _FIELDS.decode(fields["properties"])
        distinct_id = msgspec.json.decode(fields["distinct_id"], type=str)
        groups = msgspec.json.decode(properties.get("$groups", msgspec.Raw(b"{}")))
        geoip = properties.get("$geoip_disable")
    except (*UNREADABLE, KeyError):
        return None
    known = groups if isinstance(groups, dict) else {}
    disabled = geoip is not None and bytes(geoip) == b"true"
    return _FlaggedEvent(
        fields, properties, _Subject(row.project, distinct_id, json.dumps(known, sort_keys=True), disabled)
    )


def _with_flags(row: Waiting, event: _FlaggedEvent, flags: Mapping[str, Any]) -> Waiting:
    """The event with these properties, but for those that it has; without, where PostHog would refuse its size."""
    if not flags:
        return row
    properties = {**{name: _raw(value) for name, value in flags.items()}, **event.properties}
    payload = _ENCODER.encode({**event.fields, "properties": properties})
    return row if len(payload) > MAX_EVENT_BYTES else row._replace(payload=payload.decode())


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(value))
