"""The addresses of the shop."""

from __future__ import annotations

from django.contrib import admin  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from . import views

urlpatterns = [
    path("orders", views.place_order),
    path("orders/count", views.count_orders),
    path("offer", views.show_offer),
    path("admin/", admin.site.urls),
]
