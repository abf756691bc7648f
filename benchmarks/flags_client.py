"""What a read of a flag costs through each client's front door, over the same flags and people, all answers equal.

hogbox: `get_feature_flag(ctx, …)` on a SQLAlchemy session, a driver's connection, and with no transaction. posthog: its
public `get_feature_flag` with nothing but local evaluation asked of it.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

from posthog import Posthog
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from benchmarks.flags.world import definitions, people
from benchmarks.measure import in_turns, micro
from benchmarks.place import Setup, database, sqlite_path
from benchmarks.result import Result
from benchmarks.sample import TOKEN
from hogbox import PostHog

GOAL = 8.0
_READS = 4000
_PEER = "posthog, get_feature_flag"

Read = Callable[[str, str, dict[str, Any]], object]


def run(setup: Setup) -> Iterator[Result]:
    """One read, in each of hogbox's ways and in the official client's."""
    document, crowd = definitions(), people()
    with ExitStack() as stack:
        ways = {**_ours(stack, document), _PEER: _theirs(document)}
        _compare(ways, document, crowd)
        cost = in_turns({name: _timed(read, document, crowd) for name, read in ways.items()}, setup.repetitions)
    for name in ways:
        if name != _PEER:
            behind = f"{micro(cost[name])} against {micro(cost[_PEER])}"
            yield Result.at_least(
                f"get_feature_flag, {name}: faster than posthog", cost[_PEER] / cost[name], GOAL, behind
            )


def _ours(stack: ExitStack, document: dict[str, Any]) -> dict[str, Read]:
    url = stack.enter_context(database("sqlite"))
    engine = create_engine(url)
    stack.callback(engine.dispose)
    row = "INSERT INTO posthog_flag_definitions VALUES (:project, :data, NULL, 1, 1)"
    with engine.begin() as connection:
        connection.execute(text(row), {"project": TOKEN, "data": json.dumps(document)})
    posthog = stack.enter_context(PostHog(url, project_token=TOKEN))
    handles: dict[str, Any] = {
        "SQLAlchemy Session": stack.enter_context(Session(engine)),
        "sqlite3 connection": stack.enter_context(closing(sqlite3.connect(sqlite_path(url)))),
        "ctx=None": None,
    }
    return {name: _read_with(posthog, handle) for name, handle in handles.items()}


def _read_with(posthog: PostHog, handle: Any) -> Read:
    get_feature_flag = posthog.get_feature_flag
    return lambda key, person, properties: get_feature_flag(
        handle, key, distinct_id=person, person_properties=properties
    )


def _theirs(document: dict[str, Any]) -> Read:
    logging.getLogger("posthog").setLevel(logging.CRITICAL)
    client = Posthog("phc_benchmark", sync_mode=True, send=False, enable_local_evaluation=False)
    client.personal_api_key = "phx_benchmark"
    client.feature_flags = document["flags"]
    client.group_type_mapping = document["group_type_mapping"]
    client.cohorts = document["cohorts"]

    def read(key: str, person: str, properties: dict[str, Any]) -> object:
        return client.get_feature_flag(
            key, person, person_properties=properties, only_evaluate_locally=True, send_feature_flag_events=False
        )

    return read


def _compare(ways: dict[str, Read], document: dict[str, Any], crowd: list[tuple[str, dict[str, Any]]]) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    for person, properties in crowd:
        for flag in document["flags"]:
            answers = {name: read(flag["key"], person, properties) for name, read in ways.items()}
            assert len(set(answers.values())) == 1, (flag["key"], person, answers)


def _timed(read: Read, document: dict[str, Any], crowd: list[tuple[str, dict[str, Any]]]) -> Callable[[], float]:
    keys = [flag["key"] for flag in document["flags"]]
    calls = [(keys[number % len(keys)], *crowd[number % len(crowd)]) for number in range(_READS)]

    def seconds() -> float:
        # The loop is the same for both clients, and all that is measured besides their methods.
        began = time.perf_counter()
        for key, person, properties in calls:
            read(key, person, properties)
        return (time.perf_counter() - began) / _READS

    return seconds
