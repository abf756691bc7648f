"""Which dead letters say that a quota is used up."""

from __future__ import annotations

import pytest

from hogbox._wire.result import EventResult, is_over_quota


@pytest.mark.parametrize(
    ("reason", "over"),
    [
        (EventResult("drop", "billing_limit_exceeded").reason, True),
        (EventResult("drop", "exceptions_over_quota").reason, True),
        (EventResult("drop", "other_over_quota").reason, True),
        (EventResult("drop", "event_restriction_drop").reason, False),
        (EventResult("drop").reason, False),
        ("HTTP 400: billing_limit_exceeded", False),
    ],
)
def test_a_dead_letter_says_that_a_quota_is_used_up(reason: str, over: bool) -> None:
    assert is_over_quota(reason) is over
