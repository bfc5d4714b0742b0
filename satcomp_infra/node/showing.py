"""Showing what a solver prints in the node's log, line by line as it comes, within bounds."""

from __future__ import annotations

import re
import threading

from .log import Log
from .outputs import CONTROL

MOST_LINES = 1000
MOST_BYTES = 1024 * 1024
MOST_OF_A_LINE = 2000
"""Bytes. CloudWatch takes 256 KiB, but costs by the byte."""
MOST_LOOKED_AT = 64 * 1024 * 1024
"""Bytes of a stream: looking for lines takes as long as receiving them."""
_MODEL = re.compile(rb"(?:v[ \t][^\n]*\n)+")


class Showing:
    """The bounds of what is shown of one job's solver, for all that it prints together.

    The lines of a model (`v ...`), of which there may be millions, are only counted.
    """

    def __init__(self, log: Log, lines: int = MOST_LINES, size: int = MOST_BYTES) -> None:
        self._log = log
        self._lines = lines
        self._bytes = size
        self._model = 0
        self._lock = threading.Lock()
        self.full = False
        """Whether nothing more is shown."""

    def line(self, stream: str, line: bytes) -> None:
        """Show a line, unless it is blank. One that is longer than `MOST_OF_A_LINE` is cut."""
        text = CONTROL.sub(" ", line[:MOST_OF_A_LINE].decode(errors="replace")).rstrip()
        if not text:
            return
        with self._lock:
            if self.full:
                return
            self._lines -= 1
            self._bytes -= len(line[:MOST_OF_A_LINE])
            fits = self._lines >= 0 and self._bytes >= 0
        if fits:
            more = " [...]" if len(line) > MOST_OF_A_LINE else ""
            self._log.info("%s%s", text, more, extra={"stream": stream})
        else:
            self.close()

    def close(self) -> None:
        """Show nothing more, and say so."""
        with self._lock:
            closed, self.full = self.full, True
        if not closed:
            self._log.info("no more of what the solver prints is shown here: it is stored with the result")

    def count(self, lines: int) -> None:
        """Count lines of a model."""
        with self._lock:
            self._model += lines

    def end(self) -> None:
        """Say how long the model was, if there was one and all of it was counted."""
        if self._model and not self.full:
            lines = f"{self._model} 'v' lines, are" if self._model > 1 else "one 'v' line, is"
            self._log.info("the model, %s stored with the result", lines)


class Feed:
    """Takes one stream's pieces, of any size, and shows the lines in them. Never waits for anybody."""

    def __init__(self, showing: Showing, stream: str) -> None:
        self._showing = showing
        self._stream = stream
        self._taken = 0
        self._rest = b""
        """The begin of a line whose end has not come yet, as much of it as is shown."""

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        if self._showing.full:
            return
        self._taken += len(piece)
        if self._taken > MOST_LOOKED_AT:
            self._showing.close()
            return
        start = 0
        if self._rest:
            start = piece.find(b"\n") + 1
            if not start:
                self._keep(piece)
                return
            self._line(self._rest + piece[: min(start - 1, MOST_OF_A_LINE + 1)])
        while not self._showing.full:
            if model := _MODEL.match(piece, start):
                self._showing.count(piece.count(b"\n", start, model.end()))
                start = model.end()
            end = piece.find(b"\n", start)
            if end < 0:
                break
            self._line(piece[start : min(end, start + MOST_OF_A_LINE + 1)])
            start = end + 1
        self._rest = b""
        self._keep(piece[start : start + MOST_OF_A_LINE + 1])

    def end(self) -> None:
        """Nothing more comes: the last line may have no end."""
        if self._rest and not self._showing.full:
            self._line(self._rest)

    def _keep(self, part: bytes) -> None:
        self._rest = (self._rest + part)[: MOST_OF_A_LINE + 1]

    def _line(self, line: bytes) -> None:
        if line.startswith((b"v ", b"v\t")):
            self._showing.count(1)
        else:
            self._showing.line(self._stream, line)
