"""Decompressing while downloading: gzip, bzip2, xz and Zstandard, a piece at a time."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, cast

import zstandard

from .failure import JobError

_BITE_BYTES = 2048
"""Of compressed data at a time. What it becomes is in memory at once: at worst 30,000 times as much (Zstandard)."""
_ZSTD_MAX_WINDOW = 1 << 31
"""What `zstd --long=31` makes; the library's own limit is 128 MiB."""


class Decompressor(Protocol):
    """What the four libraries have in common. Raises an error of its own for data that it can't read."""

    @property
    def eof(self) -> bool:
        """Whether the end of the compressed stream has been read."""

    @property
    def unused_data(self) -> bytes:
        """What follows the end of the compressed stream."""

    def decompress(self, data: bytes, /) -> bytes:
        """The next piece of the original."""


_ERRORS = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError)  # bz2 raises OSError

_FORMATS: dict[str, Callable[[], Decompressor]] = {
    ".gz": lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS),
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lzma.LZMADecompressor,
    ".zst": lambda: cast("Decompressor", zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW).decompressobj()),
}


def split_name(name: str) -> tuple[str, str]:
    """A file's name without the suffix of its compression, and that suffix in lower case (empty if there is none)."""
    for suffix in _FORMATS:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


def decompressed(pieces: Iterable[bytes], suffix: str, name: str) -> Iterator[bytes]:
    """The original of compressed data; the data itself where `suffix` (of `split_name`) is empty.

    A file may be several compressed streams, one after the other, as the programs for these formats allow it. Raises
    JobError, which calls the file `name`, where the data is damaged or ends too soon.
    """
    if not suffix:
        yield from pieces
        return
    stream = _FORMATS[suffix]()
    for bite in (piece[at : at + _BITE_BYTES] for piece in pieces for at in range(0, len(piece), _BITE_BYTES)):
        rest = bite
        while rest:
            if stream.eof:
                rest = rest.lstrip(b"\0")  # padding; no stream begins so
                if not rest:
                    break
                stream = _FORMATS[suffix]()
            try:
                original = stream.decompress(rest)
            except _ERRORS as error:
                raise JobError(
                    f"The problem {name} can't be decompressed: its {suffix} data is damaged ({error}).",
                    "Upload the file again; if it is not compressed, give it a name without that suffix.",
                ) from error
            rest = stream.unused_data if stream.eof else b""
            yield original
    if not stream.eof:
        raise JobError(
            f"The problem {name} can't be decompressed: its {suffix} data ends too soon.", "Upload the file again."
        )
