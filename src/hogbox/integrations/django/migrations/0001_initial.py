"""The tables of version 4, and the models over them."""

from __future__ import annotations

from django.db import migrations, models  # type: ignore[import-untyped]

from hogbox.integrations.django.configuration import table_prefix
from hogbox.integrations.django.operation import MigrateTables

EVENT = [
    ("id", models.BigAutoField(primary_key=True, serialize=False)),
    ("shard", models.SmallIntegerField()),
    ("project", models.CharField(max_length=64)),
    ("lane", models.CharField(max_length=16)),
    ("payload", models.TextField()),
    ("created_at", models.BigIntegerField()),
]


MODELS = [
    migrations.CreateModel(
        name="OutboxEvent",
        fields=EVENT,
        options={
            "db_table": f"{table_prefix()}outbox",
            "verbose_name": "waiting event",
            "verbose_name_plural": "outbox",
        },
    ),
    migrations.CreateModel(
        name="DeadLetter",
        fields=[
            *EVENT,
            ("event_uuid", models.CharField(max_length=36)),
            ("reason", models.TextField()),
            ("status", models.IntegerField(null=True)),
            ("died_at", models.BigIntegerField()),
        ],
        options={
            "db_table": f"{table_prefix()}dead_letters",
            "verbose_name": "dead letter",
        },
    ),
    migrations.CreateModel(
        name="FlagDefinitions",
        fields=[
            ("project", models.CharField(max_length=64, primary_key=True, serialize=False)),
            ("data", models.TextField()),
            ("etag", models.TextField(null=True)),
            ("fetched_at", models.BigIntegerField()),
            ("revision", models.BigIntegerField()),
        ],
        options={
            "db_table": f"{table_prefix()}flag_definitions",
            "verbose_name": "flag definitions",
            "verbose_name_plural": "flag definitions",
        },
    ),
    migrations.CreateModel(
        name="Refresh",
        fields=[
            ("project", models.CharField(max_length=64, primary_key=True, serialize=False)),
            ("due_at", models.BigIntegerField()),
            ("holder", models.CharField(max_length=64, null=True)),
            ("last_status", models.CharField(max_length=16, null=True)),
            ("last_reason", models.CharField(max_length=32, null=True)),
            ("last_at", models.BigIntegerField(null=True)),
            ("unchanged_at", models.BigIntegerField(null=True)),
            ("polls", models.BigIntegerField(null=True)),
            ("polls_alone", models.BigIntegerField(null=True)),
        ],
        options={
            "db_table": f"{table_prefix()}refreshes",
            "verbose_name_plural": "refreshes",
        },
    ),
    migrations.CreateModel(
        name="Exposure",
        fields=[
            ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
            ("expires_at", models.BigIntegerField()),
        ],
        options={"db_table": f"{table_prefix()}exposures"},
    ),
    migrations.CreateModel(
        name="Hold",
        fields=[
            ("project", models.CharField(max_length=64, primary_key=True, serialize=False)),
            ("held_at", models.BigIntegerField()),
            ("until", models.BigIntegerField()),
            ("attempt", models.IntegerField()),
            ("status", models.IntegerField(null=True)),
            ("reason", models.TextField()),
        ],
        options={"db_table": f"{table_prefix()}holds"},
    ),
    migrations.CreateModel(
        name="FlagHistory",
        fields=[
            ("pk", models.CompositePrimaryKey("project", "revision", blank=True, editable=False, serialize=False)),
            ("project", models.CharField(max_length=64)),
            ("revision", models.BigIntegerField()),
            ("data", models.TextField()),
            ("fetched_at", models.BigIntegerField()),
        ],
        options={"db_table": f"{table_prefix()}flag_history"},
    ),
    migrations.CreateModel(
        name="Import",
        fields=[
            ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
            ("name", models.CharField(max_length=255)),
            ("position", models.BigIntegerField()),
            ("events", models.BigIntegerField()),
            ("changed_at", models.BigIntegerField()),
        ],
        options={"db_table": f"{table_prefix()}imports"},
    ),
]


class Migration(migrations.Migration):  # type: ignore[misc]
    """The first one."""

    initial = True

    operations = [  # noqa: RUF012 - as Django's migrations are
        migrations.SeparateDatabaseAndState([MigrateTables(before=0, version=4)], MODELS),
    ]
