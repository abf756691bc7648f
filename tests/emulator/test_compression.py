"""Unpacking within a limit, and without the packages that it needs."""

from __future__ import annotations

import contextlib
import gzip
import sys
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import httpx2
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hogbox.emulator import Emulator
from hogbox.emulator.compression import BrokenData, DataTooLarge, decompress
from tests.emulator.v1_case import post


def deflate_raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACK: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", deflate_raw),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
}


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_up_to_the_limit_it_is_unpacked(name: str, size: int) -> None:
    encoding, pack = PACK[name]
    assert decompress(pack(b"x" * size), encoding, 1000) == b"x" * size


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("size", [1001, 10_000_000])
def test_beyond_the_limit_it_is_not(name: str, size: int) -> None:
    encoding, pack = PACK[name]
    with pytest.raises(DataTooLarge):
        decompress(pack(b"x" * size), encoding, 1000)


@pytest.mark.parametrize("name", PACK)
@given(data=st.binary(max_size=300), junk=st.binary(min_size=1, max_size=3), at=st.integers(0, 300))
def test_broken_data_is_refused_or_unpacked(name: str, data: bytes, junk: bytes, at: int) -> None:
    encoding, pack = PACK[name]
    packed = pack(data)
    with contextlib.suppress(BrokenData, DataTooLarge):
        decompress(packed[:at] + junk + packed[at + len(junk) :], encoding, 1000)


@pytest.mark.parametrize(("encoding", "package"), [("br", "brotli"), ("zstd", "zstandard")])
def test_without_its_package_an_encoding_is_unsupported(
    emulator: Emulator, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch, encoding: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    answer = post(client, b"x", headers={"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_encoding")
    assert "hogbox[compression]" in answer.json()["error_description"]
