"""The body of an answer, collected piece by piece up to a bound; compressed ones are bounded as what they expand to."""

from __future__ import annotations

import zlib
from typing import Final

ACCEPTED: Final = "gzip"
"""The `Accept-Encoding` of every request: the one encoding that is decoded here, and that every server knows."""

_GZIP: Final = zlib.MAX_WBITS | 16
_MAGIC: Final = b"\x1f\x8b"
"""What each member of a gzip body begins with."""


class Body:
    """Collects one body. Of an encoding other than gzip the bytes are kept as they are, and count as not whole."""

    def __init__(self, encoding: str | None, limit: int) -> None:
        name = (encoding or "identity").strip().lower()
        self._gunzip = zlib.decompressobj(_GZIP) if name in ("gzip", "x-gzip") else None
        self._readable = name in ("", "identity", "gzip", "x-gzip")
        self._limit = limit
        self._raw = 0
        self._size = 0
        self._padded = False
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> bool:
        """Take the next piece; False where the rest need not be read: too long, padding, or not to be decoded."""
        self._raw += len(piece)
        room = self._limit - self._size
        try:
            # One byte more than there is room for tells a body that is too long from one that fits exactly.
            decoded = piece if self._gunzip is None else self._decompress(piece, room + 1)
        except zlib.error:
            self._readable = False
            return False
        self._pieces.append(decoded[:room])
        self._size += len(decoded[:room])
        if len(decoded) > room or self._raw > self._limit:
            self._readable = False
        return self._readable and not self._padded

    def _decompress(self, piece: bytes, most: int) -> bytes:
        """The next bytes of the members that a gzip body consists of, at most `most` of them. Raises zlib.error."""
        decoded: list[bytes] = []
        while self._gunzip is not None and piece and most > 0:
            if self._gunzip.eof:
                if not _MAGIC.startswith(piece[:2]):
                    self._padded = True  # as gzip itself does, what follows the last member is ignored
                    break
                self._gunzip = zlib.decompressobj(_GZIP)
            decoded.append(self._gunzip.decompress(piece, most))
            most -= len(decoded[-1])
            piece = self._gunzip.unused_data
        return b"".join(decoded)

    def finish(self) -> tuple[bytes, bool]:
        """The body, and whether it is whole."""
        cut_off = self._gunzip is not None and self._raw > 0 and not self._gunzip.eof
        return b"".join(self._pieces), self._readable and not cut_off
