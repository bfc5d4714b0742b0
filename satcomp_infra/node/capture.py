"""Capturing what a solver prints: in a file that stays small however much that is."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Self

from .background import background
from .files import MAX_FILE_BYTES, gap

_PIECE_BYTES = 256 * 1024
_PATIENCE = 30.0
"""Seconds for the last piece to be written, on a slow file system."""


class Capture:
    """A pipe into a file that keeps the first and the last half of `limit` bytes: `writer` is the pipe's open end.

    A solver in a loop prints a gigabyte a second: in a file, that would fill the node's disk, or cost more on the
    shared file system than the machine does. As a context manager, it lasts until all that write have ended; then,
    `fault` says why something is missing, if it is.

    `show` is called with each piece as it comes, and must not wait for anything.
    """

    def __init__(
        self,
        path: Path,
        limit: int = MAX_FILE_BYTES,
        patience: float = _PATIENCE,
        show: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """Raises OSError where the file can't be made. After `patience` seconds, the end is no longer waited for."""
        self.fault = ""
        self._patience = patience
        self._name = path.name
        self._half = limit // 2
        self._show = show
        self._file = path.open("wb", buffering=0)
        reader, self.writer = os.pipe()
        self._done = background(self._copy, reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the last piece. Something that could not be killed may keep the pipe open: then not for ever."""
        os.close(self.writer)
        if not wait([self._done], timeout=self._patience).done:
            self.fault = f"{self._name} is not complete: it is still being written."

    def _copy(self, reader: int) -> None:
        written, skipped, last = 0, 0, bytearray()
        while piece := os.read(reader, _PIECE_BYTES):
            self._show(piece)
            first = piece[: self._half - written]
            written += len(first)
            self._write(first)
            last += piece[len(first) :]
            if len(last) > 2 * self._half:
                skipped += len(last) - self._half
                del last[: -self._half]
        os.close(reader)
        skipped += max(0, len(last) - self._half)
        if skipped:
            self._write(gap(skipped))
        self._write(last[-self._half :])
        self._file.close()

    def _write(self, data: bytes | bytearray) -> None:
        """Write this; once it has failed, nothing any more. Whoever prints must go on, whatever becomes of it."""
        rest = memoryview(data)
        try:
            while rest and not self.fault:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.fault = f"{self._name} is not complete: {error.strerror}."
