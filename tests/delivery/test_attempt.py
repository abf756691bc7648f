"""Whether a request is another attempt of an earlier one."""

from __future__ import annotations

from itertools import count

from hogbox._delivery import attempt
from hogbox._delivery.attempt import Attempts
from hogbox._delivery.batch import BatchLimits, Waiting, group_batches
from hogbox._wire.batch import RequestIdentity


def rows(*numbers: int) -> list[Waiting]:
    return [Waiting(number, 0, "p", "analytics", "{}", str(number)) for number in numbers]


class Requests:
    def __init__(self) -> None:
        self.attempts = Attempts()
        self._numbers = count(1)

    def begin(self, *numbers: int) -> tuple[str, int]:
        made = self.attempts.begin(rows(*numbers), lambda: RequestIdentity(f"r{next(self._numbers)}", "now"))
        return made.request_id, made.attempt


def test_the_same_events_or_what_is_left_of_them_are_another_attempt() -> None:
    requests = Requests()
    assert requests.begin(1, 2, 3) == ("r1", 1)
    assert requests.begin(1, 2, 3) == ("r1", 2)
    requests.attempts.forget([1])
    assert requests.begin(3) == ("r1", 3)


def test_other_events_are_another_request_even_together_with_known_ones() -> None:
    requests = Requests()
    requests.begin(1, 2)
    assert requests.begin(3) == ("r2", 1)
    assert requests.begin(1, 2, 3) == ("r3", 1)
    assert requests.begin(1) == ("r3", 2)


def test_settled_events_are_forgotten() -> None:
    requests = Requests()
    requests.begin(1)
    requests.attempts.forget([1, 2])
    assert requests.begin(1) == ("r2", 1)


def test_what_is_remembered_is_bounded() -> None:
    requests = Requests()
    for number in range(0, 2 * attempt.MOST_REMEMBERED, 50_000):
        requests.begin(*range(number, number + 50_000))
    assert len(requests.attempts.requests_of(rows(*range(2 * attempt.MOST_REMEMBERED)))) <= attempt.MOST_REMEMBERED


def test_a_batch_that_failed_is_not_mixed_with_later_events() -> None:
    requests = Requests()
    requests.begin(1, 2)
    limits = BatchLimits(10, 1000)
    batches = group_batches(rows(1, 2, 3, 4), limits, requests.attempts.requests_of(rows(1, 2, 3, 4)))
    assert [[row.id for row in batch] for batch in batches] == [[1, 2], [3, 4]]
