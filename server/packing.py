"""Packed bodies, unpacked a bounded piece at a time.

aiohttp would do it, but takes the half of a gzip for the whole, and says in words of its own what it does not unpack: so it is
told to leave bodies as they come (server/app.py).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from server.errors import NotTaken

BROKEN = "The body ended before it was whole, or is not packed as its Content-Encoding says; send it again."
_PIECE_BYTES = 64 * 1024
_WINDOW_BYTES = 16 * 1024
"""Of what is packed, at once: zlib copies what it leaves over, again and again where many small parts follow each other."""
_DEFLATE = 8
"""The method, in the first byte of what RFC 1950 calls deflate; some send it without that head."""


class Unpacker:
    """gzip or deflate, of one part or several on end."""

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding == "gzip"
        self._stream: zlib._Decompress | None = None
        """The part that has begun and not ended."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What has come, unpacked."""
        for start in range(0, len(data), _WINDOW_BYTES):
            try:
                yield from self._unpacked(data[start : start + _WINDOW_BYTES])
            except zlib.error as exc:
                raise NotTaken(BROKEN) from exc

    def end(self) -> None:
        """Nothing more comes: NotTaken where something is missing."""
        if self._stream is not None:
            raise NotTaken(BROKEN)

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        more = False
        while data or more:
            stream = self._stream = self._stream or zlib.decompressobj(self._form(data[0]))
            piece = stream.decompress(data, _PIECE_BYTES)
            # a full piece may have left something inside
            data, more = stream.unconsumed_tail, len(piece) == _PIECE_BYTES
            if stream.eof:
                data, more, self._stream = stream.unused_data, False, None
            if piece:
                yield piece

    def _form(self, first: int) -> int:
        if self._gzip:
            return zlib.MAX_WBITS | 16
        return zlib.MAX_WBITS if first & 0xF == _DEFLATE else -zlib.MAX_WBITS


def unpacker(encoding: str) -> Unpacker | None:
    """For a Content-Encoding; None where nothing is packed, NotTaken where it is by what is not unpacked here."""
    name = encoding.strip().lower()
    if name in ("gzip", "deflate"):
        return Unpacker(name)
    if name in ("br", "zstd"):
        raise NotTaken(f"Content-Encoding {name} is not taken; send gzip, or plainly.")
    return None
