"""Whether there is room, by numbers alone."""

from __future__ import annotations

import pytest

from hogbox._events.capacity import Bounds, full_disk, full_outbox


@pytest.mark.parametrize(
    ("bounds", "average", "most"),
    [
        (Bounds(), 100, None),
        (Bounds(rows=7), 100, 7),
        (Bounds(bytes=1000), 100, 10),
        (Bounds(bytes=1001), 100, 11),
        (Bounds(bytes=1), 100, 1),
        (Bounds(bytes=1000), 0, 1000),
        (Bounds(rows=7, bytes=1000), 100, 7),
        (Bounds(rows=70, bytes=1000), 100, 10),
        (Bounds(disk=5), 100, None),
    ],
)
def test_bounds_come_to_a_number_of_rows(bounds: Bounds, average: int, most: int | None) -> None:
    assert bounds.most_rows(average) == most
    if most is not None:
        assert full_outbox(most, average, bounds) is not None
        assert full_outbox(most - 1, average, bounds) is None


def test_the_reason_names_the_setting() -> None:
    rows = full_outbox(1234, 10, Bounds(rows=1000, bytes=1))
    assert rows is not None
    assert rows.reason == "the outbox holds 1,234 events or more, and HOGBOX_OUTBOX_ROWS allows 1,000"
    size = full_outbox(20, 100, Bounds(bytes=1500))
    assert size is not None
    assert size.reason == (
        "the outbox holds 20 events of about 100 bytes, or more, and HOGBOX_OUTBOX_BYTES allows 1,500"
    )
    assert not size.disk


def test_only_sqlite_has_a_disk_that_is_measured() -> None:
    assert full_disk(None, Bounds(disk=1)) is None
    assert full_disk(4096, Bounds(disk=0)) is None
    assert full_disk(4095, Bounds(disk=4096)) is None
    full = full_disk(4096, Bounds(disk=4096))
    assert full is not None
    assert full.disk
