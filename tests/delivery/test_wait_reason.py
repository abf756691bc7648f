"""Why an event waits, in words."""

from __future__ import annotations

from typing import Any

import pytest

from hogbox._delivery.share import Lease
from hogbox._delivery.wait_reason import WaitState, why_waiting

FINE = WaitState(Lease(3, "w1", 20.0), 1, -5.0, 0, None, None, None, None, 0)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ["nothing: it is about to be sent"]),
        ({"ahead": 7}, ["nothing is in its way but 7 events ahead of it"]),
        ({"workers": 0}, ["no worker runs"]),
        ({"lease": Lease(3, None, 0.0)}, ["no worker holds its shard"]),
        ({"lease": Lease(3, "w1", -1.0)}, ["no worker holds its shard"]),
        ({"put_off": 12.0, "attempt": 4, "last_error": "503"}, ["put off for 12 s after 4 failed attempts: 503"]),
        ({"attempt": 4, "last_error": "503"}, ["its shard is tried again now, after 4 failed attempts: 503"]),
        (
            {"held": 90.0, "hold_reason": "401", "refused": "token"},
            ["refuses the project's token (401): it is tried again in 90 s"],
        ),
        ({"held": -1.0, "hold_reason": "401", "refused": "token"}, ["(401): it is tried again now"]),
        ({"held": 9.0, "hold_reason": "402", "refused": "quota"}, ["its quota is used up (402)"]),
        ({"held": 9.0, "hold_reason": "404", "refused": "address"}, ["at this address (404)"]),
        ({"held": 9.0, "hold_reason": "503"}, ["does not take the project's events (503): it is tried again in 9 s"]),
        ({"last_error": "token phc_ab… refused"}, ["the last error of its shard was: token"]),
        (
            {"workers": 0, "held": 1.0, "hold_reason": "401", "refused": "token"},
            ["no worker runs", "refuses the project's token"],
        ),
    ],
)
def test_every_reason_is_told(changes: dict[str, Any], why: list[str]) -> None:
    told = why_waiting(FINE._replace(**changes))
    assert len(told) == len(why)
    for sentence, part in zip(told, why, strict=True):
        assert part in sentence
