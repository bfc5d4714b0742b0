"""A journal that several commands share: a file of JSON lines that is only ever appended to."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


class SharedLines:
    """Lines that this command and others write, each of which is told once to every other.

    A line that was being written when its command was killed is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        """What lies before this byte was read, or written here."""
        self._own: dict[int, int] = {}
        """What was written here behind it: the ends of pieces by their starts."""

    def append(self, lines: Iterable[dict[str, Any]]) -> None:
        """Add lines. They are on the disk when this returns."""
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(errors="replace")
        with self._path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            start = file.seek(0, os.SEEK_END)
            if start:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # of a command that was killed
                    text = b"\n" + text
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if self._at == start:
            self._at += len(text)
        else:
            self._own[start] = start + len(text)

    def size(self) -> int:
        """Bytes that there are by now."""
        return self._path.stat().st_size if self._path.exists() else 0

    def new(self, size: int) -> Iterator[dict[str, Any]]:
        """The lines that others have added since the last call, within the first `size` bytes."""
        while self._at < size:
            start = min((start for start in self._own if start >= self._at), default=size)
            if start == self._at:
                self._at = self._own.pop(start)
                continue
            with self._path.open("rb") as file:
                file.seek(self._at)
                text = file.read(min(start, size) - self._at)
            if start >= size:  # the last line may still be being written
                text = text[: text.rfind(b"\n") + 1]
            if not text:
                return
            self._at += len(text)
            for line in text.splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    continue
