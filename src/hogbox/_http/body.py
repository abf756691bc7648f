"""The body of a response, collected piece by piece up to a limit, which applies to the decompressed size as well."""

from __future__ import annotations

import zlib
from typing import Final

ACCEPTED: Final = "gzip"
"""The `Accept-Encoding` of every request: the one encoding that is decoded here, and that every server knows."""

_GZIP: Final = zlib.MAX_WBITS | 16
_MAGIC: Final = b"\x1f\x8b"
"""The first bytes of each member of a gzip body."""


class Body:
    """Collects one body. Bytes in an encoding other than gzip are kept undecoded, and count as incomplete."""

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
        """Add the next piece; False if the rest need not be read: too long, padding, or not decodable."""
        self._raw += len(piece)
        room = self._limit - self._size
        try:
            # One byte more than the remaining room, to distinguish a body that is too long from one that fits exactly.
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
        """The next decompressed bytes, at most `most`; a gzip body may have several members. Raises zlib.error."""
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
        """The body, and whether it is complete."""
        cut_off = self._gunzip is not None and self._raw > 0 and not self._gunzip.eof
        return b"".join(self._pieces), self._readable and not cut_off
