"""A bound of the outbox is measured on every handle, in its transaction, and leaves that as it was."""

from __future__ import annotations

import pytest

from hogbox.errors import OutboxFull
from tests.fixtures.database import TestDatabase
from tests.handles.application import NewClient
from tests.handles.opened import Opened


def test_p8_a_bound_that_is_reached_leaves_the_transaction_as_it_was(
    opened: Opened, database: TestDatabase, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"OUTBOX_ROWS": "2", "OUTBOX_BYTES": "1000000", "SQLITE_BYTES": "1000000000"}.items():
        monkeypatch.setenv(f"HOGBOX_{name}", value)
    opened.execute("INSERT INTO orders VALUES (1)")
    for _ in range(2):
        new_client().capture(opened.handle, "paid", distinct_id="u1")
    with pytest.raises(OutboxFull, match="HOGBOX_OUTBOX_ROWS allows 2"):
        new_client().capture(opened.handle, "paid", distinct_id="u1")
    opened.execute("INSERT INTO orders VALUES (2)")
    opened.commit()
    assert database.count("orders") == 2
    assert database.count("posthog_outbox") == 2
