"""How fast a worker settles events."""

from __future__ import annotations

from hogbox._delivery.throughput import Throughput


def test_a_worker_that_has_just_begun_has_no_pace() -> None:
    assert Throughput().per_minute(100.0, 5) == 0


def test_a_young_worker_is_judged_by_the_time_that_it_has_had() -> None:
    pace = Throughput()
    pace.per_minute(100.0, 0)
    assert pace.per_minute(110.0, 50) == 300


def test_only_the_last_minute_counts() -> None:
    pace = Throughput()
    for second in range(0, 60, 5):
        pace.per_minute(float(second), second * 100)
    assert [pace.per_minute(float(second), 6000) for second in range(60, 131, 5)][-1] == 0


def test_a_steady_pace_is_told_exactly() -> None:
    pace = Throughput()
    told = [pace.per_minute(second, int(second * 3)) for second in (float(n) for n in range(0, 600, 5))]
    assert set(told[1:]) == {180}
