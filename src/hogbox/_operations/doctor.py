"""Doctor: tries out, from this machine, what hogbox needs: settings, database, PostHog. Leaves nothing behind.

Only a test event, where it is asked for, reaches PostHog; the key is tried with one request for definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from hogbox._events.event import Event, encode
from hogbox._http.capture import CaptureTransport, reach
from hogbox._http.definitions import DefinitionsTransport
from hogbox._http.response import NoReply
from hogbox._operations.diagnosis import cluster_order, surroundings
from hogbox._operations.finding import Finding, Severity
from hogbox._operations.page import Page
from hogbox._settings.address import shown_url
from hogbox._settings.client import ClientSettings
from hogbox._settings.delivery import DeliverySettings
from hogbox._settings.polling import SWITCH_VARIABLE, polling_disabled, polling_interval
from hogbox._store.connections.database import Database
from hogbox._store.connections.surroundings import Surroundings
from hogbox._store.inspection.preflight import Preflight, said
from hogbox._store.schema.table import SCHEMA_VERSION
from hogbox._wire.batch import OutgoingBatch
from hogbox._wire.definitions import RefreshContext, RefreshReason, RefreshStatus, definitions_request, interpret
from hogbox._wire.host import require_token, shorten
from hogbox._wire.key import Secret, objection
from hogbox._wire.library import USER_AGENT
from hogbox._wire.verdict import Verdict
from hogbox.errors import HogboxError
from hogbox.telemetry import Telemetry

_CLOCK_TOLERANCE: Final = 2.0
_SHORTEST_BUSY_TIMEOUT: Final = 1.0
_PATIENCE: Final = 10.0
_REPORT: Final = "look at what the other checks say; if all of them are well, report this as an error of hogbox"
_TOKEN_BEGINS: Final = "phc_"  # noqa: S105 - the beginning of every such token


def examine(
    settings: ClientSettings, environment: Mapping[str, str], *, send_test_event: bool = False
) -> tuple[Finding, ...]:
    """Every check, in the order in which they were made. Raises nothing for what is wrong: it is in the result."""
    return (
        *_variables(environment),
        *_database(settings),
        *_posthog(settings, send_test_event=send_test_event),
    )


def _safely(name: str, checks: Callable[[], Iterable[Finding]], todo: str = _REPORT) -> Iterator[Finding]:
    """The checks; where one can't be made for a reason that is not foreseen, a failed one that says so."""
    try:
        yield from checks()
    except Exception as error:
        yield Finding(name, Severity.BROKEN, f"could not be examined: {said(error)}", todo)


