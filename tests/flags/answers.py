"""All answers to all golden cases, and to people and flags at random: `python -m tests.flags.answers FILE`.

One process writes them with the compiler, another without it.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hogbox.flags import FlagResult, FlagSet
from tests.flags import rules_samples, vectors, world

_NOW = datetime(2024, 6, 1, tzinfo=UTC)


def main() -> None:
    """Writes the answers as JSON, and whether there is a compiler."""
    answers = list(_golden()) + list(_random())
    compiled = any(name.startswith("hogbox.flags._compiled") for name in sys.modules)
    Path(sys.argv[1]).write_text(json.dumps({"compiled": compiled, "answers": answers}))


def _golden() -> Iterator[list[Any]]:
    for name, content in vectors.files().items():
        flag_set = FlagSet.parse(content["definitions"])
        for case in content["cases"]:
            call = vectors.call_of(case)
            yield [name, case["key"], call, _facts(flag_set.evaluate(case["key"], **call, now=_NOW))]
            # Twice, because only what was evaluated before has a fast path; and without `now`, which leads off it.
            yield [name, case["key"], call, _facts(flag_set.evaluate(case["key"], **call))]
        for call in {json.dumps(vectors.call_of(case)): vectors.call_of(case) for case in content["cases"]}.values():
            yield [name, "all", call, _all_facts(flag_set, call)]


def _random() -> Iterator[list[Any]]:
    for seed in range(12):
        dice = random.Random(seed)
        flag_set = FlagSet.parse(json.dumps(rules_samples.random_definitions(dice, 30)))
        # Enough people for all batches to be written on the way.
        for call in world.people(dice, 30):
            alone = {name: call[name] for name in ("distinct_id", "person_properties", "properties_complete")}
            for who in (call, alone):
                yield [seed, "all", who, _all_facts(flag_set, {**who, "now": _NOW})]
                yield [seed, "each", who, {key: _facts(flag_set.evaluate(key, **who)) for key in flag_set.keys}]
                yield [seed, "explained", who, {key: str(flag_set.explain(key, **who)) for key in flag_set.keys}]


def _all_facts(flag_set: FlagSet, call: dict[str, Any]) -> dict[str, Any]:
    return {key: _facts(result) for key, result in flag_set.evaluate_all(**call).items()}


def _facts(result: FlagResult) -> list[Any]:
    rule = (result.conclusive, result.config_version, result.rule_type, result.rule_id)
    return [result.key, result.value, result.reason, result.condition_index, result.payload, *rule]


if __name__ == "__main__":
    main()
