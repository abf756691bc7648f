"""Address: where an application's asynchronous engine connects to, for hogbox's own synchronous connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import URL

from hogbox.errors import ConfigurationError

_PLACES: Final = {
    "host": "host",
    "port": "port",
    "user": "username",
    "password": "password",
    "database": "database",
    "dbname": "database",
    "db": "database",
}
"""Parameters of asynchronous drivers, and the part of a URL that says the same."""

_SETTINGS: Final = ("search_path", "role")
"""Settings of a PostgreSQL session by which the same names lead to other tables."""

_REFUSED: Final = frozenset({"dsn", "ssl", "async_creator_fn", "unix_socket", "service", "read_default_file"})
"""Parameters that say where, or how safely, to connect, and that other drivers do not take as they are."""


def address_of(engine: Any) -> URL:
    """The URL of an AsyncEngine, with what its `connect_args` say of the place.

    Raises ConfigurationError where its connections are made in a way that a URL does not tell: by an `async_creator`,
    a `do_connect` hook, or parameters that a synchronous driver does not take.
    """
    inner = engine.sync_engine
    creator = inner.pool._creator
    if getattr(creator, "__qualname__", "") != "create_engine.<locals>.connect":
        raise _unknown("an async_creator")
    if len(inner.dialect.dispatch.do_connect):
        raise _unknown("a do_connect hook")
    kept = dict(zip(creator.__code__.co_freevars, creator.__closure__ or (), strict=True))
    _, told = inner.dialect.create_connect_args(inner.url)
    given = {
        name: value for name, value in kept["cparams"].cell_contents.items() if name not in told or told[name] != value
    }
    return _with(inner.url, given)


def _with(url: URL, given: Mapping[str, Any]) -> URL:
    for name, value in given.items():
        if (name in _REFUSED and value) or (name in _PLACES and not isinstance(value, str | int)):
            raise _unknown(f"connect_args with {name!r}")
        if name in _PLACES:
            url = url.set(**{_PLACES[name]: value})
    options = _options(given)
    return url.update_query_dict({"options": options}) if options else url


def _options(given: Mapping[str, Any]) -> str:
    """What libpq has a server set at the start of a session; blanks and backslashes are escaped."""
    settings = given.get("server_settings") or {}
    chosen = [(name, str(settings[name])) for name in _SETTINGS if name in settings]
    escaped = [(name, value.replace("\\", "\\\\").replace(" ", "\\ ")) for name, value in chosen]
    return " ".join([*filter(None, [given.get("options")]), *(f"-c {name}={value}" for name, value in escaped)])


def _unknown(how: str) -> ConfigurationError:
    return ConfigurationError(
        f"the AsyncEngine connects by {how}, which hogbox's own synchronous connections can't follow: pass "
        "AsyncPostHog the URL of the same database, or a synchronous Engine; your transactions stay on the AsyncEngine"
    )
