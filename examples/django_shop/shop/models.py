"""What the shop keeps."""

from __future__ import annotations

from django.db import models  # type: ignore[import-untyped]


class Order(models.Model):  # type: ignore[misc]
    """An order."""

    article = models.CharField(max_length=100)
    pieces = models.PositiveIntegerField()
