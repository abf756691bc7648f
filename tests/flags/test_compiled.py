"""Fast paths (written functions) give what the plain evaluator gives, for one flag and for all."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from hogbox.flags import FlagResult, FlagSet
from hogbox.flags._flag_set import result_for
from hogbox.flags._person import EvaluatedPerson, Person
from tests.flags import world


def _plain(flag_set: FlagSet, key: str, call: dict[str, Any]) -> FlagResult:
    now = call.get("now", datetime(2024, 6, 1, tzinfo=UTC))
    return flag_set._plain.evaluate(key, EvaluatedPerson(_person(call), now))


def _person(call: dict[str, Any]) -> Person:
    return Person(**{name: value for name, value in call.items() if name != "now"})


@pytest.mark.parametrize("seed", range(20))
def test_fast_paths_agree_with_the_plain_evaluator(seed: int) -> None:
    dice = random.Random(seed)
    flag_set = FlagSet.parse(world.definitions(dice, 20))
    # Enough people for the batches to be written on the way.
    for call in world.people(dice, 30):
        call["now"] = datetime(2024, 6, 1, tzinfo=UTC)
        alone = {
            "distinct_id": call["distinct_id"],
            "person_properties": call["person_properties"],
            "now": call["now"],
        }
        results = flag_set.evaluate_all(**call)
        for key, result in results.items():
            assert result == _plain(flag_set, key, call)
            assert flag_set.evaluate(key, **call) == result
            assert result_for(flag_set, key, _person(call), call["now"]) == result
            assert flag_set.explain(key, **call).result == result
            without = flag_set.evaluate(key, **alone)
            assert without == _plain(flag_set, key, {**alone, "groups": None, "group_properties": None})


def test_results_are_the_same_before_and_after_batches_are_written() -> None:
    dice = random.Random(7)
    definitions = world.definitions(dice, 40)
    people = [world.person(dice) for _ in range(100)]
    flag_set = FlagSet.parse(definitions)
    for call in people:
        assert flag_set.evaluate_all(**call) == FlagSet.parse(definitions).evaluate_all(**call)


def test_all_flags_come_in_the_order_of_the_document_and_each_call_owns_its_answer() -> None:
    flag_set = FlagSet.parse(world.definitions(random.Random(1), 30))
    first = flag_set.evaluate_all(distinct_id="u1")
    assert list(first) == list(flag_set.keys)
    first.clear()
    assert list(flag_set.evaluate_all(distinct_id="u1")) == list(flag_set.keys)


def test_only_the_keys_asked_for_are_evaluated() -> None:
    flag_set = FlagSet.parse(world.definitions(random.Random(1), 5))
    results = flag_set.evaluate_all(distinct_id="u1", keys=["flag-3", "nonesuch"])
    assert list(results) == ["flag-3", "nonesuch"]
    assert results["nonesuch"].reason == "unknown_flag"
    assert list(flag_set._plain._flags) == ["flag-3"]
