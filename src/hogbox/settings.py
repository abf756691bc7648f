"""Settings: one frozen value, from arguments and the environment, checked once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from hogbox._events.room import NO_BOUNDS, POLICIES, RAISE, Bounds
from hogbox._wire.host import normalize_host, require_token, shorten, without_password
from hogbox._wire.key import Secret, read_key
from hogbox.errors import ConfigurationError

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off", ""})

POLLING_SECONDS: Final = 60
"""The time between two refreshes of the definitions, unless `POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS` says another."""

POLLING_VARIABLE: Final = "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS"

SWITCH_VARIABLE: Final = "POSTHOG_DISABLE_LOCAL_EVALUATION"

_MAY_BE_ZERO: Final = ("max_attempts", "dead_letter_days")

_LONGEST_POLLING_SECONDS: Final = 366 * 24 * 60 * 60
_PREFIX: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """How a worker delivers. Each field is also an environment variable: `HOGBOX_` and its name in capitals."""

    batch_events: int = 1000
    """Events in one request, at most."""
    batch_bytes: int = 5 * 1024 * 1024
    """Bytes of events in one request, before compression, at most; a larger event travels alone."""
    senders: int = 4
    """Requests under way at once, in one worker; on SQLite two at most, since only one can settle at a time."""
    request_timeout_seconds: float = 15.0
    """How long to wait for the server to connect, to take and to answer."""
    lease_seconds: float = 30.0
    """How long a worker that died keeps its shards; must outlast the request's time-out."""
    poll_seconds: float = 0.5
    """How often the outbox is looked at while nothing hints at new events."""
    retry_base_seconds: float = 1.0
    """The bound of the first retry's delay; doubles with every attempt."""
    retry_cap_seconds: float = 60.0
    """The bound of any retry's delay."""
    key_refused_cap_seconds: float = 300.0
    """The bound of the delay between tries for a project whose token is refused, and for an event that fails alone."""
    max_attempts: int = 0
    """Failures alone after which an event becomes a dead letter; 0 means that there is no limit."""
    dead_letter_days: int = 90
    """Days after which dead letters are removed; 0 means never."""
    exposure_seconds: float = 86400.0
    """How long an exposure is remembered: after that the same read of the same person is captured and sent again."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            lowest_ok = value >= 0 if field.name in _MAY_BE_ZERO else value > 0
            if not lowest_ok or value != value or value == float("inf"):
                wanted = "a number of at least 0" if field.name in _MAY_BE_ZERO else "a positive number"
                raise ConfigurationError(f"{field.name} ({_variable(field.name)}) must be {wanted}, not {value!r}")
            if isinstance(field.default, int) and not isinstance(value, int):
                raise ConfigurationError(
                    f"{field.name} ({_variable(field.name)}) must be a whole number, not {value!r}"
                )
        if self.lease_seconds < 1.5 * self.request_timeout_seconds:
            raise ConfigurationError(
                f"lease_seconds ({self.lease_seconds:g}) must be at least 1.5 times request_timeout_seconds "
                f"({self.request_timeout_seconds:g}): a worker sends only while its lease outlasts the request"
            )

    @classmethod
    def load(cls, environment: Mapping[str, str], **arguments: float | None) -> Self:
        """The arguments that are given, else the environment's `HOGBOX_…` values, else the defaults.

        Raises ConfigurationError, naming the variable, for a value that can't be read or used.
        """
        known = {field.name: type(field.default) for field in fields(cls)}
        if unknown := set(arguments) - set(known):
            raise ConfigurationError(f"unknown setting {sorted(unknown)[0]!r}; known are {', '.join(sorted(known))}")
        values: dict[str, Any] = {}
        for name, kind in known.items():
            variable = _variable(name)
            if (argument := arguments.get(name)) is not None:
                values[name] = argument
            elif text := environment.get(variable, "").strip():
                values[name] = _number(text, kind, variable)
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a client or a worker was told: by arguments first, then by the environment."""

    database_url: str | None = dataclasses.field(repr=False)
    """It may hold a password, and is shown nowhere."""
    project_token: str
    host: str
    table_prefix: str
    disabled: bool
    disable_geoip: bool
    personal_api_key: Secret | None = None
    keep_stale_definitions: bool = False
    definitions_max_age_seconds: float = 1.0
    flags_timeout_seconds: float = 3.0
    flags_retries: int = 1
    outbox_bounds: Bounds = NO_BOUNDS
    outbox_full: str = RAISE
    flag_history: int = 20
    flag_history_bytes: int = 20 * 1024 * 1024

    def __str__(self) -> str:
        return f"project={shorten(self.project_token)!r}, host={without_password(self.host)!r}"

    @property
    def definitions_key(self) -> Secret | None:
        """The key, where there is all that it takes to ask PostHog for flag definitions."""
        return self.personal_api_key if self.project_token and not self.disabled else None

    @classmethod
    def load(
        cls,
        environment: Mapping[str, str],
        *,
        database_url: str | None = None,
        project_token: str | None = None,
        host: str | None = None,
        table_prefix: str | None = None,
        disabled: bool | None = None,
        disable_geoip: bool = True,
        personal_api_key: str | None = None,
        keep_stale_definitions: bool | None = None,
        definitions_max_age: float | None = None,
        token_needed: bool = True,
    ) -> Self:
        """Checked settings. Raises ConfigurationError, saying what to do, for anything that can't work.

        `token_needed` is False for workers and commands: a waiting event carries its own project's token. One that is
        there is used to ask for flag definitions, together with the key.
        """

        def given(variable: str) -> str:
            return environment.get(variable, "").strip()

        def choice(variable: str, argument: bool | None) -> bool:
            return _flag(variable, given(variable)) if argument is None else argument

        def number(variable: str, argument: float | None, default: float, *, zero: bool = False) -> float:
            text = given(variable)
            value = argument if argument is not None else _number(text, type(default), variable) if text else default
            return _require_number(variable, value, zero=zero)

        off = choice("HOGBOX_DISABLED", disabled)
        token = (project_token or given("POSTHOG_PROJECT_TOKEN") or given("POSTHOG_API_KEY")).strip()
        key = read_key(personal_api_key or given("POSTHOG_PERSONAL_API_KEY"))
        token_used = not off and (token_needed or bool(key and token))
        return cls(
            database_url=database_url or given("HOGBOX_DATABASE_URL") or None,
            project_token=require_token(token) if token_used else token,
            host=normalize_host(host or given("POSTHOG_HOST")),
            table_prefix=require_prefix(table_prefix or given("HOGBOX_TABLE_PREFIX") or "posthog_"),
            disabled=off,
            disable_geoip=disable_geoip,
            personal_api_key=key,
            keep_stale_definitions=choice("HOGBOX_KEEP_STALE_DEFINITIONS", keep_stale_definitions),
            definitions_max_age_seconds=number(
                "HOGBOX_DEFINITIONS_MAX_AGE_SECONDS", definitions_max_age, 1.0, zero=True
            ),
            flags_timeout_seconds=number("HOGBOX_FLAGS_TIMEOUT_SECONDS", None, 3.0),
            flags_retries=int(number("HOGBOX_FLAGS_RETRIES", None, 1, zero=True)),
            outbox_bounds=Bounds(
                rows=int(number("HOGBOX_OUTBOX_ROWS", None, 0, zero=True)),
                bytes=int(number("HOGBOX_OUTBOX_BYTES", None, 0, zero=True)),
                disk=int(number("HOGBOX_SQLITE_BYTES", None, 0, zero=True)),
            ),
            outbox_full=_require_policy(given("HOGBOX_OUTBOX_FULL").lower() or RAISE),
            flag_history=int(number("HOGBOX_FLAG_HISTORY", None, 20, zero=True)),
            flag_history_bytes=int(number("HOGBOX_FLAG_HISTORY_BYTES", None, 20 * 1024 * 1024)),
        )


