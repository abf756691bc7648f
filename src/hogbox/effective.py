"""The settings in force, and where each comes from: an argument, the environment, or the default. Never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hogbox._wire.host import shorten
from hogbox.settings import POLLING_VARIABLE, SWITCH_VARIABLE, DeliverySettings, Settings, polling_interval


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting: its variable, its value for people, and its source."""

    name: str
    value: str
    source: str


def effective_settings(
    settings: Settings, delivery: DeliverySettings, environment: Mapping[str, str], arguments: Mapping[str, str | None]
) -> tuple[Effective, ...]:
    """Every setting. `arguments` are those of the command, by the variable in whose place they stand."""
    token = "POSTHOG_PROJECT_TOKEN"  # noqa: S105 - a variable's name
    if not (environment.get(token, "").strip() or arguments.get(token)) and environment.get("POSTHOG_API_KEY"):
        token = "POSTHOG_API_KEY"  # noqa: S105 - a variable's name
    values = {
        "HOGBOX_DATABASE_URL": shown_url(settings.database_url),
        "POSTHOG_HOST": shown_url(settings.host),
        token: shorten(settings.project_token) if settings.project_token else "not set",
        "POSTHOG_PERSONAL_API_KEY": "set" if settings.personal_api_key else "not set",
        "HOGBOX_TABLE_PREFIX": settings.table_prefix,
        "HOGBOX_DISABLED": str(int(settings.disabled)),
        "HOGBOX_KEEP_STALE_DEFINITIONS": str(int(settings.keep_stale_definitions)),
        "HOGBOX_DEFINITIONS_MAX_AGE_SECONDS": f"{settings.definitions_max_age_seconds:g}",
        "HOGBOX_FLAGS_TIMEOUT_SECONDS": f"{settings.flags_timeout_seconds:g}",
        "HOGBOX_FLAGS_RETRIES": str(settings.flags_retries),
        "HOGBOX_FLAG_HISTORY": str(settings.flag_history),
        "HOGBOX_FLAG_HISTORY_BYTES": str(settings.flag_history_bytes),
        "HOGBOX_OUTBOX_ROWS": str(settings.outbox_bounds.rows),
        "HOGBOX_OUTBOX_BYTES": str(settings.outbox_bounds.bytes),
        "HOGBOX_SQLITE_BYTES": str(settings.outbox_bounds.disk),
        "HOGBOX_OUTBOX_FULL": settings.outbox_full,
        "HOGBOX_ENCRYPTION_KEYS": "set" if environment.get("HOGBOX_ENCRYPTION_KEYS", "").strip() else "not set",
        POLLING_VARIABLE: str(polling_interval(environment)[0]),
        SWITCH_VARIABLE: environment.get(SWITCH_VARIABLE, "").strip() or "not set",
        **{f"HOGBOX_{field.name.upper()}": str(getattr(delivery, field.name)) for field in fields(delivery)},
    }
    return tuple(Effective(name, value, _source(name, environment, arguments)) for name, value in values.items())


def shown_url(url: str | None) -> str:
    """An address without its password, and without its query, which may hold one."""
    if url is None:
        return "not set"
    try:
        parts = make_url(url).set(query={})
    except (ArgumentError, ValueError):
        return "set"
    if "@" in (host := parts.host or ""):
        # The password has an @ that is not escaped, and what follows it counts as the host.
        parts = parts.set(host=host.rpartition("@")[2])
    return parts.render_as_string(hide_password=True)


def _source(name: str, environment: Mapping[str, str], arguments: Mapping[str, str | None]) -> str:
    if arguments.get(name):
        return "argument"
    return "environment" if environment.get(name, "").strip() else "default"
