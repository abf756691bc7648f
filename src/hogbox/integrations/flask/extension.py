"""Extension: installs hogbox in a Flask application, and finds the client of the current application."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import Flask, Request, current_app, got_request_exception, request_started
from sqlalchemy import Engine, StaticPool
from werkzeug.local import LocalProxy

from hogbox.client import PostHog
from hogbox.errors import ConfigurationError
from hogbox.integrations._request_option import PropertiesMap, RequestOptions
from hogbox.integrations.flask.middleware import FindDistinctId, Middleware
from hogbox.integrations.flask.worker import with_worker

EXTENSION: Final = "hogbox"
"""The key of the application's client in `app.extensions`."""


class Hogbox:
    """The extension: `Hogbox(app)`, or `hogbox = Hogbox()` and later `hogbox.init_app(app)`, for several applications.

    Arguments:
        app: The application to install it in.
        posthog: The client. Default: one for each application, from these keys of `app.config`, each of which falls
            back to the environment variable of its name: `HOGBOX_DATABASE_URL`, `POSTHOG_PROJECT_TOKEN`,
            `POSTHOG_HOST`, `POSTHOG_SECRET_KEY`, `POSTHOG_PERSONAL_API_KEY`, `HOGBOX_TABLE_PREFIX`, `HOGBOX_DISABLED`.
            Without a URL it uses the engine of Flask-SQLAlchemy, if that is already installed in the application.
        distinct_id: Returns the distinct id of the signed-in user, or None. Called in Flask's request context each time
            that an event or a flag needs one. It has precedence over the tracing header; `identify` and arguments have
            precedence over it. If it raises, this is logged, and the header applies.
        personless: Without a signed-in user, capture events without a person, and flags are inconclusive. False: raise
            MissingDistinctId instead.
        capture_tracing_headers: Read the distinct id and the session from the headers of PostHog's web client. Anyone
            can send them, with any id.
        capture_url_query: Include the query in `$current_url`; it may contain tokens and names.
        capture_exceptions: Capture unhandled exceptions, with `$response_status_code`, in a transaction of their own.
        request_filter: Returns False for a request that is to be left out: its context is empty, and its exceptions
            are not captured. Called in Flask's request context, before the functions of `before_request`, as
            `extra_properties`.
        extra_properties: Returns more properties for all events of the request.
        properties_map: Receives all properties of the request, and returns those that events are to have.
        start_worker: Run a worker thread in every process that serves requests, from its first request to its end.

    Raises ConfigurationError for invalid arguments or an invalid configuration, at the latest from `init_app`.
    """

    def __init__(
        self,
        app: Flask | None = None,
        posthog: PostHog | None = None,
        *,
        distinct_id: FindDistinctId | None = None,
        personless: bool = True,
        capture_tracing_headers: bool = True,
        capture_url_query: bool = False,
        capture_exceptions: bool = True,
        request_filter: Callable[[Request], bool] | None = None,
        extra_properties: Callable[[Request], Mapping[str, Any] | None] | None = None,
        properties_map: PropertiesMap | None = None,
        start_worker: bool = False,
    ) -> None:
        if posthog is not None and not isinstance(posthog, PostHog):
            raise ConfigurationError(f"posthog must be a hogbox.PostHog, not {type(posthog).__name__}")
        if distinct_id is not None and not callable(distinct_id):
            raise ConfigurationError(
                f"distinct_id must be a function that returns the user's distinct id, not {distinct_id!r}"
            )
        self._posthog = posthog
        self._distinct_id = distinct_id
        self._options = RequestOptions(
            personless=personless,
            capture_tracing_headers=capture_tracing_headers,
            capture_url_query=capture_url_query,
            capture_exceptions=capture_exceptions,
            request_filter=request_filter,
            extra_properties=extra_properties,
            properties_map=properties_map,
        )
        self._start_worker = start_worker
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Install it in an application. Does not connect, query or start anything before the first request.

        Raises ConfigurationError if it is installed already, or the configuration is invalid.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError("hogbox is already installed in this application: use current_posthog")
        posthog = self._posthog or _make_client(app)
        middleware = Middleware(app.wsgi_app, posthog, self._distinct_id, self._options)
        request_started.connect(middleware.describe, app)
        got_request_exception.connect(middleware.note, app)
        wsgi_app = with_worker(middleware, posthog) if self._start_worker else middleware
        app.wsgi_app = wsgi_app  # type: ignore[assignment]
        app.extensions[EXTENSION] = posthog


def _find_client() -> PostHog:
    client = current_app.extensions.get(EXTENSION)
    if isinstance(client, PostHog):
        return client
    raise ConfigurationError("hogbox is not installed in this application: call Hogbox(app), or init_app(app)")


current_posthog: PostHog = LocalProxy(_find_client)  # type: ignore[assignment]
"""The client of the current application. Requires an application context, like `current_app`."""


def _make_client(app: Flask) -> PostHog:
    config = app.config
    disabled: Any = config.get("HOGBOX_DISABLED")
    if isinstance(disabled, str):
        raise ConfigurationError(f"HOGBOX_DISABLED in app.config must be True or False, not {disabled!r}")
    return PostHog(
        config.get("HOGBOX_DATABASE_URL") or _find_engine(app),
        project_token=config.get("POSTHOG_PROJECT_TOKEN"),
        host=config.get("POSTHOG_HOST"),
        secret_key=config.get("POSTHOG_SECRET_KEY"),
        personal_api_key=config.get("POSTHOG_PERSONAL_API_KEY"),
        table_prefix=config.get("HOGBOX_TABLE_PREFIX"),
        disabled=None if disabled is None else bool(disabled),
    )


def _find_engine(app: Flask) -> Engine | None:
    """The engine of Flask-SQLAlchemy, if no database is configured.

    Not an engine with a single connection, as for SQLite in memory: hogbox's commits would commit the request's work.
    """
    db = app.extensions.get("sqlalchemy")
    if db is None or os.environ.get("HOGBOX_DATABASE_URL", "").strip():
        return None
    with app.app_context():
        engine = db.engines.get(None)
    return engine if isinstance(engine, Engine) and not isinstance(engine.pool, StaticPool) else None
