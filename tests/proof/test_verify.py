"""The proof's comparison finds what is wrong, and allows what may be."""

from __future__ import annotations

from datetime import UTC, datetime

from proof.verify import Arrival, Committed, compare

EVENTS = [Committed(f"u{number}", "ada", number, float(number), number + 0.5) for number in range(4)]


def arrival(number: int, request: int, *, uuid: str | None = None, seconds: float = 0.0) -> Arrival:
    moment = datetime.fromtimestamp(number + 0.25 + seconds, UTC).isoformat()
    return Arrival(uuid or f"u{number}", "ada", moment, request)


def each(*numbers: int, request: int = 1) -> list[Arrival]:
    return [arrival(number, request) for number in numbers]


def test_all_arrived_in_order() -> None:
    verdict = compare(EVENTS, each(0, 1, 2, 3), [], [])
    assert (verdict.committed, verdict.delivered, verdict.repeats, verdict.broken) == (4, 4, 0, {})


def test_a_batch_may_be_repeated_whole_or_with_more() -> None:
    verdict = compare(EVENTS, each(0, 1) + each(0, 1, request=2) + each(0, 1, 2, 3, request=3), [], [])
    assert (verdict.repeats, verdict.broken) == (4, {})


def test_dead_letters_and_what_waits_are_not_lost() -> None:
    verdict = compare(EVENTS, each(0, 3), ["u1"], ["u2"])
    assert (verdict.dead, verdict.waiting, verdict.broken) == (1, 1, {})


def test_a_missing_event_is_lost() -> None:
    assert compare(EVENTS, each(0, 1, 3), [], []).lost == ("u2",)


def test_an_event_that_was_rolled_back_must_not_arrive() -> None:
    assert compare(EVENTS, [*each(0, 1, 2, 3), arrival(4, 2, uuid="other")], [], []).undone == ("other",)


def test_the_first_arrivals_have_to_be_in_order() -> None:
    assert compare(EVENTS, each(0, 2, 1, 3), [], []).disordered == ("u1",)


def test_a_repeat_must_not_come_behind_what_another_worker_has_sent_since() -> None:
    assert compare(EVENTS, each(0, 1) + each(2, 3, request=2) + each(1, request=3), [], []).resent == ("u1",)


def test_the_longest_wait_is_that_of_people_whom_the_fault_does_not_concern() -> None:
    soon = [arrival(number, 1)._replace(at=number + 1.5) for number in (0, 1, 2)]
    late = Arrival("v", "bob", soon[0].timestamp, 2, 60.0)
    events = [*EVENTS[:3], Committed("v", "bob", 0, 0.0, 0.5)]
    assert compare(events, [*soon, late], [], []).longest_wait == 59.5
    assert compare(events, [*soon, late], [], [], {"bob"}).longest_wait == 1.0


def test_a_repeat_bears_the_timestamp_of_the_capture() -> None:
    hour_late = [arrival(1, 2, seconds=3600.0)]
    assert compare(EVENTS, each(0, 1, 2, 3) + hour_late, [], []).restamped == ("u1",)
    assert compare(EVENTS, [*each(0), *hour_late, *each(2, 3)], [], []).restamped == ("u1",)
