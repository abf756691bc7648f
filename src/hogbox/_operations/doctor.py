"""Doctor: tries out, from this machine, what hogbox needs: settings, database, PostHog. Leaves nothing behind.

Only a test event, where it is asked for, reaches PostHog; the key is tried with one request for definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final
from uuid import uuid4

from hogbox._events.event import Event, encode
from hogbox._http.capture import CaptureTransport, reach
from hogbox._http.definitions import DefinitionsTransport
from hogbox._http.response import NoReply
from hogbox._operations.diagnosis import CLUSTERS, Level, cluster_order, surroundings
from hogbox._settings.address import shown_url
from hogbox._settings.client import ClientSettings
from hogbox._settings.delivery import DeliverySettings
from hogbox._settings.polling import SWITCH_VARIABLE, polling_disabled, polling_interval
from hogbox._store.connections.database import Database
from hogbox._store.connections.surroundings import Surroundings
from hogbox._store.definition import read_projects
from hogbox._store.inspection.preflight import Preflight, said
from hogbox._store.schema.table import SCHEMA_VERSION
from hogbox._wire.definitions import Circumstances, Reason, Status, definitions_request, interpret
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


class Health(IntEnum):
    """How bad it is. The number is the exit code of `hogbox doctor`."""

    OK = 0
    """As it should be."""

    WARNING = 1
    """It works, but not as well as it could, or it may fail later."""

    PROBLEM = 2
    """It does not work."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was tried, how it came out, and what to do about it; nothing where it is well."""

    name: str
    health: Health
    found: str
    todo: str = ""


def examine(
    settings: ClientSettings, environment: Mapping[str, str], *, send_test_event: bool = False
) -> tuple[Check, ...]:
    """Every check, in the order in which they were made. Raises nothing for what is wrong: it is in the result."""
    return (
        *_variables(environment),
        *_database(settings),
        *_posthog(settings, send_test_event=send_test_event),
    )


def _safely(name: str, checks: Callable[[], Iterable[Check]], todo: str = _REPORT) -> Iterator[Check]:
    """The checks; where one can't be made for a reason that is not foreseen, a failed one that says so."""
    try:
        yield from checks()
    except Exception as error:
        yield Check(name, Health.PROBLEM, f"could not be examined: {said(error)}", todo)


def worst(checks: tuple[Check, ...]) -> Health:
    """The worst of all."""
    return max((check.health for check in checks), default=Health.OK)


def _variables(environment: Mapping[str, str]) -> Iterator[Check]:
    """Whether the settings of workers can be read."""
    try:
        DeliverySettings.load(environment)
        yield Check("delivery settings", Health.OK, "all can be read")
    except HogboxError as error:
        yield Check("delivery settings", Health.PROBLEM, str(error), "correct the variable: no worker starts with it")
    seconds, problem = polling_interval(environment)
    if problem:
        yield Check("polling", Health.WARNING, problem, "correct the variable")
    elif polling_disabled(environment):
        yield Check("polling", Health.WARNING, f"{SWITCH_VARIABLE} is set", "unset it for workers to refresh")
    else:
        yield Check("polling", Health.OK, f"flag definitions are asked for every {seconds} s")


def _database(settings: ClientSettings) -> Iterator[Check]:
    where = shown_url(settings.database_url)
    try:
        with closing(Database(settings.database_url, settings.table_prefix)) as database:
            trial = Preflight(database)
            version = trial.version()
            yield Check("database", Health.OK, f"{where} answers")
            yield from _safely("tables", lambda: _tables(trial, version))
            if version == SCHEMA_VERSION:
                yield from _safely("flag definitions", lambda: [_definitions(settings, read_projects(database))])
            yield from _safely("clock", lambda: [_clock(trial.clock_difference())])
            yield from _safely("file", lambda: _sqlite(trial))
            yield from _safely("server", lambda: _order(trial.surroundings()))
    except Exception as error:
        todo = "start the database, or correct HOGBOX_DATABASE_URL (address, name, user, password)"
        yield Check("database", Health.PROBLEM, f"{where}: {said(error)}", todo)


