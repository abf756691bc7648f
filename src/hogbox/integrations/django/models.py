"""Some of hogbox's tables as models: for the admin, for queries, and so that tests flush them.

The tables are created by hogbox's own SQL, not from these models: see `operation`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import models  # type: ignore[import-untyped]

from hogbox.integrations.django.configuration import configuration, table_prefix


class ConfiguredDatabase(models.Manager):  # type: ignore[misc]
    """Reads the database that HOGBOX["DATABASE"] names, unless `using` names another."""

    def get_queryset(self) -> Any:
        """All rows."""
        return super().get_queryset().using(self._db or configuration().alias)


class StoredEvent(models.Model):  # type: ignore[misc]
    """The columns that the outbox and the dead letters share."""

    id = models.BigAutoField(primary_key=True)
    shard = models.SmallIntegerField()
    project = models.CharField(max_length=64)
    lane = models.CharField(max_length=16)
    payload = models.TextField()
    created_at = models.BigIntegerField()

    objects = ConfiguredDatabase()

    class Meta:
        abstract = True


class OutboxEvent(StoredEvent):
    """An event that is waiting for delivery."""

    class Meta:
        db_table = f"{table_prefix()}outbox"
        verbose_name = "waiting event"
        verbose_name_plural = "outbox"


class DeadLetter(StoredEvent):
    """An event that PostHog refused, or is known to refuse, with the reason."""

    event_uuid = models.CharField(max_length=36)
    reason = models.TextField()
    status = models.IntegerField(null=True)
    died_at = models.BigIntegerField()

    class Meta:
        db_table = f"{table_prefix()}dead_letters"
        verbose_name = "dead letter"


class FlagDefinitions(models.Model):  # type: ignore[misc]
    """The flag definitions of a project."""

    project = models.CharField(max_length=64, primary_key=True)
    data = models.TextField()
    etag = models.TextField(null=True)
    fetched_at = models.BigIntegerField()
    revision = models.BigIntegerField()

    objects = ConfiguredDatabase()

    class Meta:
        db_table = f"{table_prefix()}flag_definitions"
        verbose_name = "flag definitions"
        verbose_name_plural = "flag definitions"


class Refresh(models.Model):  # type: ignore[misc]
    """The result of the last refresh of a project's flag definitions."""

    project = models.CharField(max_length=64, primary_key=True)
    due_at = models.BigIntegerField()
    holder = models.CharField(max_length=64, null=True)
    last_status = models.CharField(max_length=16, null=True)
    last_reason = models.CharField(max_length=32, null=True)
    last_at = models.BigIntegerField(null=True)
    unchanged_at = models.BigIntegerField(null=True)
    polls = models.BigIntegerField(null=True)
    polls_alone = models.BigIntegerField(null=True)

    objects = ConfiguredDatabase()

    class Meta:
        db_table = f"{table_prefix()}refreshes"
        verbose_name_plural = "refreshes"


class Exposure(models.Model):  # type: ignore[misc]
    """A note that a person was given a flag's value."""

    id = models.CharField(max_length=64, primary_key=True)
    expires_at = models.BigIntegerField()

    objects = ConfiguredDatabase()

    class Meta:
        db_table = f"{table_prefix()}exposures"


class Hold(models.Model):  # type: ignore[misc]
    """A project whose requests failed or were refused, and are not retried before `until`."""

    project = models.CharField(max_length=64, primary_key=True)
    held_at = models.BigIntegerField()
    until = models.BigIntegerField()
    attempt = models.IntegerField()
    status = models.IntegerField(null=True)
    reason = models.TextField()

    objects = ConfiguredDatabase()

    class Meta:
        db_table = f"{table_prefix()}holds"


class FlagHistory(models.Model):  # type: ignore[misc]
    """An earlier revision of flag definitions."""

    pk = models.CompositePrimaryKey("project", "revision")
    project = models.CharField(max_length=64)
    revision = models.BigIntegerField()
    data = models.TextField()
    fetched_at = models.BigIntegerField()

    objects = ConfiguredDatabase()

    class Meta:
        db_table = f"{table_prefix()}flag_history"


class Import(models.Model):  # type: ignore[misc]
    """The progress of an import."""

    id = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=255)
    position = models.BigIntegerField()
    events = models.BigIntegerField()
    changed_at = models.BigIntegerField()

    objects = ConfiguredDatabase()

    class Meta:
        db_table = f"{table_prefix()}imports"


def moment(milliseconds: int | None) -> datetime | None:
    """A timestamp of the tables (milliseconds since 1970) as a datetime in UTC."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
