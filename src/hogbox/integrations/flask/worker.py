"""The worker thread of each process that serves requests: begun by its first request, ended with the process.

Not before: threads don't survive a fork, and servers fork after they have loaded the application.
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


def with_worker(wsgi_app: WSGIApplication, posthog: PostHog) -> WSGIApplication:
    """The same application, which starts the client's worker where its process has none.

    What goes wrong is logged, and tried again with the next request.
    """
    started_in: int | None = None

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal started_in
        if started_in != os.getpid():
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
