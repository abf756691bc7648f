"""The table of orders."""

from __future__ import annotations

from django.db import migrations, models  # type: ignore[import-untyped]


class Migration(migrations.Migration):  # type: ignore[misc]
    """The first one."""

    initial = True

    operations = [  # noqa: RUF012 - as Django's migrations are
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("article", models.CharField(max_length=100)),
                ("pieces", models.PositiveIntegerField()),
            ],
        ),
    ]
