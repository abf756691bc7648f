"""Refresher: fetches a project's flag definitions from PostHog and stores them, on request or when a refresh is due.

    read the stored ones -> GET with their ETag -> interpret the response -> store, also in the history -> note it

No lock is held in between: if two refreshes overlap, a later response to an earlier request is not stored.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from hogbox._delivery.condition import Condition
from hogbox._http.definitions import DefinitionsTransport
from hogbox._http.response import NoReply
from hogbox._settings.client import ClientSettings
from hogbox._settings.polling import SWITCH_VARIABLE, polling_disabled, polling_interval
from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStore, StoredDefinitions, TooLarge
from hogbox._store.history import HistoryStore
from hogbox._wire.definitions import (
    DefinitionsOutcome,
    DefinitionsRequest,
    Parse,
    RefreshContext,
    RefreshReason,
    RefreshStatus,
    Snapshot,
    definitions_request,
    interpret,
    no_reply,
    readable,
    retry_delays,
    worth_retrying,
)
from hogbox._wire.host import shorten
from hogbox._wire.key import Secret, objection
from hogbox._wire.library import USER_AGENT
from hogbox._worker.process import process_name
from hogbox.telemetry import Refreshed, Telemetry

log = logging.getLogger("hogbox.refresh")

RETRY_VARIABLE: Final = "POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE"

_WELL: Final = (RefreshStatus.UPDATED, RefreshStatus.UNCHANGED)
_EXIT_CODES: Final[Mapping[str, int]] = {
    RefreshStatus.UPDATED: 0,
    RefreshStatus.UNCHANGED: 0,
    RefreshStatus.ERROR: 1,
    RefreshStatus.SKIPPED: 2,
    RefreshStatus.EMPTY: 3,
    RefreshStatus.STALE: 3,
}
_TOGETHER: Final = 0.02
"""Seconds to wake up after a refresh is due, so that it is due by the database's clock as well."""

Pause = Callable[[float], bool]
"""Waits this many seconds; returns whether to give up."""


class Refresh(NamedTuple):
    """The result of a refresh: a status, a reason for some statuses, and a description."""

    status: str
    reason: str | None = None
    detail: str = ""

    @property
    def exit_code(self) -> int:
        """The exit code of a command: 1 for an error, 2 if it was skipped, 3 if PostHog's cache is cold, else 0."""
        return _EXIT_CODES[self.status]

    def __str__(self) -> str:
        return f"{self.status}/{self.reason}" if self.reason else self.status


Refresh.__module__ = "hogbox"


class GivenUp(Exception):
    """The process is stopping; nothing was stored."""


