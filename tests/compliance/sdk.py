"""hogbox behind the interface of PostHog's SDK test harness: a real client, outbox and worker (wire protocol 10.0).

An outbox has no `max_retries`: events wait until PostHog takes them. So a flush ends when nothing is waiting, when the
project is on hold, or when the events failed `max_retries` + 1 times; the worker is stopped then, and the events stay.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa

from hogbox import DeliverySettings, PostHog

Mode = Literal["deliver", "thread", "process"]
MODES: Final[tuple[Mode, ...]] = ("deliver", "thread", "process")

LONGEST_FLUSH: Final = 60.0
_LOOK_SECONDS: Final = 0.01

_OPTIONS: Final = {
    "cookieless_mode": "$cookieless_mode",
    "disable_skew_correction": "$ignore_sent_at",
    "process_person_profile": "$process_person_profile",
    "product_tour_id": "$product_tour_id",
}
"""The options of the harness, and the properties by which a caller of hogbox sets them."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """The arguments of the harness's `/init`."""

    api_key: str = "phc_test_key"
    host: str
    flush_at: int = 100
    max_retries: int = 3
    enable_compression: bool = False
    disable_geoip: bool | None = None
    historical_migration: bool = False
    personal_api_key: str | None = None


@dataclass(frozen=True)
class Variant:
    """How events are delivered, in which protocol, and the compression that `enable_compression` stands for."""

    mode: Mode = "deliver"
    protocol: Literal["v0", "v1"] = "v0"
    compression: str = "gzip"


