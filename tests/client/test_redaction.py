"""What a redactor keeps out of the outbox."""

from __future__ import annotations

import hmac
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox import Event
from hogbox.errors import ConfigurationError
from hogbox.redaction import CARD, EMAIL, SECRET_NAMES, Redactor
from tests.client.conftest import TOKEN, Client, Only
from tests.fixtures.database import TestDatabase

KEY = "a hash key that is only a test's"


def redacted(redactor: Redactor, properties: dict[str, Any], name: str = "paid") -> dict[str, Any]:
    event: Event = {"uuid": "u", "event": name, "distinct_id": "d", "timestamp": "t", "properties": properties}
    answer = redactor(event)
    assert answer is not None
    return answer["properties"]


def digest(text: str) -> str:
    return hmac.digest(KEY.encode(), text.encode(), "sha256").hex()


def test_what_is_denied_never_reaches_the_outbox(client: Client, only: Only) -> None:
    posthog = client(before_send=Redactor(deny=["password", "$set.Email", "cards.*"]))
    properties = {"plan": "pro", "form": [{"Password": "x", "n": 1}], "cards": {"a": 1}, "$set": {"email": "e", "b": 2}}
    posthog.capture(None, "signed up", distinct_id="u1", properties=properties)
    kept = only()["properties"]
    assert (kept["plan"], kept["form"], kept["cards"], kept["$set"]) == ("pro", [{"n": 1}], {}, {"b": 2})


def test_a_path_below_anything_is_one_at_the_top_as_well() -> None:
    properties = {"pin": 1, "a": {"pin": 1, "b": {"pin": 1, "pins": 2}}, "spin": 3}
    assert redacted(Redactor(deny=["*.pin"]), properties) == {"a": {"b": {"pins": 2}}, "spin": 3}
    assert redacted(Redactor(deny=["a.*.pin"]), properties)["a"] == {"pin": 1, "b": {"pins": 2}}


def test_deny_by_event() -> None:
    redactor = Redactor(deny={"sign*": ["referrer"], "*": ["pin"]})
    properties = {"referrer": "r", "pin": 1, "a": 2}
    assert redacted(redactor, properties, "signed up") == {"a": 2}
    assert redacted(redactor, properties, "paid") == {"referrer": "r", "a": 2}


def test_with_an_allow_list_everything_else_is_left_out() -> None:
    redactor = Redactor(allow=["plan", "$set.city", "items.id"], deny=["plan.secret"])
    properties = {
        "plan": {"name": "pro", "secret": 1},
        "$set": {"city": "Rome", "street": "x"},
        "items": [{"id": 1, "note": "x"}, {"note": "y"}],
        "Plan": 1,
        "deep": {"plan": 1},
        "$lib": "hogbox",
        "$geoip_disable": True,
    }
    assert redacted(redactor, properties) == {
        "plan": {"name": "pro"},
        "$set": {"city": "Rome"},
        "items": [{"id": 1}],
        "$lib": "hogbox",
        "$geoip_disable": True,
    }


def test_an_event_without_an_entry_of_an_allow_list_keeps_nothing() -> None:
    redactor = Redactor(allow={"paid": ["*"]})
    assert redacted(redactor, {"a": 1, "b": {"c": 2}}) == {"a": 1, "b": {"c": 2}}
    assert redacted(redactor, {"a": 1, "$lib": "hogbox"}, "refunded") == {"$lib": "hogbox"}


def test_events_can_be_denied_and_allowed(client: Client, database: TestDatabase) -> None:
    posthog = client(before_send=Redactor(allow_events=["order *", "$*"], deny_events=["* internal"]))
    for name in ("order paid", "order internal", "debug", "$exception"):
        posthog.capture(None, name, distinct_id="u1")
    assert [event["event"] for event in database.events()] == ["order paid", "$exception"]
    assert posthog.discarded.refused == 2


def test_hashes_are_keyed_and_the_same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOGBOX_HASH_KEY", KEY)
    redactor = Redactor(hashed=["email", "$set.phone"])
    properties = {"email": "ada@example.com", "list": [{"email": ["ada@example.com", None]}], "$set": {"phone": 123}}
    ada = digest("ada@example.com")
    assert redacted(redactor, properties) == {
        "email": ada,
        "list": [{"email": [ada, None]}],
        "$set": {"phone": digest("123")},
    }


def test_deny_wins_over_hashing() -> None:
    redactor = Redactor(hashed=["person"], deny=["pin"], hash_key=KEY)
    assert redacted(redactor, {"person": {"pin": 1, "mail": "m"}}) == {"person": {"mail": digest("m")}}


def test_hashing_without_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOGBOX_HASH_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="HOGBOX_HASH_KEY"):
        Redactor(hashed=["email"])
    with pytest.raises(ConfigurationError, match="too short") as caught:
        Redactor(hashed=["email"], hash_key="short")
    assert "short'" not in str(caught.value)


def test_p9_a_redactor_does_not_show_its_key() -> None:
    assert KEY not in repr(Redactor(hashed=["email"], hash_key=KEY))


