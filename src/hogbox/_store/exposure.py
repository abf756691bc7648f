"""Exposures: what callers note of them in their transactions, and which event of one is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    Connection,
    Delete,
    Insert,
    Select,
    Update,
    bindparam,
    func,
    insert,
    not_,
    select,
    update,
)

from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import transactional, writers_turn
from hogbox._store.dialects.element import epoch_ms, serializable, writable
from hogbox._store.dialects.statement import ByDialect, delete_by_id, insert_new, milliseconds, number
from hogbox._store.schema.table import Tables

EXPOSURE: Final = ("first", "last")
"""The parameters of `read_exposure`, in order."""

NEW_EXPOSURE: Final = ("id", "lifetime")
"""The parameters of `note_exposure`, in order."""

_EVENT: Final = "sent-"
"""Before the uuid of an event that has claimed its exposure."""


class ExposureStatements:
    """Callers' notes of exposures, and workers' claims."""

    def __init__(self, tables: Tables) -> None:
        self.read_exposure = _read_exposure(tables)
        self.note_exposure = _note_exposure(tables)
        self.read_claims = _read_claims(tables)
        self.claim_exposure = _claim_exposure(tables)
        self.renew_claim = _renew_claim(tables)
        self.read_expired_exposures = _read_expired_exposures(tables)
        self.forget_exposures = _forget_exposures(tables)


def _read_exposure(tables: Tables) -> Select[int | None, bool]:
    """The milliseconds that an exposure is noted for yet (NULL: it is new), and whether this transaction may write.

    Its notes lie together, whoever wrote them. A serializable transaction does not look: on PostgreSQL it could fail
    for what others note, on MariaDB and MySQL it would lock it.
    """
    exposures = tables.exposures.c
    noted = select((func.max(exposures.expires_at) - epoch_ms()).label("left")).where(
        exposures.id.between(bindparam("first"), bindparam("last")), not_(serializable())
    )
    return select(noted.scalar_subquery(), writable())


def _note_exposure(tables: Tables) -> Insert:
    """Note an exposure for so many milliseconds. No two transactions write the same key: none waits, none fails."""
    values: dict[str, Any] = {"id": bindparam("id"), "expires_at": epoch_ms() + number("lifetime")}
    return insert(tables.exposures).inline().values(values)


def _read_claims(tables: Tables) -> Select[str, int]:
    """Those of some exposures and events that are noted, and for how many milliseconds yet."""
    exposures = tables.exposures.c
    wanted: BindParameter[Any] = bindparam("wanted", expanding=True)
    return select(exposures.id, (exposures.expires_at - epoch_ms()).label("left")).where(exposures.id.in_(wanted))


def _claim_exposure(tables: Tables) -> ByDialect:
    """Note that an exposure is sent; of all that try, one inserts a row."""
    values: dict[str, Any] = {"id": bindparam("id"), "expires_at": epoch_ms() + number("lifetime")}
    return insert_new(tables.exposures, values)


def _renew_claim(tables: Tables) -> Update:
    """The same for one that has expired; of all that try, one changes the row."""
    exposures = tables.exposures.c
    return (
        update(tables.exposures)
        .where(exposures.id == bindparam("wanted"), exposures.expires_at <= epoch_ms())
        .values(expires_at=epoch_ms() + number("lifetime"))
    )


def _read_expired_exposures(tables: Tables) -> Select[str]:
    """The ids of up to 1,000 notes of exposures that expired so many milliseconds ago."""
    exposures = tables.exposures.c
    expired = exposures.expires_at <= epoch_ms() - number("grace")
    return select(exposures.id).where(expired).order_by(exposures.expires_at).limit(1000)


def _forget_exposures(tables: Tables) -> Delete:
    """Remove notes of exposures by their ids: a search in a DELETE would wait for callers that have just noted one."""
    return delete_by_id(tables.exposures).where(tables.exposures.c.id.in_(bindparam("ids", expanding=True)))


class ClaimStore:
    """What a worker notes of the exposures that it sends. Safe to use from several threads."""

    def __init__(self, database: Database, lifetime: float) -> None:
        self._database = database
        self._statements = database.tables.once(ExposureStatements)
        self._claim = self._statements.claim_exposure[database.engine.dialect.name]
        self._lifetime = milliseconds(lifetime)
        self._turn = writers_turn(database.engine)

    def claim(self, exposures: Sequence[tuple[str, str]]) -> frozenset[str]:
        """The uuids of the events to send, of pairs of exposure and uuid in the order of the outbox.

        The first event claims its exposure for a while, and is named again whenever it is asked for: it may not have
        arrived. The claim is committed before this returns.
        """
        with self._turn, transactional(self._database.engine).begin() as connection:
            names = {name for exposure, uuid in exposures for name in (exposure, _EVENT + uuid)}
            left = dict(connection.execute(self._statements.read_claims, {"wanted": sorted(names)}).all())
            return frozenset(uuid for exposure, uuid in exposures if self._wins(connection, left, exposure, uuid))

    def _wins(self, connection: Connection, left: dict[str, int], exposure: str, uuid: str) -> bool:
        if _EVENT + uuid in left:
            return True
        if left.get(exposure, 0) > 0:
            return False
        if not self._take(connection, exposure, new=exposure not in left):
            # By a worker that held the shard before, perhaps for this very event.
            return connection.execute(self._statements.read_claims, {"wanted": [_EVENT + uuid]}).first() is not None
        left[exposure] = left[_EVENT + uuid] = self._lifetime
        connection.execute(self._claim, {"id": _EVENT + uuid, "lifetime": self._lifetime})
        return True

    def _take(self, connection: Connection, exposure: str, *, new: bool) -> bool:
        if new:
            claim = {"id": exposure, "lifetime": self._lifetime}
            # Without the option SQLAlchemy does not say how many rows an INSERT made.
            return connection.execute(self._claim, claim, execution_options={"preserve_rowcount": True}).rowcount == 1
        renewal = {"wanted": exposure, "lifetime": self._lifetime}
        return connection.execute(self._statements.renew_claim, renewal).rowcount == 1
