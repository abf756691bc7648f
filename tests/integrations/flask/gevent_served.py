"""What gunicorn serves with gevent workers, and its hooks: the recipe of the page on gunicorn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from hogbox import PostHog

posthog = PostHog(os.environ["SHOP_DATABASE_URL"], project_token="phc_gevent", host=os.environ["POSTHOG_HOST"])


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Capture a visit."""
    posthog.capture(None, "visited", distinct_id=environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