def _variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the settings of workers can be read."""
    try:
        DeliverySettings.load(environment)
        yield Finding("delivery settings", Severity.HEALTHY, "all can be read")
    except HogboxError as error:
        yield Finding(
            "delivery settings", Severity.BROKEN, str(error), "correct the variable: no worker starts with it"
        )
    seconds, problem = polling_interval(environment)
    if problem:
        yield Finding("polling", Severity.DEGRADED, problem, "correct the variable")
    elif polling_disabled(environment):
        yield Finding("polling", Severity.DEGRADED, f"{SWITCH_VARIABLE} is set", "unset it for workers to refresh")
    else:
        yield Finding("polling", Severity.HEALTHY, f"flag definitions are asked for every {seconds} s")


def _database(settings: ClientSettings) -> Iterator[Finding]:
    where = shown_url(settings.database_url)
    try:
        with closing(Database(settings.database_url, settings.table_prefix)) as database:
            trial = Preflight(database)
            version = trial.version()
            yield Finding("database", Severity.HEALTHY, f"{where} answers")
            yield from _safely("tables", lambda: _tables(trial, version))
            if version == SCHEMA_VERSION:
                yield from _safely("flag definitions", lambda: [_definitions(settings, trial.projects())])
            yield from _safely("clock", lambda: [_clock(trial.clock_difference())])
            yield from _safely("file", lambda: _sqlite(trial))
            yield from _safely("server", lambda: _order(trial.surroundings()))
    except Exception as error:
        todo = "start the database, or correct HOGBOX_DATABASE_URL (address, name, user, password)"
        yield Finding("database", Severity.BROKEN, f"{where}: {said(error)}", todo)


def _tables(trial: Preflight, version: int | None) -> Iterator[Finding]:
    if version is None:
        yield Finding("tables", Severity.BROKEN, "no tables", "run `hogbox migrate`, or correct HOGBOX_TABLE_PREFIX")
        return
    if version != SCHEMA_VERSION:
        todo = "run `hogbox migrate`" if version < SCHEMA_VERSION else "upgrade this installation of hogbox"
        found = f"version {version}, and this hogbox needs {SCHEMA_VERSION}"
        yield Finding("tables", Severity.BROKEN, found, todo)
        return
    yield Finding("tables", Severity.HEALTHY, f"version {version}")
    refused = trial.refused()
    if not refused:
        yield Finding(
            "privileges", Severity.HEALTHY, "rows can be inserted, changed and deleted (tried and rolled back)"
        )
    for table, error, locked in refused:
        grant = "grant SELECT, INSERT, UPDATE and DELETE on it to this user"
        todo = "end the transaction that holds the lock, and run this again" if locked else grant
        yield Finding("privileges", Severity.BROKEN, f"{table}: {error}", todo)


def _definitions(settings: ClientSettings, stored: Sequence[str]) -> Finding:
    """Whether flags can be read. An application without flags needs no definitions, and no key for them."""
    name = "flag definitions"
    if settings.project_token in stored if settings.project_token else stored:
        return Finding(name, Severity.HEALTHY, "stored")
    todo = "run `hogbox worker` or `hogbox refresh` with POSTHOG_PERSONAL_API_KEY and POSTHOG_PROJECT_TOKEN"
    found = "none are stored: flags are inconclusive, unless PostHog is asked with evaluate_flag"
    return Finding(name, Severity.HEALTHY, f"{found}; {todo}, if you use feature flags")


def _order(around: Surroundings) -> Iterator[Finding]:
    """What keeps the ids of the outbox from following the time, and deleted rows from being removed."""
    if around.cluster is not None and not around.cluster.waits:
        yield Finding("cluster", Severity.DEGRADED, cluster_order(around.cluster), page=Page.CLUSTERS)
    for finding in surroundings(around):
        if finding.name != "cluster_order":
            yield replace(finding, name=finding.name.replace("_", " "))
    if around.sequence is not None and around.sequence.cache > 1:
        found = f"{around.sequence.name} has a cache of {around.sequence.cache}: ids do not follow the time"
        todo = f"run ALTER SEQUENCE {around.sequence.name} CACHE 1"
        yield Finding("sequence", Severity.DEGRADED, found, todo, Page.ORDER)


def _clock(difference: float) -> Finding:
    found = f"the database's clock is {abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'} this one"
    if abs(difference) <= _CLOCK_TOLERANCE:
        return Finding("clock", Severity.HEALTHY, found)
    todo = "set both machines' clocks by NTP: events carry this machine's time, leases and pauses use the database's"
    return Finding("clock", Severity.DEGRADED, found, todo)


def _sqlite(trial: Preflight) -> Iterator[Finding]:
    modes = trial.sqlite_modes()
    if modes is None:
        return
    if modes.journal == "wal":
        yield Finding("journal mode", Severity.HEALTHY, "wal")
    else:
        text = f"{modes.journal}: readers and the writer wait for each other"
        yield Finding("journal mode", Severity.DEGRADED, text, "run `PRAGMA journal_mode = WAL` once", Page.SQLITE)
    found = f"{modes.busy_timeout:g} s in hogbox's own connections; the application sets its own"
    short = modes.busy_timeout < _SHORTEST_BUSY_TIMEOUT
    severity = Severity.DEGRADED if short else Severity.HEALTHY
    yield Finding("busy timeout", severity, found, page=Page.SQLITE if short else None)


def _posthog(settings: ClientSettings, *, send_test_event: bool) -> Iterator[Finding]:
    yield _host(settings)
    yield _token(settings.project_token)
    if send_test_event:
        yield from _safely("test event", lambda: [_test_event(settings)])
    yield from _safely("key for definitions", lambda: _key(settings))


def _host(settings: ClientSettings) -> Finding:
    host = shown_url(settings.host)
    try:
        return Finding("host", Severity.HEALTHY, f"{host} answers (HTTP {reach(settings.host, _PATIENCE)})")
    except Exception as error:
        text = f"{host}: {error if isinstance(error, NoReply) else said(error)}"
        return Finding("host", Severity.BROKEN, text, "correct POSTHOG_HOST", Page.OUTAGES)


def _token(token: str) -> Finding:
    if not token:
        todo = "set POSTHOG_PROJECT_TOKEN where events are captured, and for workers that refresh flag definitions"
        return Finding("project token", Severity.DEGRADED, "not set here", todo)
    try:
        require_token(token)
    except HogboxError as error:
        return Finding("project token", Severity.BROKEN, str(error), "set the project's public token (phc_…)")
    if not token.startswith(_TOKEN_BEGINS):
        todo = "compare it with the project API key in PostHog's project settings"
        return Finding("project token", Severity.DEGRADED, f"{shorten(token)} does not begin with phc_", todo)
    found = f"{shorten(token)} is well-formed; only a test event shows whether it is accepted"
    return Finding("project token", Severity.HEALTHY, found)


def _test_event(settings: ClientSettings) -> Finding:
    if not settings.project_token:
        return Finding(
            "test event", Severity.BROKEN, "not sent: there is no project token", "set POSTHOG_PROJECT_TOKEN"
        )
    event: Event = {
        "uuid": str(uuid4()),
        "event": "hogbox doctor",
        "distinct_id": "hogbox-doctor",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"$process_person_profile": False},
    }
    with CaptureTransport(settings.host, _PATIENCE, 1, Telemetry()) as transport:
        answer = transport.send_batch(OutgoingBatch(settings.project_token, [encode(event)]))
    reason = answer.reason.replace(settings.project_token, shorten(settings.project_token))
    if answer.verdict is Verdict.DELIVERED:
        found = f"{reason}: taken as 'hogbox doctor' with uuid {event['uuid']}; look for it in PostHog's activity"
        return Finding("test event", Severity.HEALTHY, f"{found} (PostHog also accepts tokens of unknown projects)")
    page = Page.WRONG_TOKEN if answer.verdict is Verdict.KEY_REFUSED else Page.OUTAGES
    return Finding("test event", Severity.BROKEN, reason, page=page)


def _key(settings: ClientSettings) -> Iterator[Finding]:
    name = "key for definitions"
    key = settings.secret_key
    if key is None:
        todo = "set POSTHOG_PERSONAL_API_KEY for workers, if you use feature flags"
        yield Finding(name, Severity.HEALTHY, f"not set here: {todo}")
        return
    if doubt := objection(key):
        yield Finding(
            name, Severity.DEGRADED, doubt, "make a project's secret key (phs_…) in PostHog's project settings"
        )
    if not settings.definitions_key:
        yield Finding(name, Severity.DEGRADED, "not tried: there is no project token, or hogbox is switched off")
        return
    yield _tried(name, settings, key)


def _tried(name: str, settings: ClientSettings, key: Secret) -> Finding:
    """One request for definitions, which PostHog counts; nothing is stored."""
    # Imported where definitions are read: the rest does without.
    from hogbox.flags import FlagSet

    hide = (key.reveal(), settings.project_token)
    request = definitions_request(settings.project_token, key, None, user_agent=USER_AGENT)
    try:
        with DefinitionsTransport(settings.host) as transport:
            reply = transport.get(request)
    except NoReply as error:
        return Finding(name, Severity.BROKEN, f"not tried: {error}", page=Page.OUTAGES)
    parse: Callable[..., object] = FlagSet.parse
    outcome = interpret(reply, RefreshContext(asked_for_change=False, stored_age=None, hide=hide), parse)
    if outcome.status is RefreshStatus.UPDATED:
        return Finding(name, Severity.HEALTHY, "accepted (one request for definitions was made, which PostHog counts)")
    passes = outcome.status is RefreshStatus.EMPTY or outcome.reason is RefreshReason.RATE_LIMITED
    severity = Severity.DEGRADED if passes else Severity.BROKEN
    return Finding(name, severity, outcome.detail, page=Page.DEFINITIONS)
