"""The settings of clients and commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from hogbox._events.capacity import POLICIES, RAISE, Bounds
from hogbox._settings.address import shown_url
from hogbox._settings.setting import (
    BOOLEAN,
    FOLDER,
    NAMES,
    NOT_NEGATIVE,
    POSITIVE,
    POSITIVE_WHOLE,
    TEXT,
    WHOLE,
    ValueType,
    read_all,
    rows,
    setting,
)
from hogbox._wire.host import US, normalize_host, require_token, shorten, without_password
from hogbox._wire.key import Secret, read_key
from hogbox.errors import ConfigurationError

_PREFIX: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}")


def require_prefix(prefix: str) -> str:
    """The prefix, if it has lower-case letters, digits and underscores only. Raises ConfigurationError otherwise."""
    if _PREFIX.fullmatch(prefix):
        return prefix
    raise ConfigurationError(
        f"table_prefix {prefix!r} is invalid: use at most 40 lower-case letters, digits and underscores"
    )


def _require_policy(variable: str, policy: str) -> str:
    if policy in POLICIES:
        return policy
    raise ConfigurationError(f"{variable}={policy!r} is invalid: use {' or '.join(POLICIES)}")


REMOTE: Final = "remote"
"""The word for reads of flags that PostHog evaluates."""


def _require_tracking(variable: str, choice: object) -> bool | str:
    if isinstance(choice, bool) or choice == REMOTE:
        return choice
    raise ConfigurationError(f"{variable}={choice!r} is invalid: use True, False or {REMOTE!r}")


def _require_contexts(variable: str, contexts: Any) -> tuple[str, ...]:
    if isinstance(contexts, list | tuple | set | frozenset) and all(isinstance(one, str) for one in contexts):
        return tuple(contexts)
    raise ConfigurationError(f"{variable}={contexts!r} is invalid: use a list of texts, such as ['checkout']")


def _set_or_not(value: object) -> str:
    return "set" if value else "not set"


_DATABASE: Final = ValueType("URL", (str,), TEXT.read, show=shown_url)
_TOKEN: Final = ValueType("text", (str,), TEXT.read, show=lambda token: shorten(token) if token else "not set")
_HOST: Final = ValueType("URL", (str,), TEXT.read, lambda _, host: normalize_host(host), shown_url)
_KEY: Final = ValueType("text", (str,), TEXT.read, lambda _, key: read_key(key), _set_or_not)
_TABLE_PREFIX: Final = ValueType("text", (str,), TEXT.read, lambda _, prefix: require_prefix(prefix))
_TRACKING: Final = ValueType("yes, no or `remote`", (bool, str), lambda text, _: text, _require_tracking)
_CONTEXTS: Final = ValueType("list of texts", (tuple, list), lambda text, _: text, _require_contexts)
_POLICY: Final = ValueType("`raise` or `dead-letter`", (str,), lambda text, _: text.lower(), _require_policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """The settings of a client, a worker or a command: from arguments first, then from the environment."""

    database_url: str | None = setting(None, _DATABASE, "HOGBOX_DATABASE_URL", repr=False)
    """Not in the `repr`: it may contain a password."""
    host: str = setting(US, _HOST, "POSTHOG_HOST")
    project_token: str = setting("", _TOKEN, "POSTHOG_PROJECT_TOKEN", "POSTHOG_API_KEY")
    secret_key: Secret | None = setting(None, _KEY, "POSTHOG_SECRET_KEY", "POSTHOG_PERSONAL_API_KEY")
    table_prefix: str = setting("posthog_", _TABLE_PREFIX, "HOGBOX_TABLE_PREFIX")
    disabled: bool = setting(False, BOOLEAN, "HOGBOX_DISABLED")
    keep_stale_definitions: bool = setting(False, BOOLEAN, "HOGBOX_KEEP_STALE_DEFINITIONS")
    definitions_max_age_seconds: float = setting(
        1.0, NOT_NEGATIVE, "HOGBOX_DEFINITIONS_MAX_AGE_SECONDS", argument="definitions_max_age"
    )
    flags_timeout_seconds: float = setting(3.0, POSITIVE, "HOGBOX_FLAGS_TIMEOUT_SECONDS")
    flags_retries: int = setting(1, WHOLE, "HOGBOX_FLAGS_RETRIES")
    flag_history: int = setting(20, WHOLE, "HOGBOX_FLAG_HISTORY")
    flag_history_bytes: int = setting(20 * 1024 * 1024, POSITIVE_WHOLE, "HOGBOX_FLAG_HISTORY_BYTES")
    outbox_rows: int = setting(0, WHOLE, "HOGBOX_OUTBOX_ROWS")
    outbox_bytes: int = setting(0, WHOLE, "HOGBOX_OUTBOX_BYTES")
    sqlite_bytes: int = setting(0, WHOLE, "HOGBOX_SQLITE_BYTES")
    outbox_full: str = setting(RAISE, _POLICY, "HOGBOX_OUTBOX_FULL")
    disable_geoip: bool = setting(True, BOOLEAN)
    flags_timezone: str = setting("UTC", TEXT)
    properties_complete: bool = setting(False, BOOLEAN)
    track_exposures: bool | str = setting(False, _TRACKING)
    evaluation_contexts: tuple[str, ...] = setting((), _CONTEXTS)
    exception_locals: bool = setting(False, BOOLEAN)
    historical_migration: bool = setting(False, BOOLEAN)
    privacy_mode: bool = setting(False, BOOLEAN)
    enable_full_ai_capture: bool = setting(False, BOOLEAN)
    enable_exception_autocapture: bool = setting(False, BOOLEAN)
    log_captured_exceptions: bool = setting(False, BOOLEAN)
    capture_trace_context: bool = setting(False, BOOLEAN)
    in_app_modules: tuple[str, ...] = setting((), NAMES)
    in_app_exclude: tuple[str, ...] = setting((), NAMES)
    project_root: str | None = setting(None, FOLDER)

    def __str__(self) -> str:
        return f"project={shorten(self.project_token)!r}, host={without_password(self.host)!r}"

    @property
    def definitions_key(self) -> Secret | None:
        """The key, if flag definitions can be requested: there is a token too, and the client is not disabled."""
        return self.secret_key if self.project_token and not self.disabled else None

    @property
    def outbox_bounds(self) -> Bounds:
        """The limits of the outbox and of a SQLite database."""
        return Bounds(self.outbox_rows, self.outbox_bytes, self.sqlite_bytes)

    @classmethod
    def load(cls, environment: Mapping[str, str], *, token_needed: bool = True, **arguments: Any) -> Self:
        """Validated settings. Raises ConfigurationError for an invalid value.

        `token_needed` is False for workers and commands: an event in the outbox has its own project's token. There, a
        token is used to request flag definitions, together with the key. `personal_api_key` is an older name of
        `secret_key`.
        """
        older = arguments.pop("personal_api_key", None)
        if not arguments.get("secret_key"):
            arguments["secret_key"] = older
        given = read_all(cls, environment, arguments)
        values = {row.name: row.check(given[row.name], (row.variables or (row.name,))[0]) for row in rows(cls)}
        token, key = values["project_token"].strip(), values["secret_key"]
        if not values["disabled"] and (token_needed or (key and token)):
            token = require_token(token)
        return cls(**{**values, "project_token": token})
