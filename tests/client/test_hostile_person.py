"""What a caller passes of a person may be of any class: reads of flags end, or raise what is documented."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from hogbox.errors import InvalidEvent, InvalidPerson, UsageError
from tests.client.conftest import TOKEN


class Endless(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        return 1

    def __iter__(self) -> Iterator[str]:
        return map(str, itertools.count())

    def __len__(self) -> int:
        return 1


class EndlessDict(dict[str, Any]):
    def items(self) -> Any:
        return ((str(number), number) for number in itertools.count())

    def keys(self) -> Any:
        return map(str, itertools.count())


class Raising(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise SystemError("broken")

    def __iter__(self) -> Iterator[str]:
        raise SystemError("broken")

    def __len__(self) -> int:
        raise SystemError("broken")


class Unlike:
    def __getattribute__(self, name: str) -> Any:
        raise SystemError("broken")


HOSTILE: dict[str, Callable[[], Any]] = {
    "endless": Endless,
    "an endless dict": lambda: EndlessDict(a=1),
    "raising": Raising,
    "no mapping": Unlike,
    "a list": lambda: [1],
    "text": lambda: "plan",
}
ARGUMENTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "person_properties": lambda value: {"person_properties": value},
    "groups": lambda value: {"groups": value},
    "group_properties": lambda value: {"group_properties": value},
    "group_properties of a type": lambda value: {"groups": {"c": "1"}, "group_properties": {"c": value}},
}
READS: dict[str, Callable[..., Any]] = {
    "a read": lambda posthog, **person: posthog.get_feature_flag(None, "on", distinct_id="u1", **person),
    "all": lambda posthog, **person: posthog.get_all_flags(None, distinct_id="u1", **person),
    "a snapshot": lambda posthog, **person: posthog.flags(None, distinct_id="u1", **person).is_enabled("on"),
    "a remote read": lambda posthog, **person: posthog.evaluate_flag(None, "on", distinct_id="u1", **person),
    "all remote": lambda posthog, **person: posthog.evaluate_all_flags(None, distinct_id="u1", **person),
}


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostHog]:
    """A client with one flag, for tests that only read."""
    url = f"sqlite:///{tmp_path_factory.mktemp('reading') / 'app.db'}"
    flag = {"key": "on", "active": True, "filters": {"groups": [{"properties": [], "rollout_percentage": 100}]}}
    flags = {"flags": [flag], "group_type_mapping": {"0": "c"}, "cohorts": {}}
    with (
        Emulator(flags=flags) as emulator,
        PostHog(url, project_token=TOKEN, host=emulator.url, personal_api_key="phs_k") as posthog,
    ):
        posthog.create_tables()
        assert str(posthog.refresh_flag_definitions()) == "updated"
        yield posthog


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("read", READS)
def test_p8_a_person_that_cannot_be_read_is_a_mistake_of_the_caller(
    reading: PostHog, read: str, argument: str, kind: str
) -> None:
    with pytest.raises(InvalidPerson, match=argument.partition(" ")[0]):
        READS[read](reading, **ARGUMENTS[argument](HOSTILE[kind]()))


def test_p8_an_event_that_tells_of_flags_ends_too(reading: PostHog) -> None:
    with pytest.raises(InvalidPerson, match="groups"):
        reading.capture(None, "paid", distinct_id="u1", groups=Endless(), send_feature_flags=True)


@pytest.mark.parametrize("kind", ["no mapping", "exploding", "a long number"])
def test_p8_what_is_no_flag_key_and_no_idempotency_key_is_said_to_be(reading: PostHog, kind: str) -> None:
    exploding: dict[str, Any] = {}
    for _ in range(60):
        exploding = {"a": exploding, "b": exploding}
    wrong: Any = {"no mapping": Unlike(), "exploding": exploding, "a long number": 10**5000}[kind]
    for call in (reading.get_feature_flag, reading.is_feature_enabled, reading.evaluate_flag):
        with pytest.raises(UsageError, match="key is text"):
            call(None, wrong, distinct_id="u1")
    if kind == "exploding":
        with pytest.raises(InvalidEvent, match="idempotency_key"):
            reading.capture(None, "paid", distinct_id="u1", idempotency_key=wrong)
