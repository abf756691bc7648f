"""Claims: which event of an exposure is the one that is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import transactional, writers_turn
from hogbox._store.flag_statement import FlagStatements

_EVENT: Final = "sent-"
"""Before the uuid of an event that has claimed its exposure."""


class ClaimStore:
    """What a worker notes of the exposures that it sends. Safe to use from several threads."""

    def __init__(self, database: Database, lifetime: float) -> None:
        self._database = database
        self._statements = FlagStatements(database.tables)
        self._claim = self._statements.claim_exposure[database.engine.dialect.name]
        self._lifetime = round(lifetime * 1000)
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
        if left.get(exposure, 0) > 0 or not self._take(connection, exposure, new=exposure not in left):
            return False
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
