"""Unpacks bodies within a limit, so that a compressed body of any size costs no more than a legal one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

_PIECE = 1024  # a piece of zstd unpacks to 32 MiB at most

GZIP = 31
ZLIB = 15
RAW = -15


class BrokenData(ValueError):
    """The data are not what their encoding says."""


class DataTooLarge(ValueError):
    """The data unpack to more than the limit."""


class CodecMissing(ValueError):
    """The package that unpacks this encoding is not installed."""


def decompress(data: bytes, encoding: str, limit: int) -> bytes:
    """The unpacked data. Raises `BrokenData`, `DataTooLarge` or `CodecMissing`."""
    if encoding == "gzip":
        return inflate(data, GZIP, limit)
    if encoding == "deflate":
        return inflate(data, ZLIB if data[:1] == b"\x78" else RAW, limit)
    unpack = {"br": _unpack_brotli, "zstd": _unpack_zstd}[encoding]
    return _collect(unpack(data, limit), limit)


def inflate(data: bytes, window: int, limit: int) -> bytes:
    """Inflates gzip, zlib or raw deflate, depending on `window`."""
    inflater = zlib.decompressobj(wbits=window)
    try:
        inflated = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise BrokenData(str(error)) from None
    if len(inflated) > limit:
        raise DataTooLarge
    if not inflater.eof:
        raise BrokenData("the data end too early")
    return inflated


def _collect(pieces: Iterator[bytes], limit: int) -> bytes:
    collected: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise DataTooLarge
        collected.append(piece)
    return b"".join(collected)


def _unpack_brotli(data: bytes, limit: int) -> Iterator[bytes]:
    try:
        import brotli  # type: ignore[import-untyped]
    except ImportError:
        raise CodecMissing("br needs the package brotli: pip install 'hogbox[compression]'") from None
    decompressor = brotli.Decompressor()
    process: Callable[..., bytes] = decompressor.process
    try:
        piece = process(data, output_buffer_limit=limit + 1)
        while piece:
            yield piece
            piece = b"" if decompressor.is_finished() else process(b"", output_buffer_limit=limit + 1)
    except brotli.error as error:
        raise BrokenData(str(error)) from None
    if not decompressor.is_finished():
        raise BrokenData("the data end too early")


def _unpack_zstd(data: bytes, _limit: int) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise CodecMissing("zstd needs the package zstandard: pip install 'hogbox[compression]'") from None
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    try:
        for start in range(0, len(data), _PIECE):
            if decompressor.eof:
                break
            yield decompressor.decompress(data[start : start + _PIECE])
    except zstandard.ZstdError as error:
        raise BrokenData(str(error)) from None
    if not decompressor.eof:
        raise BrokenData("the data end too early")
