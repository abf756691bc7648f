"""A world for the test of everything together: applications, several workers and their PostHog, on a clock of its own.

One seed is one course of events. All of it runs in one thread: what happens at the same time happens while a request
is under way.
"""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import sqlalchemy as sa

from hogbox import PostHog
from hogbox._encryption import VARIABLE, Cipher
from hogbox._events.event import ANALYTICS, EXPOSURES, HISTORICAL, to_row
from hogbox._events.identifier import shard_of
from hogbox._store.capture import CaptureStatements
from hogbox._store.connections.database import Database
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase
from tests.worker.fleet import KEY, Clock, Member
from tests.worker.scripted_posthog import ScriptedPostHog

PROJECTS: Final = ("phc_a", "phc_b", "phc_c")
LEASE: Final = 30.0
ENOUGH_ROUNDS: Final = 150

DEEP: Final = "[" * 9000 + "]" * 9000
GARBAGE: Final = (
    "no JSON at all",
    '{"uuid":"a"},{"uuid":"b"}',
    f'{{"uuid":"{uuid.uuid4()}","x":{DEEP}}}',
    f'{{"x":{DEEP}}}',
    "fernet:2:bm90aGluZw==",
    '{"distinct_id":"\\ud800","uuid":"a"}',
    f'{{"uuid":"{"u" * 70}","distinct_id":"a"}}',
    '{"uuid":"\\u0000","distinct_id":"a"}',
)
"""Payloads that can't be sent, as another program may write them."""


@dataclass
class Known:
    """An event of the application."""

    uuid: str
    project: str
    person: str
    lane: str
    begun: int
    number: int
    exposure: str | None = None
    committed: int | None = None
    arrived: int = 0

    @property
    def wire(self) -> str:
        return HISTORICAL if self.lane == HISTORICAL else ANALYTICS


@dataclass
class Late:
    """A transaction that commits later. On SQLite, which has one writer, its rows come later with their ids."""

    known: list[Known]
    connection: sa.Connection | None
    rows: list[dict[str, Any]] = field(default_factory=list)


