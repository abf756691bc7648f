"""The worker thread of each process that serves requests: started by its first request, stopped with the process.

Not earlier: threads don't survive a fork, and servers fork after loading the application.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from hogbox.client import PostHog

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("hogbox")

_SHUTDOWN_SECONDS: Final = 20.0
"""Longer than a request may take by default (15 s), so that its events are settled and not sent again."""


def with_worker(wsgi_app: WSGIApplication, posthog: PostHog) -> WSGIApplication:
    """The same application, which starts the client's worker if its process has none.

    Errors are logged, and the next request tries again.
    """
    started_in: int | None = None

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal started_in
        if started_in != os.getpid():
            # Set before the start, so that concurrent requests do not start it too.
            started_in = os.getpid()
            try:
                posthog.start()
            except Exception:
                started_in = None
                log.exception("the worker thread could not be started")
            else:
                atexit.register(posthog.shutdown, _SHUTDOWN_SECONDS)
        return wsgi_app(environ, start_response)

    return application