class Refresher:
    """Refreshes the definitions of the configured project. Safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        settings: ClientSettings,
        *,
        parse: Parse | None = None,
        environment: Mapping[str, str] = os.environ,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._parse = parse or _parse
        self._environment = environment
        self._telemetry = telemetry or Telemetry()
        self._store = DefinitionStore(database, settings.project_token)
        self._history = HistoryStore(database, settings.project_token)
        self._failing = Condition()
        self._bad_interval: str | None = None
        self._key = settings.definitions_key
        if self._key and (doubt := objection(self._key)):
            log.warning("%s", doubt)

    @property
    def configured(self) -> bool:
        """Whether the key for definitions is set."""
        return self._key is not None

    def refresh(self) -> Refresh:
        """Refresh now, whether or not it is due; the next refresh is then due one interval from now.

        Takes up to a minute if PostHog is slow or busy. Raises TablesError and errors of the database; any other
        failure is in the result.
        """
        if self._key is None:
            return self._skipped()
        self._database.await_writer()
        self._store.move_due(process_name(), self.interval())
        return self._refresh(self._key, _sleep, loudly=True)

    def refresh_if_due(self) -> Refresh:
        """Refresh if it is due and no other process does it: one `tick`, for a scheduled job.

        Takes as long and raises the same errors as `refresh`.
        """
        if self._key is None:
            return self._skipped()
        if polling_disabled(self._environment):
            return Refresh(RefreshStatus.SKIPPED, RefreshReason.DISABLED, f"{SWITCH_VARIABLE} is set")
        self._database.await_writer()
        if not self._claim_first_or_due(process_name()):
            return Refresh(
                RefreshStatus.SKIPPED, RefreshReason.NOT_DUE, "the last request was less than one interval ago"
            )
        return self._refresh(self._key, _sleep, loudly=False)

    def tick(self, worker: str, pause: Pause) -> float:
        """Refresh, as this worker, if it is due and no other process does it; the seconds until the next tick.

        Raises GivenUp if `pause` returns True, and errors of the database.
        """
        interval = self.interval()
        if self._key is None or polling_disabled(self._environment):
            return interval
        if self._store.claim(worker, interval):
            self._refresh(self._key, pause, loudly=False)
        wait = self._store.read_wait()
        if wait is None:
            self._store.enter()
            return 0.0
        return min(max(wait, 0.0) + _TOGETHER, interval)

    def interval(self) -> int:
        """The seconds between two refreshes, as currently set in the environment."""
        seconds, problem = polling_interval(self._environment)
        if problem and problem != self._bad_interval:
            log.warning("%s", problem)
        self._bad_interval = problem or self._bad_interval
        return seconds

    def _claim_first_or_due(self, worker: str) -> bool:
        interval = self.interval()
        if self._store.claim(worker, interval):
            return True
        if self._store.read_wait() is not None:
            return False
        self._store.enter()
        return self._store.claim(worker, interval)

    def _skipped(self) -> Refresh:
        if self._settings.disabled:
            return Refresh(RefreshStatus.SKIPPED, RefreshReason.DISABLED, "hogbox is disabled (HOGBOX_DISABLED)")
        missing = "POSTHOG_PERSONAL_API_KEY" if self._settings.project_token else "POSTHOG_PROJECT_TOKEN"
        return Refresh(RefreshStatus.SKIPPED, RefreshReason.MISSING_KEYS, f"{missing} is not set")

    def _refresh(self, key: Secret, pause: Pause, *, loudly: bool) -> Refresh:
        began = time.perf_counter()
        stored = self._store.read()
        finding, requests = self._ask(key, stored, pause)
        if finding.store is not None:
            try:
                self._keep(finding.store, stored)
            except TooLarge as error:
                finding = DefinitionsOutcome(RefreshStatus.ERROR, RefreshReason.TOO_LARGE, str(error))
        self._store.note(finding.status, finding.reason, unchanged=RefreshStatus.UNCHANGED, requests=requests)
        result = Refresh(finding.status, finding.reason, finding.detail)
        seconds = time.perf_counter() - began
        self._telemetry.emit(Refreshed(shorten(self._settings.project_token), result.status, result.reason, seconds))
        self._say(result, loudly)
        return result

    def _keep(self, fetched: Snapshot, over: StoredDefinitions | None) -> None:
        """Store the fetched definitions, then record the stored ones in the history: another process's may be newer."""
        kept = self._settings.flag_history
        if kept and over is not None:
            # Older versions of hogbox kept no history, and a process may have died before recording it.
            self._history.record()
        self._store.store(fetched.data, fetched.etag, over)
        if kept:
            self._history.record()
        self._history.trim(kept, self._settings.flag_history_bytes)

    def _ask(self, key: Secret, stored: StoredDefinitions | None, pause: Pause) -> tuple[DefinitionsOutcome, int]:
        token = self._settings.project_token
        # Without an ETag, PostHog sends everything: needed if the stored text can't be read, or has characters that
        # another process's connection encoding might not read.
        usable = stored is not None and stored.data.isascii() and readable(stored.data, self._parse)
        etag = stored.etag if stored and usable else None
        request = definitions_request(token, key, etag, user_agent=USER_AGENT)
        around = RefreshContext(
            asked_for_change=etag is not None,
            stored_age=stored.age if stored else None,
            keep_stale=self._settings.keep_stale_definitions,
            hide=(key.reveal(), token),
        )
        return self._fetch(request, around, pause)

    def _fetch(
        self, request: DefinitionsRequest, around: RefreshContext, pause: Pause
    ) -> tuple[DefinitionsOutcome, int]:
        """The finding from the last response, and the number of requests; retries while PostHog is busy or failing."""
        requests = 1
        with DefinitionsTransport(self._settings.host) as transport:
            try:
                reply = transport.get(request)
                for delay in retry_delays(self._environment.get(RETRY_VARIABLE)):
                    if not worth_retrying(reply):
                        break
                    _go_on(pause, delay)
                    requests += 1
                    reply = transport.get(request)
            except NoReply as error:
                _go_on(pause, 0)
                return no_reply(str(error), around), requests
        _go_on(pause, 0)
        return interpret(reply, around, self._parse), requests

    def _say(self, result: Refresh, loudly: bool) -> None:
        """Log the result of a refresh; for a scheduled one only if it differs from the last."""
        well = result.status in _WELL
        news = self._failing.end() if well else self._failing.begin(what=str(result))
        project = shorten(self._settings.project_token)
        facts = {"project": project, "status": result.status, "reason": result.reason}
        if not well and (loudly or news):
            log.warning("flag definitions of project %s: %s: %s", project, result, result.detail, extra=facts)
        elif well and news:
            log.info("flag definitions of project %s: refresh succeeds again", project, extra=facts)
        elif result.status == RefreshStatus.UPDATED:
            log.info("flag definitions of project %s: updated", project, extra=facts)


def _go_on(pause: Pause, seconds: float) -> None:
    if pause(seconds):
        raise GivenUp


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _parse(document: Mapping[str, Any]) -> object:
    # Imported on first use: most processes never refresh.
    from hogbox.flags import FlagSet

    return FlagSet.parse(document)
