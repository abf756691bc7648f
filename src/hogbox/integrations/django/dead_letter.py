"""Putting dead letters back into the outbox, when what they died of is gone."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from django.db import transaction  # type: ignore[import-untyped]
from django.db.models import F  # type: ignore[import-untyped]

from hogbox._events.limit import refusal
from hogbox.encryption import open_payload
from hogbox.errors import UndecryptablePayload
from hogbox.integrations.django.configuration import configuration
from hogbox.integrations.django.models import DeadLetter, OutboxEvent

_AT_ONCE: Final = 500

_COPIED: Final = ("shard", "project", "lane", "payload", "created_at")


class Retried(NamedTuple):
    """How many dead letters were put back, and how many stay because PostHog would refuse or garble them again."""

    put_back: int
    hopeless: int


def retry(ids: Collection[int]) -> Retried:
    """Put these dead letters back into the outbox, in their order, with uuid and timestamp unchanged; all or none.

    They get new ids, and so come after what waits already.
    """
    alias = configuration().alias
    wanted = sorted(ids)
    put_back = hopeless = 0
    with transaction.atomic(using=alias):
        for start in range(0, len(wanted), _AT_ONCE):
            some = DeadLetter.objects.filter(pk__in=wanted[start : start + _AT_ONCE])
            # The first statement writes: of two that retry the same ones, the second waits, on SQLite too.
            some.update(shard=F("shard"))
            letters = list(some.order_by("id"))
            mended = [letter for letter in letters if not _is_hopeless(letter)]
            OutboxEvent.objects.bulk_create(map(_waiting, mended))
            some.filter(pk__in=[letter.pk for letter in mended]).delete()
            put_back += len(mended)
            hopeless += len(letters) - len(mended)
    return Retried(put_back, hopeless)


def _waiting(letter: Any) -> Any:
    return OutboxEvent(**{name: getattr(letter, name) for name in _COPIED})


def _is_hopeless(letter: Any) -> bool:
    """Whether hogbox knows by itself that PostHog would not keep the event as it is."""
    event = read_event(letter.payload)
    return not event or refusal(str(event.get("distinct_id")), open_payload(letter.payload)) is not None


def read_event(payload: str) -> dict[str, Any]:
    """The event of a payload, decrypted; empty for a text that is none, and where its key is not here."""
    try:
        event = json.loads(open_payload(payload))
    except (ValueError, UndecryptablePayload):
        return {}
    return event if isinstance(event, dict) else {}