def _tables(trial: Preflight, version: int | None) -> Iterator[Check]:
    if version is None:
        yield Check("tables", Health.PROBLEM, "there are none", "run `hogbox migrate`, or correct HOGBOX_TABLE_PREFIX")
        return
    if version != SCHEMA_VERSION:
        todo = "run `hogbox migrate`" if version < SCHEMA_VERSION else "upgrade this installation of hogbox"
        found = f"version {version}, and this hogbox needs {SCHEMA_VERSION}"
        yield Check("tables", Health.PROBLEM, found, todo)
        return
    yield Check("tables", Health.OK, f"version {version}")
    refused = trial.refused()
    if not refused:
        yield Check("privileges", Health.OK, "rows can be inserted, changed and deleted (tried and rolled back)")
    for table, error in refused:
        todo = "grant SELECT, INSERT, UPDATE and DELETE on it to this user"
        yield Check("privileges", Health.PROBLEM, f"{table}: {error}", todo)


def _definitions(settings: ClientSettings, stored: Sequence[str]) -> Check:
    """Whether flags can be read. An application without flags needs no definitions, and no key for them."""
    name = "flag definitions"
    if settings.project_token in stored if settings.project_token else stored:
        return Check(name, Health.OK, "stored")
    todo = "run `hogbox worker` or `hogbox refresh` with POSTHOG_PERSONAL_API_KEY and POSTHOG_PROJECT_TOKEN"
    found = "none are stored: flags are inconclusive, unless PostHog is asked with evaluate_flag"
    return Check(name, Health.OK, f"{found}; {todo}, if you use feature flags")


def _order(around: Surroundings) -> Iterator[Check]:
    """What keeps the ids of the outbox from following the time, and deleted rows from being removed."""
    if around.cluster is not None and not around.cluster.waits:
        yield Check("cluster", Health.WARNING, cluster_order(around.cluster), f"see {CLUSTERS}")
    for finding in surroundings(around):
        if finding.what != "cluster_order":
            health = Health.OK if finding.level is Level.HEALTHY else Health.WARNING
            yield Check(finding.what.replace("_", " "), health, finding.text, f"see {finding.page}")
    if around.sequence is not None and around.sequence.cache > 1:
        found = f"{around.sequence.name} has a cache of {around.sequence.cache}: ids do not follow the time"
        todo = f"run ALTER SEQUENCE {around.sequence.name} CACHE 1: see docs/explanation/order.md"
        yield Check("sequence", Health.WARNING, found, todo)


def _clock(difference: float) -> Check:
    found = f"the database's clock is {abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'} this one"
    if abs(difference) <= _CLOCK_TOLERANCE:
        return Check("clock", Health.OK, found)
    todo = "set both machines' clocks by NTP: events bear this machine's time, leases and waits go by the database's"
    return Check("clock", Health.WARNING, found, todo)


def _sqlite(trial: Preflight) -> Iterator[Check]:
    modes = trial.sqlite_modes()
    if modes is None:
        return
    if modes.journal == "wal":
        yield Check("journal mode", Health.OK, "wal")
    else:
        todo = "run `PRAGMA journal_mode = WAL` once: see docs/how-to/run-on-sqlite.md"
        yield Check(
            "journal mode", Health.WARNING, f"{modes.journal}: readers and the writer wait for each other", todo
        )
    found = f"{modes.busy_timeout:g} s in hogbox's own connections; the application sets its own"
    short = modes.busy_timeout < _SHORTEST_BUSY_TIMEOUT
    todo = "see docs/how-to/run-on-sqlite.md" if short else ""
    yield Check("busy timeout", Health.WARNING if short else Health.OK, found, todo)


def _posthog(settings: ClientSettings, *, send_test_event: bool) -> Iterator[Check]:
    yield _host(settings)
    yield _token(settings.project_token)
    if send_test_event:
        yield from _safely("test event", lambda: [_test_event(settings)])
    yield from _safely("key for definitions", lambda: _key(settings))


