"""Mentions of a person in messages are found in each spelling, and nothing else is touched."""

from __future__ import annotations

import pytest

from hogbox._events.mention import spellings, without


@pytest.mark.parametrize(
    ("distinct_id", "text", "rest"),
    [
        ("u1", "u1, u11, xu1, {'u1'}", "[forgotten], u11, xu1, {'[forgotten]'}"),
        ("ada@x.com", "GET /?id=ada%40x.com", "GET /?id=[forgotten]"),
        ('Zoë "Z"', 'bad: {"id": "Zo\\u00eb \\"Z\\""}', 'bad: {"id": "[forgotten]"}'),
        ("a \n b", "no shard for a b.", "no shard for [forgotten]."),
        ("+49 (0)", "call +49 (0)!", "call [forgotten]!"),
        (r"\1", r"group \1", "group [forgotten]"),
    ],
)
def test_the_distinct_id_is_replaced(distinct_id: str, text: str, rest: str) -> None:
    assert without(text, spellings(distinct_id)) == rest
