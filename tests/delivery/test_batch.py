"""What goes into one request."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._delivery.batch import BatchLimits, Waiting, group_batches, total_bytes

LIMITS = BatchLimits(events=3, bytes=100)


def waiting(
    number: int, *, project: str = "a", lane: str = "analytics", payload: str = "{}", uuid: str = ""
) -> Waiting:
    return Waiting(number, number % 64, project, lane, payload, uuid or str(number))


def ids(batches: list[tuple[Waiting, ...]]) -> list[list[int]]:
    return [[row.id for row in batch] for batch in batches]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([waiting(1), waiting(2)], [[1, 2]], id="one request"),
        pytest.param([waiting(n) for n in range(7)], [[0, 1, 2], [3, 4, 5], [6]], id="by count"),
        pytest.param(
            [waiting(1, payload="x" * 49), waiting(2, payload="x" * 49), waiting(3, payload="")],
            [[1, 2], [3]],
            id="by bytes, with commas",
        ),
        pytest.param(
            [waiting(1, payload="é" * 25), waiting(2, payload="é" * 24)], [[1, 2]], id="bytes, not characters: as many"
        ),
        pytest.param(
            [waiting(1, payload="é" * 25), waiting(2, payload="é" * 25)], [[1], [2]], id="bytes, not characters: more"
        ),
        pytest.param(
            [waiting(1), waiting(2, payload="x" * 500), waiting(3)], [[1], [2], [3]], id="too large for any, alone"
        ),
        pytest.param(
            [waiting(1), waiting(2, uuid="1"), waiting(3, uuid="1"), waiting(4)], [[1], [2], [3, 4]], id="repeated uuid"
        ),
        pytest.param(
            [waiting(1), waiting(2, project="b"), waiting(3), waiting(4, lane="ai")],
            [[1, 3], [2], [4]],
            id="by project and lane",
        ),
    ],
)
def test_rows_become_requests(rows: list[Waiting], expected: list[list[int]]) -> None:
    assert ids(group_batches(rows, LIMITS)) == expected


ROWS = st.lists(
    st.builds(
        Waiting,
        id=st.just(0),
        shard=st.integers(0, 63),
        project=st.sampled_from("abc"),
        lane=st.sampled_from(["analytics", "ai"]),
        payload=st.text("x", max_size=120) | st.text("é", max_size=60),
        uuid=st.sampled_from("123456789"),
    ),
    max_size=40,
).map(lambda rows: [row._replace(id=number) for number, row in enumerate(rows)])
ANY_LIMITS = st.builds(BatchLimits, events=st.integers(1, 10), bytes=st.integers(1, 200))


@given(ROWS, ANY_LIMITS)
def test_p2_nothing_is_lost(rows: list[Waiting], limits: BatchLimits) -> None:
    batches = group_batches(rows, limits)
    assert Counter(row for batch in batches for row in batch) == Counter(rows)


@given(ROWS, ANY_LIMITS)
def test_p4_each_project_and_lane_keeps_its_order(rows: list[Waiting], limits: BatchLimits) -> None:
    batches = group_batches(rows, limits)
    assert all(len({(row.project, row.lane) for row in batch}) == 1 for batch in batches)
    for destination in {(row.project, row.lane) for row in rows}:
        sent = [row.id for batch in batches for row in batch if (row.project, row.lane) == destination]
        assert sent == sorted(sent)


@given(ROWS, ANY_LIMITS)
def test_p3_each_request_is_within_the_limits_and_holds_no_uuid_twice(rows: list[Waiting], limits: BatchLimits) -> None:
    for batch in group_batches(rows, limits):
        assert 1 <= len(batch) <= limits.events
        assert len(batch) == 1 or total_bytes(batch) <= limits.bytes
        assert len({row.uuid for row in batch}) == len(batch)


@given(ROWS)
def test_total_bytes_is_what_the_joined_events_take(rows: list[Waiting]) -> None:
    joined = ",".join(row.payload for row in rows)
    assert total_bytes(rows) == (len(joined.encode()) + 1 if rows else 0)
