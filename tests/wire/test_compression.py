"""The encodings of request bodies: what each word of the setting does, and without its library."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hogbox._wire.compression import WORDS, encoder, v0_encoder
from hogbox.errors import ConfigurationError, MissingDependency

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body,
    "gzip": gzip.decompress,
    "deflate": lambda body: zlib.decompress(body, -zlib.MAX_WBITS),
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    "br": brotli.decompress,
}
ZSTD_LIBRARIES = ("compression.zstd", "backports.zstd", "zstandard")


@pytest.mark.parametrize("word", WORDS)
@given(body=st.binary() | st.binary(min_size=1, max_size=9).map(lambda piece: piece * 1000))
def test_p3_every_body_is_decoded_to_what_it_was_and_always_encoded_alike(word: str, body: bytes) -> None:
    sent, headers = encoder(word).encode(body)
    assert DECODERS[headers.get("Content-Encoding", "")](sent) == body
    assert encoder(word).encode(body) == (sent, headers)


@pytest.mark.parametrize(
    ("word", "small", "large"),
    [
        ("auto", "", "gzip"),
        ("none", "", ""),
        ("identity", "", ""),
        ("gzip", "gzip", "gzip"),
        ("deflate", "deflate", "deflate"),
        ("zstd", "zstd", "zstd"),
        ("br", "br", "br"),
    ],
)
def test_a_word_that_was_chosen_applies_to_small_bodies_too(word: str, small: str, large: str) -> None:
    for body, encoding in ((b"{}", small), (b"x" * 1024, large)):
        assert encoder(word).encode(body)[1] == ({"Content-Encoding": encoding} if encoding else {})


@pytest.mark.parametrize("word", WORDS)
def test_capture_v0_receives_gzip_or_nothing(word: str) -> None:
    expected = {"none": "", "identity": ""}.get(word, "gzip")
    assert v0_encoder(word).encode(b"x" * 1024)[1].get("Content-Encoding", "") == expected


@given(st.binary(max_size=300))
def test_deflate_is_never_taken_for_the_form_with_a_header(body: bytes) -> None:
    assert not encoder("deflate").encode(body)[0].startswith(b"\x78")


@pytest.mark.parametrize("library", ZSTD_LIBRARIES[1:])
def test_each_library_of_zstd_will_do(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ZSTD_LIBRARIES:
        if other != library:
            monkeypatch.setitem(sys.modules, other, None)
    sent, headers = encoder("zstd").encode(b"x" * 1000)
    assert (DECODERS["zstd"](sent), headers) == (b"x" * 1000, {"Content-Encoding": "zstd"})
    assert len(sent) < 100


@pytest.mark.parametrize(("word", "libraries"), [("zstd", ZSTD_LIBRARIES), ("br", ("brotli",))])
def test_p8_a_missing_library_is_named_with_its_extra(
    word: str, libraries: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in libraries:
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependency, match=rf"'{word}' needs .*pip install 'hogbox\[(zstd|brotli)\]'"):
        encoder(word)
    assert v0_encoder(word).encoding == "gzip"


def test_p8_an_unknown_word_is_refused_with_those_known() -> None:
    with pytest.raises(ConfigurationError, match="'lz4' is unknown: use auto, none, identity, gzip, deflate, zstd or"):
        encoder("lz4")
