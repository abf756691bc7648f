"""Requeueing dead letters after the cause of their failure is fixed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from django.db import connections, transaction  # type: ignore[import-untyped]
from django.db.models import F  # type: ignore[import-untyped]

from hogbox._events.dead_letter import refused_again
from hogbox._store.dead_letter import PutBack
from hogbox._store.handles.handle import Writer
from hogbox._store.handles.portable import Portable
from hogbox._store.schema.table import Tables
from hogbox._store.selection import DeadLetterRow as Letter
from hogbox.integrations.django.configuration import configuration, table_prefix
from hogbox.integrations.django.models import DeadLetter

_AT_ONCE: Final = 500


class Retried(NamedTuple):
    """The numbers of dead letters that were requeued, and that stay because PostHog would still refuse them."""

    put_back: int
    hopeless: int


def retry(ids: Collection[int]) -> Retried:
    """Requeue these dead letters in order, with unchanged uuid and timestamp, in one transaction.

    They get new ids, so they are delivered after the events that are waiting already.
    """
    alias = configuration().alias
    back, writer = PutBack(Tables(table_prefix())), Writer()
    wanted = sorted(ids)
    put_back = hopeless = 0

    def write(statement: Portable, values: tuple[Any, ...]) -> int:
        return writer.write(connections[alias], statement, values)

    with transaction.atomic(using=alias):
        for start in range(0, len(wanted), _AT_ONCE):
            some = DeadLetter.objects.filter(pk__in=wanted[start : start + _AT_ONCE])
            # The first statement is a write, so that a concurrent retry of the same rows waits, on SQLite too.
            some.update(shard=F("shard"))
            for row in some.order_by("id"):
                letter = Letter(*(getattr(row, name) for name in Letter._fields))
                if refused_again(letter.text, letter.lane) is not None:
                    hopeless += 1
                else:
                    put_back += back.put_back(write, letter)
    return Retried(put_back, hopeless)