def _host(settings: ClientSettings) -> Check:
    host = shown_url(settings.host)
    try:
        return Check("host", Health.OK, f"{host} answers (HTTP {reach(settings.host, _PATIENCE)})")
    except Exception as error:
        todo = "correct POSTHOG_HOST, or see docs/how-to/handle-outages.md"
        return Check("host", Health.PROBLEM, f"{host}: {error if isinstance(error, NoReply) else said(error)}", todo)


def _token(token: str) -> Check:
    if not token:
        todo = "set POSTHOG_PROJECT_TOKEN where events are captured, and for workers that refresh flag definitions"
        return Check("project token", Health.WARNING, "not set here", todo)
    try:
        require_token(token)
    except HogboxError as error:
        return Check("project token", Health.PROBLEM, str(error), "set the project's public token (phc_…)")
    if not token.startswith(_TOKEN_BEGINS):
        todo = "compare it with the project API key in PostHog's project settings"
        return Check("project token", Health.WARNING, f"{shorten(token)} does not begin with phc_", todo)
    found = f"{shorten(token)} is well-formed; only --send-test-event shows whether it is accepted"
    return Check("project token", Health.OK, found)


def _test_event(settings: ClientSettings) -> Check:
    if not settings.project_token:
        return Check("test event", Health.PROBLEM, "not sent: there is no project token", "set POSTHOG_PROJECT_TOKEN")
    event: Event = {
        "uuid": str(uuid4()),
        "event": "hogbox doctor",
        "distinct_id": "hogbox-doctor",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"$process_person_profile": False},
    }
    with CaptureTransport(settings.host, _PATIENCE, 1, Telemetry()) as transport:
        answer = transport.send_batch(settings.project_token, [encode(event)])
    reason = answer.reason.replace(settings.project_token, shorten(settings.project_token))
    if answer.verdict is Verdict.DELIVERED:
        found = f"{reason}: taken as 'hogbox doctor' with uuid {event['uuid']}; look for it in PostHog's activity"
        return Check("test event", Health.OK, f"{found}, because a token of nobody's is answered so too")
    refused = answer.verdict is Verdict.KEY_REFUSED
    page = "docs/how-to/fix-a-wrong-token.md" if refused else "docs/how-to/handle-outages.md"
    return Check("test event", Health.PROBLEM, reason, f"see {page}")


def _key(settings: ClientSettings) -> Iterator[Check]:
    name = "key for definitions"
    key = settings.personal_api_key
    if key is None:
        todo = "set POSTHOG_PERSONAL_API_KEY for workers, if you use feature flags"
        yield Check(name, Health.OK, f"not set here: {todo}")
        return
    if doubt := objection(key):
        yield Check(name, Health.WARNING, doubt, "make a project's secret key (phs_…) in PostHog's project settings")
    if not settings.definitions_key:
        yield Check(name, Health.WARNING, "not tried: there is no project token, or hogbox is switched off")
        return
    yield _tried(name, settings, key)


def _tried(name: str, settings: ClientSettings, key: Secret) -> Check:
    """One request for definitions, which PostHog counts; nothing is stored."""
    # Imported where definitions are read: the rest does without.
    from hogbox.flags import FlagSet

    hide = (key.reveal(), settings.project_token)
    request = definitions_request(settings.project_token, key, None, user_agent=USER_AGENT)
    try:
        with DefinitionsTransport(settings.host) as transport:
            reply = transport.get(request)
    except NoReply as error:
        return Check(name, Health.PROBLEM, f"not tried: {error}", "see docs/how-to/handle-outages.md")
    parse: Callable[..., object] = FlagSet.parse
    finding = interpret(reply, Circumstances(asked_for_change=False, stored_age=None, hide=hide), parse)
    if finding.status is Status.UPDATED:
        return Check(name, Health.OK, "accepted (one request for definitions was made, which PostHog counts)")
    cold = finding.status is Status.EMPTY
    health = Health.WARNING if cold or finding.reason is Reason.RATE_LIMITED else Health.PROBLEM
    return Check(name, health, finding.detail, "see docs/how-to/fix-stale-flag-definitions.md")
