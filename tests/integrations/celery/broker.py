"""A part of the machine's Redis for one test: keys with a prefix of its own, which are removed afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from tests.fixtures.requirement import unavailable

URL = "redis://127.0.0.1:6379/9"


def configure(app: Any, prefix: str) -> Any:
    """Have the app use that part of Redis, for messages and for results."""
    app.conf.update(
        broker_url=URL,
        result_backend=URL,
        broker_transport_options={"global_keyprefix": prefix, "polling_interval": 0.1},
        result_backend_transport_options={"global_keyprefix": prefix},
        broker_connection_retry_on_startup=True,
        task_default_queue="work",
    )
    return app


@contextmanager
def redis_prefix() -> Iterator[str]:
    """A prefix that nobody else uses. Skips where there is no Redis."""
    prefix = f"hogbox-test-{uuid.uuid4().hex[:12]}:"
    with redis.Redis.from_url(URL) as client:
        try:
            client.ping()
        except redis.ConnectionError as error:
            unavailable("redis", str(error))
        try:
            yield prefix
        finally:
            for key in client.scan_iter(f"{prefix}*"):
                client.delete(key)
