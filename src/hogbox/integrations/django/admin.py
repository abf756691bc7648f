"""Admin pages: the outbox, the dead letters, which can be retried, and the flag definitions. All are read-only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages  # type: ignore[import-untyped]
from django.utils.html import format_html  # type: ignore[import-untyped]
from django.utils.safestring import SafeString  # type: ignore[import-untyped]
from django.utils.translation import ngettext  # type: ignore[import-untyped]

from hogbox._encryption import readable
from hogbox._events.dead_letter import pretty, read_event
from hogbox._events.escape import escape
from hogbox._wire.host import shorten
from hogbox.integrations.django.dead_letter import retry
from hogbox.integrations.django.models import DeadLetter, FlagDefinitions, OutboxEvent, Refresh, moment


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[misc]
    """Shows rows to users with the view permission; they can't be added, changed or deleted."""

    actions_on_bottom = True
    show_full_result_count = False

    def has_add_permission(self, *_: Any) -> bool:
        """Never: events are captured."""
        return False

    def has_change_permission(self, *_: Any) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        """Never: events are removed by delivery."""
        return False

    @admin.display(description="project")  # type: ignore[untyped-decorator]
    def short_project(self, row: Any) -> str:
        """The project's token, shortened."""
        return shorten(row.project)


class EventAdmin(ReadOnlyAdmin):
    """The shared parts of the pages of the outbox and of the dead letters."""

    search_fields: tuple[str, ...] = ("payload",)
    ordering = ("id",)

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """The rows that contain the text, as typed or in its stored form."""
        found, repeats = super().get_search_results(request, queryset, search_term)
        if search_term.isascii():
            return found, repeats
        stored, more_repeats = super().get_search_results(request, queryset, escape(search_term))
        return found | stored, repeats or more_repeats

    @admin.display  # type: ignore[untyped-decorator]
    def event(self, row: Any) -> str:
        """The event's name."""
        return str(read_event(readable(row.payload, row)).get("event", ""))

    @admin.display(description="distinct id")  # type: ignore[untyped-decorator]
    def distinct_id(self, row: Any) -> str:
        """The event's distinct id."""
        return str(read_event(readable(row.payload, row)).get("distinct_id", ""))

    @admin.display(description="captured at", ordering="created_at")  # type: ignore[untyped-decorator]
    def captured_at(self, row: Any) -> datetime | None:
        """When it was captured."""
        return moment(row.created_at)

    @admin.display(description="payload")  # type: ignore[untyped-decorator]
    def pretty_payload(self, row: Any) -> SafeString:
        """The event, formatted."""
        return _pretty(readable(row.payload, row))


@admin.register(OutboxEvent)
class OutboxEventAdmin(EventAdmin):
    """The waiting events."""

    list_display = ("id", "event", "distinct_id", "short_project", "shard", "captured_at")
    fields = ("id", "short_project", "lane", "shard", "captured_at", "pretty_payload")


@admin.register(DeadLetter)
class DeadLetterAdmin(EventAdmin):
    """The events that PostHog refused, or would refuse."""

    list_display = ("id", "event", "distinct_id", "reason", "status", "died_on")
    list_filter = ("status",)
    search_fields = ("payload", "reason", "event_uuid")
    fields = (
        *("id", "event_uuid", "reason", "status", "died_on"),
        *("short_project", "lane", "shard", "captured_at", "pretty_payload"),
    )
    actions = ("retry",)

    @admin.display(description="died at", ordering="died_at")  # type: ignore[untyped-decorator]
    def died_on(self, row: Any) -> datetime | None:
        """When it became a dead letter."""
        return moment(row.died_at)

    def has_retry_permission(self, request: Any) -> bool:
        """Whether the user has the permission to change dead letters."""
        return bool(request.user.has_perm("hogbox.change_deadletter"))

    @admin.action(description="Retry: move to the outbox", permissions=["retry"])  # type: ignore[untyped-decorator]
    def retry(self, request: Any, queryset: Any) -> None:
        """Requeue the selected dead letters, in order, in one transaction."""
        done = retry(queryset.values_list("pk", flat=True))
        if done.put_back:
            text = ngettext("%d event requeued.", "%d events requeued.", done.put_back) % done.put_back
            self.message_user(request, text, messages.SUCCESS)
        if done.hopeless:
            text = ngettext(
                "%d event not requeued: PostHog would still refuse or garble it. Fix it first.",
                "%d events not requeued: PostHog would still refuse or garble them. Fix them first.",
                done.hopeless,
            )
            text %= done.hopeless
            self.message_user(request, text, messages.WARNING)


@admin.register(FlagDefinitions)
class FlagDefinitionsAdmin(ReadOnlyAdmin):
    """The flag definitions that local reads use."""

    list_display = ("short_project", "revision", "flags", "fetched", "last_refresh")
    fields = ("short_project", "revision", "etag", "fetched", "last_refresh", "definitions")

    @admin.display  # type: ignore[untyped-decorator]
    def flags(self, row: Any) -> int:
        """The number of flags."""
        return len(read_event(row.data).get("flags", []))

    @admin.display(description="fetched at", ordering="fetched_at")  # type: ignore[untyped-decorator]
    def fetched(self, row: Any) -> datetime | None:
        """When they were stored."""
        return moment(row.fetched_at)

    @admin.display(description="last refresh")  # type: ignore[untyped-decorator]
    def last_refresh(self, row: Any) -> str:
        """The result of the last refresh."""
        last = Refresh.objects.filter(project=row.project).first()
        return " ".join(filter(None, (last.last_status, last.last_reason))) if last else ""

    @admin.display  # type: ignore[untyped-decorator]
    def definitions(self, row: Any) -> SafeString:
        """The definitions, formatted."""
        return _pretty(row.data)


def _pretty(text: str) -> SafeString:
    return format_html("<pre>{}</pre>", pretty(text).removesuffix("\n"))