def polling_interval(environment: Mapping[str, str]) -> tuple[int, str | None]:
    """The seconds between two refreshes of the definitions, and what is wrong with the value given, if anything."""
    text = environment.get(POLLING_VARIABLE, "").strip()
    if not text:
        return POLLING_SECONDS, None
    if text.isascii() and text.isdigit() and 0 < (seconds := int(text[:12])) <= _LONGEST_POLLING_SECONDS:
        return seconds, None
    return (
        POLLING_SECONDS,
        f"{POLLING_VARIABLE}={text!r} is no whole number of seconds above 0: {POLLING_SECONDS} s are taken",
    )


def polling_disabled(environment: Mapping[str, str]) -> bool:
    """Whether the definitions are not to be refreshed by themselves; whatever is not a yes is a no."""
    return environment.get(SWITCH_VARIABLE, "").strip().lower() in _TRUE


def require_prefix(prefix: str) -> str:
    """The prefix of hogbox's tables: lower-case letters, digits and underscores. ConfigurationError otherwise."""
    if _PREFIX.fullmatch(prefix):
        return prefix
    raise ConfigurationError(
        f"table_prefix {prefix!r} can't begin a table's name: use at most 40 lower-case letters, digits, underscores"
    )


def _require_policy(policy: str) -> str:
    if policy in POLICIES:
        return policy
    raise ConfigurationError(f"HOGBOX_OUTBOX_FULL={policy!r} is none of {', '.join(POLICIES)}")


def _variable(setting: str) -> str:
    return f"HOGBOX_{setting.upper()}"


def _flag(variable: str, text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ConfigurationError(f"{variable}={text!r} is neither yes nor no: use 1 or 0")


def _require_number(variable: str, value: float, *, zero: bool) -> float:
    if (value >= 0 if zero else value > 0) and value != float("inf"):
        return value
    wanted = "a number of at least 0" if zero else "a positive number"
    raise ConfigurationError(f"{variable} must be {wanted}, not {value!r}")


def _number(text: str, kind: type, variable: str) -> float:
    try:
        return int(text) if kind is int else float(text)
    except ValueError:
        raise ConfigurationError(f"{variable}={text!r} is not a number") from None
