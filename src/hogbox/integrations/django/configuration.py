"""The HOGBOX setting, validated: the arguments of `PostHog` in capitals, and a few keys for Django only.

    HOGBOX = {"PROJECT_TOKEN": "phc_…", "BEFORE_SEND": "shop.privacy.strip", "DATABASE": "default"}

Missing keys, and None, are read from the environment, as everywhere in hogbox; except the database, which is Django's.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from django.conf import settings  # type: ignore[import-untyped]
from django.db import DEFAULT_DB_ALIAS, connections  # type: ignore[import-untyped]
from django.utils.module_loading import import_string  # type: ignore[import-untyped]

from hogbox._settings.client import ClientSettings, require_prefix
from hogbox._settings.delivery import DeliverySettings
from hogbox._settings.setting import rows
from hogbox.client import PostHog
from hogbox.errors import ConfigurationError
from hogbox.integrations._request_option import CALLBACKS, RequestOptions

ARGUMENTS: Final = {
    name.upper(): parameter
    for name, parameter in inspect.signature(PostHog).parameters.items()
    if name not in ("self", "database")
}
"""The parameters of `PostHog`, except the database, by their keys in HOGBOX."""

_REQUEST_CALLBACKS: Final = tuple(name.upper() for name in CALLBACKS)
_CHOICES: Final = ("PERSONLESS", "CAPTURE_TRACING_HEADERS", "CAPTURE_URL_QUERY", "CAPTURE_EXCEPTIONS")

OWN: Final = ("DATABASE", "DATABASE_URL", "USER_DISTINCT_ID", *_CHOICES, *_REQUEST_CALLBACKS)
"""The keys for Django only."""

_CALLABLES: Final = ("IDENTIFY", "BEFORE_SEND", "USER_DISTINCT_ID", *_REQUEST_CALLBACKS)

OFFICIAL: Final = {
    "POSTHOG_MW_CAPTURE_EXCEPTIONS": "CAPTURE_EXCEPTIONS",
    "POSTHOG_MW_CAPTURE_TRACING_HEADERS": "CAPTURE_TRACING_HEADERS",
    "POSTHOG_MW_TRUST_TRACING_HEADERS": "CAPTURE_TRACING_HEADERS",
    "POSTHOG_MW_REQUEST_FILTER": "REQUEST_FILTER",
    "POSTHOG_MW_EXTRA_PROPERTIES": "EXTRA_PROPERTIES",
    "POSTHOG_MW_EXTRA_TAGS": "EXTRA_PROPERTIES",
    "POSTHOG_MW_PROPERTIES_MAP": "PROPERTIES_MAP",
    "POSTHOG_MW_TAG_MAP": "PROPERTIES_MAP",
}
"""The settings of PostHog's own middleware, by precedence, and the keys that they stand for."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The HOGBOX setting, with dotted paths imported."""

    arguments: Mapping[str, Any]
    """The arguments of `PostHog`, by name."""
    alias: str = DEFAULT_DB_ALIAS
    """The alias of the database with hogbox's tables, in whose transactions events are captured."""
    database_url: str | None = None
    """The URL for hogbox's own connections; None: the database of the alias."""
    requests: RequestOptions = field(default_factory=RequestOptions)
    """The options of the middleware."""
    user_distinct_id: Callable[[Any], Any] | None = None
    """Returns the distinct id of a signed-in user; None: the primary key."""

    def settings(self) -> ClientSettings:
        """The settings for a worker or a command, which need no project token. Raises ConfigurationError."""
        known = {*(row.argument for row in rows(ClientSettings)), "personal_api_key"}
        given = {name: value for name, value in self.arguments.items() if name in known}
        return ClientSettings.load(os.environ, token_needed=False, **given)

    @property
    def delivery(self) -> DeliverySettings:
        """The settings of delivery. Raises ConfigurationError."""
        return self.arguments.get("delivery") or DeliverySettings.load(os.environ)


@cache
def configuration() -> Configuration:
    """The HOGBOX setting, read once, and again after a test has changed it. Raises ConfigurationError."""
    given = _given()
    alias = given.pop("DATABASE", DEFAULT_DB_ALIAS)
    if alias not in connections.settings:
        known = ", ".join(map(repr, connections.settings))
        raise ConfigurationError(f"HOGBOX['DATABASE'] is {alias!r}, but DATABASES contains {known}")
    requests = {name.lower(): given.pop(name) for name in (*_CHOICES, *_REQUEST_CALLBACKS) if name in given}
    own = {name.lower(): given.pop(name) for name in OWN if name in given}
    arguments = {name.lower(): value for name, value in given.items()}
    return Configuration(alias=alias, arguments=arguments, requests=RequestOptions(**requests), **own)


def table_prefix() -> str:
    """The prefix of hogbox's tables, for models, which need it before settings are validated: never raises."""
    given = getattr(settings, "HOGBOX", None)
    prefix = given.get("TABLE_PREFIX") if isinstance(given, Mapping) else None
    try:
        return require_prefix(prefix or os.environ.get("HOGBOX_TABLE_PREFIX", "").strip() or "posthog_")
    except (ConfigurationError, TypeError):
        return "posthog_"


def _given() -> dict[str, Any]:
    given = getattr(settings, "HOGBOX", {})
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"HOGBOX must be a dict, {{'PROJECT_TOKEN': 'phc_…'}}, not {type(given).__name__}")
    known = [*ARGUMENTS, *OWN]
    if unknown := [key for key in given if key not in known]:
        raise ConfigurationError(f"unknown key {unknown[0]!r} in HOGBOX; the keys are {', '.join(sorted(known))}")
    read = {key: _value(key, value, f"HOGBOX[{key!r}]") for key, value in given.items() if value is not None}
    for name, key in OFFICIAL.items():
        value = getattr(settings, name, None)
        if value is not None and key not in read:
            read[key] = _value(key, value, name)
    return read


def _value(key: str, value: Any, said: str) -> Any:
    """The value of a key, checked; `said` is where it was given, for messages."""
    if key in _CALLABLES:
        return _callables(key, value, said)
    if key == "DELIVERY":
        return _delivery(value)
    types = _types(key)
    # In Python, True is also an int.
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise ConfigurationError(f"{said} must be {_WORDS[types[0]]}, not {type(value).__name__}")
    return value


def _types(key: str) -> tuple[type, ...]:
    if key in _CHOICES:
        return (bool,)
    return next((row.kind.types for row in rows(ClientSettings) if row.argument.upper() == key), (str,))


_WORDS: Final = {bool: "True or False", str: "text", int: "a number", tuple: "a list of texts"}


def _callables(key: str, value: Any, said: str) -> Any:
    """A callable, or the path of one; for BEFORE_SEND also a list of them."""
    if key == "BEFORE_SEND" and isinstance(value, (list, tuple)):
        return [_callable(one, said) for one in value]
    return _callable(value, said)


def _callable(value: Any, said: str) -> Any:
    found = value
    if isinstance(value, str):
        try:
            found = import_string(value)
        except ImportError as error:
            raise ConfigurationError(f"{said} is {value!r}, which can't be imported: {error}") from error
    if not callable(found):
        raise ConfigurationError(f"{said} must be a callable or the path of one, not {value!r}")
    return found


def _delivery(value: Any) -> DeliverySettings:
    if isinstance(value, DeliverySettings):
        return value
    if isinstance(value, Mapping):
        return DeliverySettings.load(os.environ, **value)
    raise ConfigurationError(f"HOGBOX['DELIVERY'] must be a dict or DeliverySettings, not {type(value).__name__}")
