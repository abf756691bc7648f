"""The setting `capture_mode`."""

from __future__ import annotations

import pytest

from hogbox._wire.mode import CaptureEndpoint, CaptureMode
from hogbox.errors import ConfigurationError


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("auto", CaptureMode.AUTO),
        ("v0", CaptureMode.V0),
        ("legacy", CaptureMode.V0),
        ("v1", CaptureMode.V1),
        (" Analytics_V1 ", CaptureMode.V1),
    ],
)
def test_modes_have_the_words_of_the_official_clients(word: str, mode: CaptureMode) -> None:
    assert CaptureMode.read(word) is mode


@pytest.mark.parametrize("word", ["", "v2", "1"])
def test_another_word_is_refused_with_those_that_exist(word: str) -> None:
    with pytest.raises(ConfigurationError, match=r"use auto, v0 \(or legacy\) or v1"):
        CaptureMode.read(word)


def test_only_v1_states_results() -> None:
    assert [one for one in CaptureEndpoint if one.states_results] == [CaptureEndpoint.ANALYTICS]
