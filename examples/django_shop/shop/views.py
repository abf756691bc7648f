"""The pages of the shop."""

from __future__ import annotations

from django.db import transaction  # type: ignore[import-untyped]
from django.http import HttpRequest, JsonResponse  # type: ignore[import-untyped]
from django.views.decorators.csrf import csrf_exempt  # type: ignore[import-untyped]

from hogbox.integrations.django import aposthog, posthog

from .models import Order

IN_STOCK = 10


class OutOfStock(Exception):
    """There are not so many pieces."""


@csrf_exempt  # type: ignore[untyped-decorator]
def place_order(request: HttpRequest) -> JsonResponse:
    """Place an order: the row and the event are committed together, or neither is."""
    with transaction.atomic():
        order = Order.objects.create(article=request.POST["article"], pieces=int(request.POST["pieces"]))
        posthog.capture("order placed", properties={"article": order.article, "pieces": order.pieces})
        if order.pieces > IN_STOCK:
            raise OutOfStock
    return JsonResponse({"order": order.pk}, status=201)


def show_offer(_: HttpRequest) -> JsonResponse:
    """Show this customer's offer; inconclusive flags are off."""
    return JsonResponse({"sale": posthog.is_feature_enabled("summer-sale", default=False)})


async def count_orders(_: HttpRequest) -> JsonResponse:
    """An asynchronous view: the same methods, awaited."""
    orders = await Order.objects.acount()
    await aposthog.capture("orders counted", properties={"orders": orders})
    return JsonResponse({"orders": orders})
