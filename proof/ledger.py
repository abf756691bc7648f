"""The application's own table of what it committed: the truth that the events are compared with."""

from __future__ import annotations

import sqlalchemy as sa

from proof.verify import Committed

LEDGER = sa.Table(
    "ledger",
    sa.MetaData(),
    sa.Column("uuid", sa.String(36), primary_key=True),
    sa.Column("person", sa.String(60), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("earliest", sa.Double, nullable=False),
    sa.Column("latest", sa.Double, nullable=False),
)


def read_committed(connection: sa.Connection) -> list[Committed]:
    """Everything that was committed, each person's in order."""
    rows = connection.execute(sa.select(LEDGER).order_by(LEDGER.c.person, LEDGER.c.position)).all()
    return [Committed(*row) for row in rows]


def read_position(connection: sa.Connection, person: str) -> int:
    """The number of the person's next event."""
    last = connection.scalar(sa.select(sa.func.max(LEDGER.c.position)).where(LEDGER.c.person == person))
    return 0 if last is None else last + 1
