"""hogbox and the `posthog` package from PyPI give the same answers wherever the spec says that they agree."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hogbox.flags import FlagSet
from tests.flags import world

pytest.importorskip("posthog", reason="the peer is in the extra `bench`")

from benchmarks.flags.peer import Peer

_FLAGS, _PEOPLE = 10, 10

many_worlds = pytest.mark.parametrize(
    "comparisons",
    [
        2_500,
        pytest.param(
            100_000,
            marks=[
                pytest.mark.nightly(reason="the same comparisons of forty times as many worlds"),
                pytest.mark.timeout(600),
            ],
        ),
    ],
)


@many_worlds
def test_p7_agrees_with_posthog_where_everything_is_known(comparisons: int) -> None:
    for seed in range(comparisons // (_FLAGS * _PEOPLE)):
        dice = random.Random(seed)
        definitions = world.definitions(dice, _FLAGS)
        flag_set, peer = FlagSet.parse(definitions), Peer(definitions)
        for _ in range(_PEOPLE):
            call = world.person(dice)
            for key, result in flag_set.evaluate_all(**call).items():
                assert result.value == peer.evaluate(key, **call), (
                    seed,
                    key,
                    call,
                    str(flag_set.explain(key, **call)),
                )


@many_worlds
def test_p7_agrees_with_posthog_where_it_is_sure_of_a_condition(comparisons: int) -> None:
    # Of several conditions the peer takes a later match for certain (rule C3), which it may not be.
    for seed in range(comparisons // (_FLAGS * _PEOPLE)):
        dice = random.Random(-1 - seed)
        definitions = world.definitions(dice, _FLAGS)
        flag_set, peer = FlagSet.parse(definitions), Peer(definitions)
        for _ in range(_PEOPLE):
            call = world.forgetful(dice, world.person(dice))
            for key, result in flag_set.evaluate_all(**call).items():
                expected = peer.evaluate(key, **call)
                if expected is not None and _has_one_condition_of_its_own(peer.flags[key]):
                    assert result.value == expected, (seed, key, call, str(flag_set.explain(key, **call)))


def _has_one_condition_of_its_own(flag: dict[str, Any]) -> bool:
    conditions = flag["filters"]["groups"]
    return len(conditions) == 1 and all(item.get("type") != "flag" for item in conditions[0]["properties"])
