"""Identifiers. Shards and keyed uuids are pinned: another value would be another person's place, or another event."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._events.identifier import RANDOM_BITS, SHARDS, keyed_uuid, parse_uuid, shard_of, uuid7

FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MOMENT = st.integers(0, 2**48 - 1)
RANDOM = st.integers(0, 2**RANDOM_BITS - 1)


@pytest.mark.parametrize(
    ("project", "distinct_id", "shard"),
    [
        ("phc_example", "u-8842", 21),
        ("phc_example", "u-8843", 3),
        ("phc_other", "u-8842", 12),
        ("phc_example", "Zoë 🦔", 47),
        ("phc_example", "$company_c-19", 42),
        ("", "", 19),
    ],
)
def test_p4_a_person_keeps_the_shard_for_ever(project: str, distinct_id: str, shard: int) -> None:
    assert shard_of(project, distinct_id) == shard


@given(st.text(st.characters()), st.text(st.characters()))
def test_p4_everybody_has_a_shard(project: str, distinct_id: str) -> None:
    assert 0 <= shard_of(project, distinct_id) < SHARDS == 64


def test_people_spread_evenly_over_the_shards() -> None:
    people = [0] * SHARDS
    for number in range(6400):
        people[shard_of("phc_example", f"user-{number}")] += 1
    assert min(people) > 50
    assert max(people) < 200


def test_uuid7_holds_the_time_then_the_random_bits() -> None:
    random = 0xABC << 62 | 0x1234_5678_9ABC_DEF0
    assert uuid7(1_764_000_000_000, random) == "019ab697-e800-7abc-9234-56789abcdef0"


@given(MOMENT, RANDOM)
def test_uuid7_is_a_uuid_of_version_7(milliseconds: int, random: int) -> None:
    text = uuid7(milliseconds, random)
    assert FORM.fullmatch(text)
    parsed = UUID(text)
    assert str(parsed) == text
    assert parsed.version == 7
    assert parsed.variant == "specified in RFC 4122"
    assert parsed.int >> 80 == milliseconds


@given(MOMENT, MOMENT, RANDOM, RANDOM)
def test_uuid7_sorts_by_time(one: int, other: int, random: int, another: int) -> None:
    if one != other:
        assert (uuid7(one, random) < uuid7(other, another)) is (one < other)


@given(MOMENT, RANDOM, st.integers(0, RANDOM_BITS - 1))
def test_uuid7_differs_with_each_random_bit_that_it_uses(milliseconds: int, random: int, bit: int) -> None:
    assert uuid7(milliseconds, random) != uuid7(milliseconds, random ^ 1 << bit)


@pytest.mark.parametrize(
    ("project", "key", "uuid"),
    [
        ("phc_example", "order-17", "4aa19fa8-c854-580e-ae47-a4f47ba12cbc"),
        ("phc_other", "order-17", "15c395e4-d37b-5396-a10f-4037f5e29df5"),
        ("phc_example", "größe", "001fa391-eeb4-5e1d-ace1-bc625ed7fd5e"),
    ],
)
def test_p3_a_key_gives_its_uuid_for_ever(project: str, key: str, uuid: str) -> None:
    assert keyed_uuid(project, key) == uuid
    assert UUID(uuid).version == 5


def test_p3_keys_that_differ_only_in_what_utf_8_lacks_stay_apart() -> None:
    assert keyed_uuid("phc_example", "\udc80") != keyed_uuid("phc_example", "\udc81")


@given(st.text(), st.text())
def test_p3_only_the_same_key_gives_the_same_uuid(one: str, other: str) -> None:
    assert (keyed_uuid("phc_example", one) == keyed_uuid("phc_example", other)) is (one == other)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        pytest.param(UUID(int=7), "00000000-0000-0000-0000-000000000007", id="UUID"),
        pytest.param("01990F6A-3C4E-7B51-9A55-0D2A6F0B7C11", "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11", id="capitals"),
        pytest.param("01990f6a3c4e7b519a550d2a6f0b7c11", "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11", id="no hyphens"),
        pytest.param("urn:uuid:01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11", "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11", id="urn"),
        pytest.param("01990f6a-3c4e-7b51-9a55-0d2a6f0b7c1", None, id="too short"),
        pytest.param("order-17", None, id="no UUID"),
        pytest.param("", None, id="empty"),
        pytest.param(7, None, id="number"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_a_uuid_is_read_into_posthogs_form_or_not_at_all(value: object, parsed: str | None) -> None:
    assert parse_uuid(value) == parsed


@given(st.text(st.characters()))
def test_any_text_is_a_uuid_or_none(text: str) -> None:
    parsed = parse_uuid(text)
    assert parsed is None or str(UUID(parsed)) == parsed
