"""Encodings of request bodies: which word of `capture_compression` means what, by protocol (wire protocol 3.8, 4.7)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Final, NamedTuple

from hogbox.errors import ConfigurationError, MissingDependency

AUTOMATIC: Final = "auto"

_GZIP: Final = 16 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_FASTEST: Final = 1
_WORTH_COMPRESSING: Final = 1024

_ZSTD_MODULES: Final = ("compression.zstd", "backports.zstd", "zstandard")
_BROTLI_MODULES: Final = ("brotli",)


class Encoder(NamedTuple):
    """Compresses bodies of at least `threshold` bytes; `encoding` is the value of `Content-Encoding`, or empty."""

    encoding: str
    threshold: int
    compress: Callable[[bytes], bytes]

    def encode(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """The body as it is sent, and the headers that this adds. The same bytes always give the same bytes."""
        if not self.encoding or len(body) < self.threshold:
            return body, {}
        return self.compress(body), {"Content-Encoding": self.encoding}


def _zlib(bits: int) -> Callable[[bytes], bytes]:
    def compress(body: bytes) -> bytes:
        compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, bits)
        return compressor.compress(body) + compressor.flush()

    return compress


_PLAIN: Final = Encoder("", 0, lambda body: body)
_LARGE_GZIP: Final = Encoder("gzip", _WORTH_COMPRESSING, _zlib(_GZIP))


def _load_gzip() -> Encoder:
    return Encoder("gzip", 0, _zlib(_GZIP))


def _load_deflate() -> Encoder:
    # Every version of the server reads the raw form; the one with a zlib header, only newer versions do.
    return Encoder("deflate", 0, _zlib(_RAW))


def _load_zstd() -> Encoder:
    compress = _function("zstd", _ZSTD_MODULES, "zstd")
    return Encoder("zstd", 0, lambda body: compress(body, _FASTEST))


def _load_brotli() -> Encoder:
    compress = _function("br", _BROTLI_MODULES, "brotli")
    return Encoder("br", 0, lambda body: compress(body, quality=_FASTEST))


_LOADERS: Final[dict[str, Callable[[], Encoder]]] = {
    AUTOMATIC: lambda: _LARGE_GZIP,
    "none": lambda: _PLAIN,
    "identity": lambda: _PLAIN,
    "gzip": _load_gzip,
    "deflate": _load_deflate,
    "zstd": _load_zstd,
    "br": _load_brotli,
}

WORDS: Final = tuple(_LOADERS)
"""The values of the setting. `auto` compresses large bodies with gzip; each other word applies to every body."""

_V0_WORDS: Final = (AUTOMATIC, "none", "identity", "gzip")


def encoder(word: str) -> Encoder:
    """The encoder that a word means for capture v1.

    Raises ConfigurationError for an unknown word, and MissingDependency if its library is not installed.
    """
    if word not in _LOADERS:
        raise ConfigurationError(f"capture_compression {word!r} is unknown: use {', '.join(WORDS[:-1])} or {WORDS[-1]}")
    return _LOADERS[word]()


def v0_encoder(word: str) -> Encoder:
    """The encoder that a valid word means for capture v0: gzip in place of the encodings that v0 does not read."""
    return encoder(word if word in _V0_WORDS else "gzip")


def _function(word: str, modules: tuple[str, ...], extra: str) -> Callable[..., bytes]:
    """The function `compress` of the first of these modules that is installed."""
    for name in modules:
        try:
            found: Callable[..., bytes] = import_module(name).compress
        except ImportError:
            continue
        return found
    raise MissingDependency(
        f"capture_compression {word!r} needs a library that is not installed: pip install 'hogbox[{extra}]'"
    )