@dataclass
class _Counts:
    captured: int = 0
    flushed: int = 0
    last_error: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Sdk:
    """One client on a SQLite file of its own."""

    def __init__(self, start: Start, variant: Variant) -> None:
        self._start = start
        self._variant = variant
        self._folder = tempfile.TemporaryDirectory(prefix="hogbox-compliance-")
        self._url = f"sqlite:///{Path(self._folder.name) / 'app.db'}"
        self._engine = sa.create_engine(self._url)
        self.client = PostHog(
            self._url,
            project_token=start.api_key,
            host=start.host,
            personal_api_key=start.personal_api_key,
            # PostHog's SDKs for servers leave the location of a server out; the harness expects it when not asked.
            disable_geoip=bool(start.disable_geoip),
            delivery=DeliverySettings(
                poll_seconds=0.05, capture_compression=variant.compression if start.enable_compression else "none"
            ),
            definitions_max_age=0,
            capture_mode=variant.protocol,
            historical_migration=start.historical_migration,
        )
        self.client.create_tables()
        self._counts = _Counts()

    def close(self) -> None:
        self.client.shutdown()
        self._engine.dispose()
        self._folder.cleanup()

    def capture(
        self,
        distinct_id: str,
        event: str,
        properties: Mapping[str, Any] | None = None,
        timestamp: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> str | None:
        """The event's uuid. As many captures as `flush_at` start a delivery by themselves."""
        given = {**(properties or {}), **{_OPTIONS[name]: value for name, value in (options or {}).items()}}
        uuid = self.client.capture(
            None, event, distinct_id=distinct_id, properties=given, timestamp=_instant(timestamp)
        )
        self._captured()
        return uuid

    def capture_ai(
        self,
        distinct_id: str,
        event: str,
        properties: Mapping[str, Any] | None = None,
        timestamp: str | None = None,
        uuid: str | None = None,
    ) -> str | None:
        given = self.client.capture_ai(
            None, event, distinct_id=distinct_id, properties=properties, timestamp=_instant(timestamp), uuid=uuid
        )
        self._captured()
        return given

    def get_feature_flag(
        self,
        key: str,
        distinct_id: str,
        person_properties: Mapping[str, Any] | None = None,
        groups: Mapping[str, str] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        disable_geoip: bool | None = None,
    ) -> Any:
        """The flag's value, evaluated by PostHog, with an exposure."""
        return self.client.evaluate_flag(
            None,
            key,
            distinct_id=distinct_id,
            person_properties=person_properties,
            groups=groups,
            group_properties=group_properties,
            disable_geoip=disable_geoip,
            track_exposures=True,
        )

    def local_flag(self, key: str, distinct_id: str, **person: Any) -> dict[str, Any]:
        """The flag's value, evaluated here alone."""
        result = self.client.get_feature_flag_result(None, key, distinct_id=distinct_id, **person)
        decided = result is not None and result.conclusive
        return {"success": decided, "value": result.value if decided and result else None, "locally_evaluated": decided}

    def reload(self) -> bool:
        """Whether new definitions were fetched, stored, and are what this client reads."""
        refreshed = self.client.refresh_flag_definitions()
        return refreshed.status in ("updated", "unchanged")

    def flush(self) -> int:
        """Deliver what waits, or find that it cannot be delivered; the number of events that left the outbox."""
        before = self.pending
        if not before:
            return 0
        with _WORKERS[self._variant.mode](self):
            ends = time.monotonic() + LONGEST_FLUSH
            while not self._over() and time.monotonic() < ends:
                time.sleep(_LOOK_SECONDS)
        return before - self.pending

    def state(self) -> dict[str, Any]:
        pending, counts = self.pending, self._counts
        return {
            "pending_events": pending,
            "total_events_captured": counts.captured,
            "total_events_sent": counts.captured - pending - self.dead,
            "total_retries": self._failures(),
            "last_error": counts.last_error,
            "requests_made": [],
        }

    @property
    def pending(self) -> int:
        return self._number("SELECT count(*) FROM posthog_outbox")

    @property
    def dead(self) -> int:
        return self._number("SELECT count(*) FROM posthog_dead_letters")

    def _captured(self) -> None:
        with self._counts.lock:
            self._counts.captured += 1
            full = self._counts.captured % self._start.flush_at == 0 and self._start.flush_at > 1
        if full:
            self.flush()

    def _over(self) -> bool:
        refused = self._number("SELECT count(*) FROM posthog_holds WHERE status IN (401, 402, 403, 404)")
        return not self.pending or bool(refused) or self._failures() > self._start.max_retries

    def _failures(self) -> int:
        """How often in a row the oldest events failed."""
        shards = self._number("SELECT coalesce(max(attempt), 0) FROM posthog_shards")
        return max(shards, self._number("SELECT coalesce(max(attempt), 0) FROM posthog_holds"))

    def _number(self, statement: str) -> int:
        with self._engine.connect() as connection:
            return int(connection.scalar(sa.text(statement)) or 0)


@contextmanager
def _delivering(sdk: Sdk) -> Iterator[None]:
    """`deliver()` in another thread, stopped from outside as a signal stops `hogbox deliver`."""
    worker = sdk.client._components.drainer()
    thread = threading.Thread(target=sdk.client._components.drain, args=(worker, LONGEST_FLUSH, None))
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()


@contextmanager
def _with_thread(sdk: Sdk) -> Iterator[None]:
    """`start()`: the worker thread of the client's process."""
    sdk.client.start()
    try:
        yield
    finally:
        sdk.client._components.thread.stop(None)


@contextmanager
def _with_process(sdk: Sdk) -> Iterator[None]:
    """`hogbox worker`, as an operator starts it."""
    start, variant = sdk._start, sdk._variant
    environment = {
        **os.environ,
        "HOGBOX_DATABASE_URL": sdk._url,
        "POSTHOG_HOST": start.host,
        "POSTHOG_PROJECT_TOKEN": start.api_key,
        "HOGBOX_POLL_SECONDS": "0.05",
        "POSTHOG_CAPTURE_MODE": variant.protocol,
        "POSTHOG_CAPTURE_COMPRESSION": variant.compression if start.enable_compression else "none",
    }
    worker = subprocess.Popen([sys.executable, "-m", "hogbox", "worker"], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()


_WORKERS: Final = {"deliver": _delivering, "thread": _with_thread, "process": _with_process}


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