def test_patterns_look_into_values_numbers_and_names() -> None:
    properties = {
        "note": "from ada@example.com",
        "lists": [["phx_0123456789abcdef"]],
        "card": 4111111111111111,
        "at": 1732567033123,
        "ratio": 0.25,
        "seen": {"bob@example.com": True},
    }
    assert redacted(Redactor(), properties) == {
        "note": "from [redacted]",
        "lists": [["[redacted]"]],
        "card": "[redacted]",
        "at": 1732567033123,
        "ratio": 0.25,
        "seen": {"[redacted]": True},
    }


def test_other_patterns_and_none() -> None:
    text = {"note": "A-17 ada@example.com"}
    assert redacted(Redactor(patterns=[re.compile(r"A-\d+")]), text) == {"note": "[redacted] ada@example.com"}
    assert redacted(Redactor(patterns=[]), text) == text


def test_the_usual_names_of_secrets() -> None:
    properties = {"user_password": 1, "headers": {"Set-Cookie": "a", "X-Api_Key": "b", "Host": "c"}, "refreshToken": 1}
    assert redacted(Redactor(deny=SECRET_NAMES), properties) == {"headers": {"Host": "c"}}


def test_whose_the_event_is_stays(client: Client, database: TestDatabase) -> None:
    mail = "ada@example.com"
    posthog = client(before_send=Redactor(allow=[]))
    posthog.capture(None, f"mail to {mail}", distinct_id=mail, groups={"company": mail})
    posthog.alias(None, "other@example.com", distinct_id=mail)
    posthog.group_identify(None, "company", mail, properties={"contact": mail})
    captured, alias, group = database.events()
    assert (captured["event"], captured["distinct_id"]) == (f"mail to {mail}", mail)
    assert captured["properties"]["$groups"] == {"company": mail}
    assert {alias["properties"][name] for name in ("alias", "distinct_id")} == {"other@example.com", mail}
    assert (group["properties"]["$group_key"], "$group_set" in group["properties"]) == (mail, False)


def test_what_an_earlier_hook_left_is_redacted_whatever_its_type(client: Client, only: Only) -> None:
    class Text(str):
        pass

    def careless(event: Event) -> Event:
        event["properties"] = {"a": (Text("ada@example.com"), b"bob@example.com"), Text("pin"): 1}
        return event

    client(before_send=[careless, Redactor(deny=["pin"])]).capture(None, "paid", distinct_id="u1")
    assert only()["properties"] == {"a": ["[redacted]", "[redacted]"]}


def test_p2_an_event_is_not_sent_where_a_redactor_fails(client: Client, database: TestDatabase) -> None:
    def spoiled(event: Any) -> Any:
        return {**event, "event": None}

    posthog = client(before_send=[spoiled, Redactor(deny_events=["x"])])
    assert posthog.capture(None, "paid", distinct_id="u1", properties={"pin": 1}) is None
    assert database.events() == database.dead_letters() == []
    assert posthog.discarded.failed == 1


def test_exceptions_are_searched_too(client: Client, only: Only) -> None:
    posthog = client(before_send=Redactor())
    secret = "hunter" + str(1 + 1)
    try:
        raise ValueError(f"no account of ada@example.com, password={secret}")
    except ValueError as error:
        posthog.capture_exception(None, error)
    (entry,) = only()["properties"]["$exception_list"]
    assert entry["value"] == "no account of [redacted], password=[redacted]"
    assert secret not in str(entry)
    assert TOKEN not in str(entry)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"deny": "password"}, "deny must be a list"),
        ({"deny": [7]}, "deny must contain names"),
        ({"allow": {"paid": "plan"}}, "allow must be a list"),
        ({"allow": {"": ["plan"]}}, "allow must contain names"),
        ({"deny_events": [" "]}, "deny_events must contain names"),
        ({"allow_events": "paid"}, "allow_events must be a list"),
        ({"deny": ["$lib"]}, "which can't be redacted"),
        ({"patterns": EMAIL}, "patterns must be a list"),
        ({"patterns": [CARD, "x"]}, "patterns must contain"),
        ({"patterns": [re.compile(rb"x")]}, "patterns must contain"),
    ],
)
def test_what_cannot_work_is_refused_at_once(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Redactor(**arguments)


NAMES = st.sampled_from(["a", "b", "ab", "b.a", "a.b", "A", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_nothing_of_a_denied_name_is_left_at_any_depth(properties: dict[str, Any]) -> None:
    def names(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [*value, *(name for inner in value.values() for name in names(inner))]
        return [name for one in value for name in names(one)] if isinstance(value, list) else []

    left = names(redacted(Redactor(deny=["a"], patterns=[]), properties))
    assert not [name for name in left if name.rpartition(".")[2].lower() == "a"]


def test_a_path_without_bounds_is_left_out() -> None:
    assert redacted(Redactor(), {"a": 1, "k" * 1_001: 2}) == {"a": 1}


def test_many_stars_take_no_time() -> None:
    redactor = Redactor(deny=["*a" * 30 + "b", "x.*" + "a*" * 30 + "b"])
    assert redacted(redactor, {"a" * 900: 1, "x": {"a" * 900: 2}}) == {"a" * 900: 1, "x": {"a" * 900: 2}}