class World:
    """All of it, for one seed."""

    def __init__(self, seed: int, database: TestDatabase, store: Database) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self._synchronized = (self.clock.now, time.monotonic())
        self.database = database
        self._store = store
        self.max_attempts = self.random.choice((0, 0, 3))
        self.settings = DeliverySettings(
            batch_events=self.random.choice((5, 20, 1000)),
            lease_seconds=LEASE,
            retry_cap_seconds=20.0,
            key_refused_cap_seconds=60.0,
            max_attempts=self.max_attempts,
        )
        self.posthog = ScriptedPostHog(self.random, self._tick, self._meanwhile, self._arrive)
        self.events: dict[str, Known] = {}
        self.late: list[Late] = []
        self.workers: list[Member] = []
        self.garbage = 0
        self.accused: set[str] = set()
        self._people = self._choose_people()
        self._numbers = count(1)
        self._depth = 0
        self._settling = False
        self._names = count(1)
        self._clients = [PostHog(database.engine, project_token=project) for project in PROJECTS]

    def _choose_people(self) -> list[str]:
        """All of one shard, of a few shards, or as it comes."""
        among = self.random.choice((1, 3, 64))
        found = [f"p{n}" for n in range(2000) if shard_of(PROJECTS[0], f"p{n}") < among]
        return found[: self.random.choice((3, 8))]

    def run(self) -> None:
        """A while of everything, then until all is settled, then a world without guilty events."""
        random.seed(self.random.random())
        self.posthog.knows_v1 = self.random.random() < 0.8
        self.hire()
        steps = {
            self.capture: 5, self.turn: 6, self.pass_time: 3, self.hire: 0.4, self.lose: 0.3, self.outage: 0.7,
            self.repair: 0.7, self.commit_late: 1, self.spoil: 0.3, self.posthog.take_late: 0.5, self.resize: 0.3,
            self.upgrade: 0.1,
        }  # fmt: skip
        self.posthog.partial = 0.0 if self.max_attempts else self.random.choice((0.0, 0.1, 0.5))
        self.posthog.trouble = self.random.choice((0.0, 0.0, 0.02 if self.max_attempts else 0.2))
        for _ in range(self.random.choice((20, 60))):
            step = self.random.choices(list(steps), list(steps.values()))[0]
            step()
        self.settle()
        self.check()

    def close(self) -> None:
        """End what was left open, so that the next course finds nothing of it."""
        for one in self.late:
            if one.connection is not None:
                one.connection.close()

    # What happens

    def capture(self) -> None:
        """One transaction of one to four events: committed, rolled back, or left open."""
        late = len(self.late) < 2 and self.random.random() < 0.2
        connection = self.database.engine.connect()
        begun = next(self._numbers)
        known = [self._event(connection, begun) for _ in range(self.random.randint(1, 4))]
        if late:
            self._leave_open(connection, known)
            return
        if self.random.random() < 0.2:
            connection.rollback()
        else:
            connection.commit()
            self._committed(known)
        connection.close()

    def _event(self, connection: sa.Connection, begun: int, person: str | None = None) -> Known:
        project = self.random.choice(PROJECTS) if person is None else PROJECTS[0]
        person = person or self.random.choice(self._people)
        lane = self.random.choices((ANALYTICS, HISTORICAL, EXPOSURES), (8, 2, 2))[0]
        sealed = self.random.random() < 0.3
        flag = f"flag-{self.random.randint(1, 3)}"
        if lane == ANALYTICS and not sealed:
            size = self.random.choice((10, 10, 3000))
            captured = self._clients[PROJECTS.index(project)].capture(
                connection, "step", distinct_id=person, properties={"x": "é" * size}
            )
            assert captured
            made = Known(captured, project, person, lane, begun, next(self._numbers))
        else:
            made = self._write(connection, project, person, lane, flag, begun, sealed=sealed)
        if self.random.random() < 0.03:
            self._accuse(made)
        return made

    def _write(
        self, connection: sa.Connection, project: str, person: str, lane: str, flag: str, begun: int, *, sealed: bool
    ) -> Known:
        name = "$feature_flag_called" if lane == EXPOSURES else "step"
        properties = {"$feature_flag": flag, "$feature_flag_response": True} if lane == EXPOSURES else {"x": "y" * 20}
        identity = str(uuid.uuid4())
        row = to_row(
            {
                "uuid": identity,
                "event": name,
                "distinct_id": person,
                "timestamp": "2026-01-01T00:00:00Z",
                "properties": properties,
            },
            project,
            lane,
        )
        payload = Cipher.load({VARIABLE: KEY} if sealed else {}).seal(row.payload, row)
        connection.execute(CaptureStatements(self._store.tables).insert_event, row._replace(payload=payload)._asdict())
        number = next(self._numbers)
        return Known(identity, project, person, lane, begun, number, flag if lane == EXPOSURES else None)

    def _accuse(self, made: Known) -> None:
        if made.lane == EXPOSURES:
            return
        kinds: tuple[str, ...] = ("error", "forbidden", "refused", "foreign", "large", "silence", "page")
        kinds += () if self.max_attempts else ("drop",)
        self.posthog.guilty[made.uuid] = self.random.choice(kinds)
        self.accused.add(made.uuid)

    def _leave_open(self, connection: sa.Connection, known: list[Known]) -> None:
        if self.database.backend != "sqlite":
            self.late.append(Late(known, connection))
            return
        wanted = len(known)
        newest = "SELECT * FROM posthog_outbox ORDER BY id DESC LIMIT :wanted"
        rows = [dict(row) for row in connection.execute(sa.text(newest), {"wanted": wanted}).mappings()]
        connection.execute(sa.text("DELETE FROM posthog_outbox WHERE id >= :first"), {"first": rows[-1]["id"]})
        connection.commit()
        connection.close()
        self.late.append(Late(known, None, rows))

    def commit_late(self) -> None:
        """End a transaction that was left open."""
        if not self.late:
            return
        one = self.late.pop(self.random.randrange(len(self.late)))
        rolled_back = self.random.random() < 0.2
        if one.connection is not None:
            one.connection.rollback() if rolled_back else one.connection.commit()
            one.connection.close()
        elif not rolled_back:
            with self.database.engine.begin() as connection:
                connection.execute(self._store.tables.outbox.insert(), one.rows)
        if not rolled_back:
            self._committed(one.known)

    def _committed(self, known: list[Known]) -> None:
        number = next(self._numbers)
        for one in known:
            one.committed = number
            self.events[one.uuid] = one

    def spoil(self) -> None:
        """Another program writes what can't be sent."""
        self.garbage += 1
        row = {"project": self.random.choice(PROJECTS), "payload": self.random.choice(GARBAGE)}
        shard = shard_of(row["project"], self.random.choice(self._people))
        with self.database.engine.begin() as connection:
            connection.execute(
                CaptureStatements(self._store.tables).insert_event, {**row, "shard": shard, "lane": ANALYTICS}
            )

    def hire(self) -> None:
        """One more worker; one in six has no keys."""
        if len(self.workers) < 4:
            keys = self._settling or not self.workers or self.random.random() > 0.15
            name = f"worker-{next(self._names)}"
            mode = self.random.choice(("v0", "v1", "auto") if self.posthog.knows_v1 else ("v0", "auto"))
            self.workers.append(Member(name, self._store, self.settings, self.posthog, keys=keys, mode=mode))
            self.workers[-1].beat(self.clock)

    def lose(self) -> None:
        """A worker ends, or dies without a word. Not one in the middle of a turn: it is frozen instead."""
        idle = [one for one in self.workers if not one.busy]
        if len(self.workers) > 1 and idle:
            gone = self.random.choice(idle)
            self.workers.remove(gone)
            if self.random.random() < 0.5:
                gone.leases.leave()

    def turn(self) -> None:
        """One worker's heartbeat and turn."""
        one = self.random.choice(self.workers)
        one.beat(self.clock)
        one.turn(self.random)

    def pass_time(self) -> None:
        """Moments, a pause's length, or longer than a lease."""
        self.advance(self.random.choice((0.1, 1.0, 6.0, 20.0, 65.0)))

    def outage(self) -> None:
        """A project's requests are answered alike for a while."""
        kinds = ("rate", "rate later") if self.max_attempts else (
            "error", "overloaded", "silence", "page", "forbidden", "token", "quota", "rate", "rate later",
        )  # fmt: skip
        self.posthog.outages[self.random.choice(PROJECTS)] = self.random.choice(kinds)

    def repair(self) -> None:
        """The outage of some project ends."""
        self.posthog.outages.pop(self.random.choice(PROJECTS), None)

    def resize(self) -> None:
        """The server takes less, or more."""
        self.posthog.largest = self.random.choice((2000, 20_000, 1 << 30))

    def upgrade(self) -> None:
        """The server learns capture v1."""
        self.posthog.knows_v1 = True

    def _meanwhile(self) -> None:
        """While a request is under way others work, or this worker is frozen past its leases."""
        if self._depth >= 2 or self.random.random() > 0.25:
            return
        self._depth += 1
        try:
            others = () if self._settling else (self.capture, self.commit_late)
            self.random.choice((self.turn, self.turn, self._freeze, *others))()
        finally:
            self._depth -= 1

    def _freeze(self) -> None:
        self.advance(LEASE + 1)
        if self.random.random() < 0.5:
            self.hire()
        for one in self.workers:
            if not one.busy:
                one.beat(self.clock)
                one.turn(self.random)

    # Time

    def _tick(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, in the database too: what it has noted moves into the past."""
        self.clock.now += seconds
        now, real = self.clock.now, time.monotonic()
        shift = round(1000 * (now - self._synchronized[0] - (real - self._synchronized[1])))
        self._synchronized = (now, real)
        columns = {
            "shards": ("lease_expires_at", "not_before", "last_error_at"),
            "workers": ("seen_at",),
            "holds": ("held_at", "until"),
            "exposures": ("expires_at",),
        }
        with self.database.engine.begin() as connection:
            for table, names in columns.items():
                wanted = self._store.tables.metadata.tables[f"posthog_{table}"]
                connection.execute(wanted.update().values({name: wanted.c[name] - shift for name in names}))

    # What must hold

    def _arrive(self, project: str, lane: str, event: dict[str, Any]) -> None:
        known = self.events.get(event["uuid"])
        assert known is not None, f"P1: {event['uuid']} arrived, which was never committed"
        assert (known.project, known.person, known.wire) == (project, event["distinct_id"], lane)
        known.arrived += 1
        if known.arrived > 1:
            return
        before = [one for one in self.events.values() if _is_before(one, known) and not one.arrived]
        gone = self._dead() | self._repeated() if before else set()
        assert not [one for one in before if one.uuid not in gone], f"P4: {known} arrived before {before}"

    def _dead(self) -> set[str]:
        return {row["event_uuid"] for row in self.database.rows("posthog_dead_letters")}

    def _repeated(self) -> set[str]:
        """Exposures that left the outbox, or will, since the same one is sent."""
        return {one.uuid for one in self.events.values() if one.exposure}

    def settle(self) -> None:
        """Everything but the guilty events is well from now on: then a few rounds are enough."""
        while self.late:
            self.commit_late()
        self._settling = True
        self.posthog.outages.clear()
        self.posthog.trouble = self.posthog.partial = 0.0
        self.workers = [one for one in self.workers if one.keys]
        if not self.workers:
            self.hire()
        guilty = [self.events[one] for one in self.posthog.guilty if one in self.events]
        accused = {(one.project, one.person) for one in guilty}
        innocent = self._missing()
        for _ in range(ENOUGH_ROUNDS):
            self._round()
            innocent = [one for one in self._missing() if (one.project, one.person) not in accused]
            if not innocent:
                break
        assert not innocent, f"after {ENOUGH_ROUNDS} rounds {innocent} still wait; {self.settings}"
        if self.max_attempts:
            self._until_empty()
        self.posthog.guilty = {one: kind for one, kind in self.posthog.guilty.items() if kind == "refused"}
        self._until_empty()

    def _until_empty(self) -> None:
        for _ in range(ENOUGH_ROUNDS):
            if not self.database.count("posthog_outbox"):
                return
            self._round()
        rows = self.database.rows("posthog_outbox")
        waiting = [(row["id"], row["shard"], row["project"], row["payload"][:300]) for row in rows]
        guilty = {one: kind for one, kind in self.posthog.guilty.items() if one in self.events}
        raise AssertionError(f"after {ENOUGH_ROUNDS} rounds {waiting} still wait; {guilty=}; {self.settings}")

    def _round(self) -> None:
        """Somebody captures something, each worker has a turn, and a pause is over."""
        with self.database.engine.begin() as connection:
            begun = next(self._numbers)
            known = [
                self._write(connection, project, self.random.choice(self._people), ANALYTICS, "", begun, sealed=False)
                for project in PROJECTS
            ]
        self._committed(known)
        for one in list(self.workers):
            one.beat(self.clock)
            one.turn(self.random)
        self.advance(self.random.choice((1.0, 10.0, 61.0)))

    def _missing(self) -> list[Known]:
        dead = self._dead()
        return [
            one for one in self.events.values() if not one.arrived and one.uuid not in dead and one.exposure is None
        ]

    def check(self) -> None:
        """At the end."""
        dead = self._dead()
        assert not self._missing()
        made_up = dead - set(self.events)
        letters = self.database.rows("posthog_dead_letters")
        assert len([row for row in letters if row["event_uuid"] in made_up]) == self.garbage
        self._check_blame(dead & set(self.events))
        sent: dict[tuple[str, str, str], set[str]] = {}
        for one in self.events.values():
            if one.exposure:
                uuids = sent.setdefault((one.project, one.person, one.exposure), set())
                uuids |= {one.uuid} if one.arrived else set()
        assert all(len(uuids) == 1 for uuids in sent.values()), f"exposures: {sent}"
        shards = self.database.rows("posthog_shards", "shard")
        assert not [row for row in shards if row["attempt"]]

    def _check_blame(self, dead: set[str]) -> None:
        assert dead <= self.accused, f"innocent events died: {dead - self.accused}"
        certain = self.accused if self.max_attempts else set(self.posthog.guilty)
        committed = {one for one in certain if one in self.events}
        assert committed <= dead, f"guilty events did not die: {committed - dead}"


def _is_before(one: Known, other: Known) -> bool:
    """Whether one was committed before the other was captured, or captured before it in the same transaction."""
    if (one.project, one.person, one.wire) != (other.project, other.person, other.wire) or one is other:
        return False
    assert one.committed is not None
    return one.committed < other.begun or (one.begun == other.begun and one.number < other.number)
