"""Admin pages: the outbox, the dead letters, which can be sent again, and the flag definitions. All are read only."""

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
    """Shows rows to who may view them, and lets nobody add, change or delete one."""

    actions_on_bottom = True
    show_full_result_count = False

    def has_add_permission(self, *_: Any) -> bool:
        """Never: events are captured."""
        return False

    def has_change_permission(self, *_: Any) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        """Never: they leave when they are delivered."""
        return False

    @admin.display(description="project")  # type: ignore[untyped-decorator]
    def short_project(self, row: Any) -> str:
        """The project's token, shortened."""
        return shorten(row.project)


class EventAdmin(ReadOnlyAdmin):
    """What the pages of the outbox and of the dead letters have in common."""

    search_fields: tuple[str, ...] = ("payload",)
    ordering = ("id",)

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """The rows in which the text is, as it was typed or as it is stored."""
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
        """Whose event it is."""
        return str(read_event(readable(row.payload, row)).get("distinct_id", ""))

    @admin.display(description="captured at", ordering="created_at")  # type: ignore[untyped-decorator]
    def captured_at(self, row: Any) -> datetime | None:
        """When it was captured."""
        return moment(row.created_at)

    @admin.display(description="payload")  # type: ignore[untyped-decorator]
    def pretty_payload(self, row: Any) -> SafeString:
        """The event, to be read."""
        return _pretty(readable(row.payload, row))


@admin.register(OutboxEvent)
class OutboxEventAdmin(EventAdmin):
    """The events that wait."""

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
        """Who may change dead letters."""
        return bool(request.user.has_perm("hogbox.change_deadletter"))

    @admin.action(description="Retry: put back into the outbox", permissions=["retry"])  # type: ignore[untyped-decorator]
    def retry(self, request: Any, queryset: Any) -> None:
        """Put the chosen ones back, in their order, all or none."""
        done = retry(queryset.values_list("pk", flat=True))
        if done.put_back:
            text = ngettext("%d event waits again.", "%d events wait again.", done.put_back) % done.put_back
            self.message_user(request, text, messages.SUCCESS)
        if done.hopeless:
            text = f"{done.hopeless} not put back: PostHog would refuse or garble them again. Mend them first."
            self.message_user(request, text, messages.WARNING)


@admin.register(FlagDefinitions)
class FlagDefinitionsAdmin(ReadOnlyAdmin):
    """The flag definitions that local reads use."""

    list_display = ("short_project", "revision", "flags", "fetched", "last_refresh")
    fields = ("short_project", "revision", "etag", "fetched", "last_refresh", "definitions")

    @admin.display  # type: ignore[untyped-decorator]
    def flags(self, row: Any) -> int:
        """How many there are."""
        return len(read_event(row.data).get("flags", []))

    @admin.display(description="fetched at", ordering="fetched_at")  # type: ignore[untyped-decorator]
    def fetched(self, row: Any) -> datetime | None:
        """When they were stored."""
        return moment(row.fetched_at)

    @admin.display(description="last refresh")  # type: ignore[untyped-decorator]
    def last_refresh(self, row: Any) -> str:
        """What became of it."""
        last = Refresh.objects.filter(project=row.project).first()
        return " ".join(filter(None, (last.last_status, last.last_reason))) if last else ""

    @admin.display  # type: ignore[untyped-decorator]
    def definitions(self, row: Any) -> SafeString:
        """The definitions, to be read."""
        return _pretty(row.data)


def _pretty(text: str) -> SafeString:
    return format_html("<pre>{}</pre>", pretty(text).removesuffix("\n"))
