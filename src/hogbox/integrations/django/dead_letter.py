"""Putting dead letters back into the outbox, when what they died of is gone."""

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
    """How many dead letters were put back, and how many stay because PostHog would refuse or garble them again."""

    put_back: int
    hopeless: int


def retry(ids: Collection[int]) -> Retried:
    """Put these dead letters back into the outbox, in their order, with uuid and timestamp unchanged; all or none.

    They get new ids, and so come after what waits already.
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
            # The first statement writes: of two that retry the same ones, the second waits, on SQLite too.
            some.update(shard=F("shard"))
            for row in some.order_by("id"):
                letter = Letter(*(getattr(row, name) for name in Letter._fields))
                if refused_again(letter.text) is not None:
                    hopeless += 1
                else:
                    put_back += back.put_back(write, letter)
    return Retried(put_back, hopeless)
