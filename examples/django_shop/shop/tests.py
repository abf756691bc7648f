"""The tests of the shop: `python manage.py test`."""

# ruff: noqa: PT009, PT027 - the way of Django's own tests
from __future__ import annotations

from django.test import TestCase  # type: ignore[import-untyped]

from hogbox.integrations.django.models import OutboxEvent

from .views import OutOfStock


class OrderTest(TestCase):  # type: ignore[misc]
    """Placing orders."""

    def test_an_order_is_captured(self) -> None:
        """The event is in the outbox, in the transaction of the test."""
        self.client.post("/orders", {"article": "hedgehog", "pieces": 2}, headers={"X-PostHog-Distinct-Id": "ada"})
        self.assertIn("order placed", OutboxEvent.objects.get().payload)

    def test_an_order_that_fails_is_not(self) -> None:
        """Only the exception is captured."""
        with self.assertRaises(OutOfStock):
            self.client.post("/orders", {"article": "hedgehog", "pieces": 99}, headers={"X-PostHog-Distinct-Id": "ada"})
        self.assertIn("$exception", OutboxEvent.objects.get().payload)
