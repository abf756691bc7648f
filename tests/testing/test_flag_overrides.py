"""`posthog_flags`: what a test sets is what every read answers, of every client, in every thread, until it ends."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import FunctionType
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from sqlalchemy.orm import Session

from hogbox import AsyncFlags, AsyncPostHog, PostHog
from hogbox._client.flag_cache import FlagCache
from hogbox._client.flag_reader import FlagReader
from hogbox._client.flag_source import STAND_IN
from hogbox._client.local_flags import KnownFlags, LocalFlags
from hogbox._client.remote import Remote
from hogbox.context import new_context
from hogbox.emulator import Emulator
from hogbox.errors import (
    InvalidPerson,
    MissingDistinctId,
    RemoteEvaluationError,
    UnsupportedHandle,
    UsageError,
)
from hogbox.flags import FlagSet, Reason
from hogbox.integrations.openfeature import HogboxProvider
from hogbox.testing import FlagOverrides
from hogbox.testing.overlay import SetFlags
from hogbox.testing.stand_in import decided_by
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store
from tests.handles.opened import connect_psycopg, connect_pymysql
from tests.testing.conftest import TOKEN, Client, MakeClient

VARIANTS = {"variants": [{"key": "green", "rollout_percentage": 100}]}
STORED = definitions(
    flag("on", filters={"payloads": {"true": '{"limit": 5}'}}),
    flag("button", filters={"multivariate": VARIANTS, "payloads": {"green": "1", "red": "2"}}),
    flag("pro", where("plan", "pro")),
)


@pytest.fixture
def posthog(database: TestDatabase, make_client: MakeClient) -> Client:
    """A client with definitions stored, that has read them already."""
    store(database, TOKEN, STORED)
    client = make_client(database.url)
    assert client.get_feature_flag(None, "on", distinct_id="u1") is True
    return client


# Local reads


def test_a_flag_is_what_the_test_says(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("on", False)
    posthog_flags.set("button", "blue")
    posthog_flags.set("not in the definitions", True)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is False
    assert posthog.is_feature_enabled(None, "on", distinct_id="u1") is False
    assert posthog.get_feature_flag(None, "button", distinct_id="u1", groups={"company": "c"}) == "blue"
    assert posthog.is_feature_enabled(None, "not in the definitions", distinct_id="u1") is True


def test_several_flags_at_once(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags({"on": False, "button": "blue"})
    posthog_flags({"on": True}, distinct_id="u2")
    assert posthog.get_all_flags(None, distinct_id="u1") == {"on": False, "button": "blue"}
    assert posthog.get_all_flags(None, distinct_id="u2") == {"on": True, "button": "blue"}


@pytest.mark.parametrize(("given", "read"), [("u1", "u1"), (7, "7"), (UUID(int=5), str(UUID(int=5)))])
def test_a_flag_is_set_for_one_person(posthog: Client, posthog_flags: FlagOverrides, given: Any, read: str) -> None:
    posthog_flags.set("button", "blue", distinct_id=given)
    assert posthog.get_feature_flag(None, "button", distinct_id=read) == "blue"
    assert posthog.get_feature_flag(None, "button", distinct_id="somebody else") == "green"


@pytest.mark.parametrize("in_order", [True, False])
def test_what_is_set_for_one_person_goes_before_what_is_set_for_all(
    posthog: Client, posthog_flags: FlagOverrides, in_order: bool
) -> None:
    settings = [("blue", "u1"), ("red", None)]
    for value, person in settings if in_order else reversed(settings):
        posthog_flags.set("button", value, distinct_id=person)
    assert posthog.get_feature_flag(None, "button", distinct_id="u1") == "blue"
    assert posthog.get_feature_flag(None, "button", distinct_id="u2") == "red"


def test_a_flag_can_be_set_again_and_all_can_be_cleared(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("on", False)
    posthog_flags.set("on", "variant")
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") == "variant"
    posthog_flags.clear()
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True


def test_flags_that_are_not_set_keep_their_answers(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("other", True)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True
    assert posthog.get_feature_flag(None, "pro", distinct_id="u1") is None
    assert posthog.get_feature_flag(None, "pro", distinct_id="u1", person_properties={"plan": "pro"}) is True
    assert posthog.get_feature_flag_payload(None, "on", distinct_id="u1") == {"limit": 5}
    assert posthog.get_feature_flag(None, "unknown", distinct_id="u1", default="none") == "none"


def test_the_client_that_was_told_nothing_of_definitions_knows_what_is_set(
    database: TestDatabase, make_client: MakeClient, posthog_flags: FlagOverrides
) -> None:
    posthog = make_client(database.url)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is None
    posthog_flags.set("on", True)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True
    assert posthog.get_feature_flag(None, "other", distinct_id="u1") is None
    assert posthog.get_all_flags(None, distinct_id="u1") == {"on": True}
    assert posthog.flags(None, distinct_id="u1").all() == {"on": True}


def test_no_database_is_needed(make_client: MakeClient, posthog_flags: FlagOverrides) -> None:
    posthog = make_client()
    posthog_flags.set("on", True, payload=[1])
    read_all_ways(posthog, None)


def test_no_tables_are_needed(
    empty_database: TestDatabase, make_client: MakeClient, posthog_flags: FlagOverrides
) -> None:
    posthog = make_client(empty_database.url)
    posthog_flags.set("on", True, payload=[1])
    read_all_ways(posthog, None)


def test_no_tables_are_needed_in_a_transaction_which_stays_as_it_was(
    empty_database: TestDatabase, posthog_flags: FlagOverrides
) -> None:
    posthog_flags.set("on", True, payload=[1])
    with Session(empty_database.engine) as session, PostHog(project_token=TOKEN) as posthog:
        session.execute(sa.text("CREATE TABLE orders (id INTEGER PRIMARY KEY)"))
        session.execute(sa.text("INSERT INTO orders VALUES (1)"))
        read_all_ways(Client(posthog), session)
        assert session.scalar(sa.text("SELECT count(*) FROM orders")) == 1


@pytest.mark.parametrize(
    ("backend", "connect"), [("postgresql", connect_psycopg), ("mariadb", connect_pymysql)], ids=["psycopg", "PyMySQL"]
)
def test_definitions_are_found_through_a_drivers_own_connection(
    emptied: Any, posthog_flags: FlagOverrides, backend: str, connect: Any
) -> None:
    database = emptied(backend)
    store(database, TOKEN, STORED)
    posthog_flags.set("other", True)
    with closing(connect(database)) as connection, PostHog(project_token=TOKEN) as posthog:
        assert posthog.get_all_flags(connection, distinct_id="u1") == {"on": True, "button": "green", "other": True}


def read_all_ways(posthog: Client, ctx: Any) -> None:
    assert posthog.get_feature_flag(ctx, "on", distinct_id="u1") is True
    assert posthog.is_feature_enabled(ctx, "on", distinct_id="u1") is True
    assert posthog.get_feature_flag_result(ctx, "on", distinct_id="u1").value is True
    assert posthog.get_feature_flag_payload(ctx, "on", distinct_id="u1") == [1]
    assert posthog.get_feature_flag_payload(ctx, "on", match_value=True) == [1]
    assert posthog.get_all_flags(ctx, distinct_id="u1") == {"on": True}
    assert posthog.get_all_flags_and_payloads(ctx, distinct_id="u1") == ({"on": True}, {"on": [1]}, True)
    assert posthog.flags(ctx, distinct_id="u1").all() == {"on": True}
    assert posthog.get_feature_flag(ctx, "unknown", distinct_id="u1") is None


def test_a_flag_that_is_set_takes_no_query(database: TestDatabase, posthog_flags: FlagOverrides) -> None:
    queries: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *seen: queries.append(seen[2]))
    posthog_flags.set("on", True)
    with Session(database.engine) as session, PostHog(project_token=TOKEN, definitions_max_age=0) as posthog:
        assert posthog.get_feature_flag(session, "on", distinct_id="u1") is True
        assert queries == []


def test_inconclusive_gives_the_default(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("on", None)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1", default="default") == "default"
    assert posthog.is_feature_enabled(None, "on", distinct_id="u1") is None
    assert posthog.get_feature_flag_result(None, "on", distinct_id="u1") is None
    assert posthog.get_all_flags(None, distinct_id="u1") == {"button": "green"}
    assert not posthog.get_all_flags_and_payloads(None, distinct_id="u1", flag_keys=["on", "button"]).complete


def test_a_result_looks_like_any_other(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("button", "blue", payload={"colour": "#00f"})
    posthog_flags.set("on", False)
    result = posthog.get_feature_flag_result(None, "button", distinct_id="u1")
    assert (result.key, result.value, result.enabled, result.variant) == ("button", "blue", True, "blue")
    assert (result.reason, result.condition_index, result.conclusive) == (Reason.CONDITION_MATCH, None, True)
    off = posthog.get_feature_flag_result(None, "on", distinct_id="u1")
    assert (off.value, off.enabled, off.reason) == (False, False, Reason.NO_CONDITION_MATCH)


@pytest.mark.parametrize("payload", [{"limit": 9}, [1, 2], "text", "12", 12, 1.5, True, ""])
def test_a_payload_is_read_as_it_was_set(posthog: Client, posthog_flags: FlagOverrides, payload: Any) -> None:
    posthog_flags.set("on", True, payload=payload)
    assert posthog.get_feature_flag_payload(None, "on", distinct_id="u1") == payload
    assert posthog.evaluate_flag_payload(None, "on", distinct_id="u1") == payload


def test_a_flag_that_is_set_without_a_payload_has_none(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("on", True)
    assert posthog.get_feature_flag_payload(None, "on", distinct_id="u1") is None
    assert posthog.get_feature_flag_payload(None, "on", match_value=True) is None


def test_a_payload_by_value_is_that_of_everybodys_flag(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("button", "green", payload=["one person's"], distinct_id="u1")
    assert posthog.get_feature_flag_payload(None, "button", match_value="green") == 1
    posthog_flags.set("button", "blue", payload=["all"])
    assert posthog.get_feature_flag_payload(None, "button", match_value="blue") == ["all"]
    assert posthog.get_feature_flag_payload(None, "button", match_value="red") == 2


def test_all_flags_with_keys(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("extra", "x", distinct_id="u1", payload=1)
    wanted = ["extra", "button", "unknown"]
    assert posthog.get_all_flags(None, distinct_id="u1", flag_keys=wanted) == {"extra": "x", "button": "green"}
    values = posthog.get_all_flags_and_payloads(None, distinct_id="u2", flag_keys=["extra", "button"])
    assert values == ({"button": "green"}, {"button": 1}, True)


def test_what_a_call_does_wrong_is_refused_all_the_same(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("on", True)
    with pytest.raises(MissingDistinctId):
        posthog.get_feature_flag(None, "on")
    with pytest.raises(UnsupportedHandle):
        posthog.get_feature_flag(object(), "on", distinct_id="u1")
    with pytest.raises(InvalidPerson):
        posthog.get_feature_flag(None, "on", distinct_id="u1", person_properties=["plan"])
    with pytest.raises(UsageError, match="fallback"):
        posthog.get_feature_flag(None, "on", distinct_id="u1", fallback="remoet")
    with pytest.raises(UsageError, match="key is text"):
        posthog.get_feature_flag(None, ["on"], distinct_id="u1")


# Snapshots


def test_a_snapshot_has_what_is_set_when_it_is_taken(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("button", "blue", payload=[1])
    posthog_flags.set("extra", True, distinct_id="u2")
    flags = posthog.flags(None, distinct_id="u1")
    posthog_flags.set("button", "red")
    assert flags.get("button") == "blue"
    assert flags.is_enabled("button") is True
    assert flags.payload("button") == [1]
    assert flags.result("button").variant == "blue"
    assert flags.all() == {"on": True, "button": "blue"}
    assert set(flags.keys) == {"on", "button", "pro", "extra"}
    assert flags.event_properties() == {
        "$feature/on": True,
        "$feature/button": "blue",
        "$active_feature_flags": ["button", "on"],
    }


def test_an_explanation_says_that_a_test_set_the_flag(posthog: Client, posthog_flags: FlagOverrides) -> None:
    posthog_flags({"button": "blue", "on": None})
    posthog_flags.set("button", False, distinct_id="u2")
    flags = posthog.flags(None, distinct_id="u1")
    assert str(flags.explain("button")) == "Flag 'button' is 'blue': a test set it, for everybody."
    assert flags.explain("button").result == flags.result("button")
    assert str(flags.explain("on")) == "Flag 'on' is inconclusive: a test set it, for everybody."
    assert "Condition 1" in str(flags.explain("pro"))
    other = posthog.flags(None, distinct_id="u2").explain("button")
    assert str(other) == "Flag 'button' is False: a test set it, for this person."


def test_events_tell_of_what_is_set(
    posthog: Client, database: TestDatabase, posthog_flags: FlagOverrides, captured_events: Any
) -> None:
    posthog_flags.set("button", "blue")
    posthog.capture(None, "sent", distinct_id="u1", send_feature_flags=True)
    posthog.capture(None, "snapshot", distinct_id="u1", flags=posthog.flags(None, distinct_id="u1"))
    told = {"$feature/on": True, "$feature/button": "blue", "$active_feature_flags": ["button", "on"]}
    assert [event.given for event in captured_events(database.engine)] == [told, told]


# Exposures


def test_exposures_tell_of_what_is_set_once(
    database: TestDatabase, make_client: MakeClient, posthog_flags: FlagOverrides, captured_events: Any
) -> None:
    posthog = make_client(database.url, track_exposures=True)
    posthog_flags.set("button", "blue", payload=[1])
    for _ in range(2):
        posthog.get_feature_flag(None, "button", distinct_id="u1")
    exposure = captured_events.only(database.url)
    assert (exposure.event, exposure.distinct_id) == ("$feature_flag_called", "u1")
    assert exposure.given == {
        "$feature_flag": "button",
        "$feature_flag_response": "blue",
        "$feature/button": "blue",
        "$feature_flag_payload": [1],
        "$feature_flag_reason": "Evaluated locally",
        "locally_evaluated": True,
    }


def test_a_snapshot_and_a_remote_read_are_exposures_too(
    database: TestDatabase, make_client: MakeClient, posthog_flags: FlagOverrides, captured_events: Any
) -> None:
    posthog = make_client(database.url)
    posthog_flags({"button": "blue", "on": True})
    flags = posthog.flags(None, distinct_id="u1", track_exposures=True)
    flags.get("button")
    if isinstance(flags, AsyncFlags):
        asyncio.run(flags.write_exposures())
    posthog.evaluate_flag(None, "on", distinct_id="u1", track_exposures=True)
    told = [(event.given["$feature_flag"], event.given["locally_evaluated"]) for event in captured_events(database.url)]
    assert told == [("button", True), ("on", False)]


# Remote reads


def test_remote_reads_of_what_is_set_ask_nobody(make_client: MakeClient, posthog_flags: FlagOverrides) -> None:
    posthog = make_client()
    posthog_flags.set("button", "blue", payload=[1])
    posthog_flags.set("on", False, distinct_id="u1")
    assert posthog.evaluate_flag(None, "button", distinct_id="u1") == "blue"
    assert posthog.evaluate_flag(None, "on", distinct_id="u1") is False
    assert posthog.evaluate_flag_payload(None, "button", distinct_id="u1") == [1]
    everything = ({"button": "blue", "on": False}, {"button": [1]}, True)
    assert posthog.evaluate_all_flags(None, distinct_id="u1") == everything
    assert posthog.evaluate_all_flags(None, distinct_id="u1", flag_keys=["on"]) == ({"on": False}, {}, True)
    assert posthog.evaluate_all_flags(None, distinct_id="u2").flags == {"button": "blue"}
    assert posthog.get_all_flags(None, distinct_id="u1", fallback="remote") == {"button": "blue", "on": False}


def test_remote_reads_of_other_flags_ask_posthog(
    make_client: MakeClient, posthog_emulator: Emulator, posthog_flags: FlagOverrides
) -> None:
    posthog_emulator.set_flags(STORED)
    posthog = make_client(host=posthog_emulator.url)
    posthog_flags.set("button", "blue")
    assert posthog.evaluate_flag(None, "on", distinct_id="u1") is True
    wanted = ["on", "button"]
    assert posthog.evaluate_all_flags(None, distinct_id="u1", flag_keys=wanted).flags == {"on": True, "button": "blue"}
    assert posthog.get_feature_flag(None, "on", distinct_id="u1", fallback="remote") is True
    assert len(posthog_emulator.requests(path="/flags/")) == 3


def test_posthog_can_say_nothing_of_what_is_inconclusive(
    make_client: MakeClient, posthog_flags: FlagOverrides, caplog: pytest.LogCaptureFixture
) -> None:
    posthog = make_client()
    posthog_flags.set("on", None)
    with pytest.raises(RemoteEvaluationError, match="'on': A test set it"):
        posthog.evaluate_flag(None, "on", distinct_id="u1")
    assert posthog.get_feature_flag(None, "on", distinct_id="u1", fallback="remote", default=7) == 7
    assert posthog.evaluate_all_flags(None, distinct_id="u1") == ({}, {}, False)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# Whom it holds for


def test_it_holds_for_a_disabled_client_which_captures_nothing(
    database: TestDatabase, make_client: MakeClient, posthog_flags: FlagOverrides, captured_events: Any
) -> None:
    posthog = make_client(database.url, disabled=True, track_exposures=True)
    posthog_flags.set("on", True, payload=[1])
    read_all_ways(posthog, None)
    assert posthog.evaluate_flag(None, "on", distinct_id="u1") is True
    assert posthog.evaluate_all_flags(None, distinct_id="u1", flag_keys=["on", "other"]).flags == {"on": True}
    assert captured_events(database.url) == []
    assert database.count("posthog_exposures") == 0


def test_it_holds_for_clients_made_later_and_for_other_threads(
    posthog: Client, database: TestDatabase, make_client: MakeClient, posthog_flags: FlagOverrides
) -> None:
    posthog_flags.set("button", "blue")

    def read(client: Client) -> Any:
        found = client.own.get_feature_flag(None, "button", distinct_id="u1")
        return asyncio.run(found) if asyncio.iscoroutine(found) else found

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(read, [posthog, make_client(database.url)] * 4)) == ["blue"] * 8


def test_it_holds_in_threads_of_asyncio(posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("on", True)

    async def serve() -> list[Any]:
        sync, own = PostHog(project_token=TOKEN), AsyncPostHog(project_token=TOKEN)
        in_a_thread = asyncio.to_thread(sync.get_feature_flag, None, "on", distinct_id="u1")
        return [await in_a_thread, await own.get_feature_flag(None, "on", distinct_id="u1")]

    assert asyncio.run(serve()) == [True, True]


def test_it_holds_for_openfeature(posthog_flags: FlagOverrides) -> None:
    posthog_flags({"on": True, "button": "blue", "off": False})
    with PostHog(project_token=TOKEN) as posthog:
        api.set_provider(HogboxProvider(posthog))
        try:
            client, ada = api.get_client(), EvaluationContext("ada")
            found = [client.get_boolean_details(key, True, ada) for key in ("on", "off")]
            button = client.get_string_details("button", "default", ada)
            unknown = client.get_boolean_details("unknown", True, ada)
        finally:
            api.clear_providers()
    assert [(one.value, one.reason, one.error_code) for one in (*found, button)] == [
        (True, "TARGETING_MATCH", None),
        (False, "DEFAULT", None),
        ("blue", "TARGETING_MATCH", None),
    ]
    assert unknown.error_code == "FLAG_NOT_FOUND"


def test_nobody_in_particular_has_no_flags(make_client: MakeClient, posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("on", True)
    with new_context(personless=True):
        assert make_client().get_feature_flag(None, "on") is None
        assert make_client().evaluate_flag(None, "on") is None


def test_afterwards_all_is_as_before(posthog: Client) -> None:
    outer, inner = FlagOverrides(), FlagOverrides()
    outer.set("on", "outer")
    inner.set("on", "inner")
    with decided_by(outer):
        with decided_by(inner):
            assert posthog.get_feature_flag(None, "on", distinct_id="u1") == "inner"
        assert posthog.get_feature_flag(None, "on", distinct_id="u1") == "outer"
    assert STAND_IN.replace is None
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True


def test_no_method_of_a_class_is_replaced(posthog_flags: FlagOverrides) -> None:
    posthog_flags.set("on", True)
    code = [
        vars(owner)[name].__code__.co_filename
        for owner in (FlagReader, FlagCache, Remote, LocalFlags, FlagSet)
        for name in vars(owner)
        if isinstance(vars(owner)[name], FunctionType)
    ]
    assert code
    assert not [name for name in code if "testing" in Path(name).parts]


def test_snapshots_of_set_flags_compare_their_definitions(posthog: Client, posthog_flags: FlagOverrides) -> None:
    plain = posthog.flags(None, distinct_id="u1")
    posthog_flags.set("on", False)
    assert posthog.flags(None, distinct_id="u1").changed_since(plain) == ()
    assert posthog.flags(None, distinct_id="u1").definition("on") == plain.definition("on")


def test_every_way_of_asking_local_flags_is_covered() -> None:
    public = {name for name in vars(KnownFlags) if not name.startswith("_")}
    assert public == {name for name in vars(SetFlags) if not name.startswith("_")}
    assert public <= {name for name in dir(LocalFlags) if not name.startswith("_")}


# What can't be set


@pytest.mark.parametrize("value", [1, 0, 1.5, "", [], {}, b"blue", pytest.param(object(), id="object")], ids=repr)
def test_what_no_flag_can_be_is_refused_at_once(posthog_flags: FlagOverrides, value: Any) -> None:
    with pytest.raises(UsageError, match="flag 'on' can be True, False, the key of a variant or None"):
        posthog_flags.set("on", value)
    with pytest.raises(UsageError, match="flag 'on' can be"):
        posthog_flags({"on": value})


@pytest.mark.parametrize("key", ["", None, 7])
def test_what_is_no_key_is_refused_at_once(posthog_flags: FlagOverrides, key: Any) -> None:
    with pytest.raises(UsageError, match="key is text"):
        posthog_flags.set(key, True)


@pytest.mark.parametrize("payload", [object(), float("nan"), {1, 2}], ids=["object", "nan", "set"])
def test_a_payload_that_json_cannot_say_is_refused_at_once(posthog_flags: FlagOverrides, payload: Any) -> None:
    with pytest.raises(UsageError, match="payload of flag 'on' is nothing that JSON can say"):
        posthog_flags.set("on", True, payload=payload)


@pytest.mark.parametrize("value", [False, None])
def test_a_flag_that_is_not_on_has_no_payload(posthog_flags: FlagOverrides, value: Any) -> None:
    with pytest.raises(UsageError, match="no payload"):
        posthog_flags.set("on", value, payload=[1])


def test_who_is_nobody_is_refused_at_once(posthog_flags: FlagOverrides) -> None:
    with pytest.raises(UsageError, match="distinct_id"):
        posthog_flags.set("on", True, distinct_id=1.5)  # type: ignore[arg-type]
