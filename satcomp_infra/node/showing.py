"""Showing what the team's programs print in the node's log, line by line as it comes, within bounds."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable

from .log import Log
from .outputs import CONTROL

MOST_LINES = 1000
MOST_BYTES = 1024 * 1024
MOST_OF_A_LINE = 2000
"""Bytes. CloudWatch takes 256 KiB, but costs by the byte."""
MOST_LOOKED_AT = 64 * 1024 * 1024
"""Bytes: looking for lines takes as long as receiving them."""
_MODEL = re.compile(rb"(?:v[ \t][^\n]*\n)+")


class Showing:
    """The bounds of what is shown, for all that is printed together: of a job, or in each `period` (seconds).

    With `models`, the lines of a model (`v ...`), of which there may be millions, are only counted.
    """

    def __init__(
        self,
        log: Log,
        lines: int = MOST_LINES,
        size: int = MOST_BYTES,
        *,
        period: float = math.inf,
        models: bool = True,
        closing: str = "no more of what the solver prints is shown here: it is stored with the result",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`closing` is what is said where something is not shown."""
        self.models = models
        self._log = log
        self._most = lines, size, MOST_LOOKED_AT
        self._lines, self._bytes, self._looks = self._most
        self._period = period
        self._clock = clock
        self._until = clock() + period
        self._closing = closing
        self._model = 0
        self._lock = threading.Lock()
        self._full = False

    @property
    def full(self) -> bool:
        """Whether nothing more is shown; until the next period begins, if there is one."""
        if self._clock() >= self._until:
            with self._lock:
                self._until = self._clock() + self._period
                self._lines, self._bytes, self._looks = self._most
                self._full = False
        return self._full

    def look(self, size: int) -> bool:
        """Whether there is something to be shown in so many bytes that have come; what is too much is not looked at."""
        if self.full:
            return False
        with self._lock:
            self._looks -= size
            good = self._looks >= 0
        if not good:
            self.close()
        return good

    def line(self, stream: str, line: bytes) -> None:
        """Show a line, unless it is blank. One that is longer than `MOST_OF_A_LINE` is cut."""
        text = CONTROL.sub(" ", line[:MOST_OF_A_LINE].decode(errors="replace")).rstrip()
        if not text or self.full:
            return
        with self._lock:
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
            closed, self._full = self._full, True
        if not closed:
            self._log.info("%s", self._closing)

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
        self._rest = b""
        """The begin of a line whose end has not come yet, as much of it as is shown."""
        self._torn = False
        """Whether a line has begun that is not shown."""

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        if not self._showing.look(len(piece)):
            self._skip(piece)
            return
        start = 0
        if self._torn or self._rest:
            start = piece.find(b"\n") + 1
            if not start:
                self._keep(piece)
                return
            if self._rest:
                self._line(self._rest + piece[: min(start - 1, MOST_OF_A_LINE + 1)])
            self._torn = False
        while not self._showing.full:
            if self._showing.models and (model := _MODEL.match(piece, start)):
                self._showing.count(piece.count(b"\n", start, model.end()))
                start = model.end()
            end = piece.find(b"\n", start)
            if end < 0:
                self._rest = b""
                self._keep(piece[start : start + MOST_OF_A_LINE + 1])
                return
            self._line(piece[start : min(end, start + MOST_OF_A_LINE + 1)])
            start = end + 1
        self._skip(piece)

    def end(self) -> None:
        """Nothing more comes: the last line may have no end."""
        if self._rest and not self._showing.full:
            self._line(self._rest)

    def _keep(self, part: bytes) -> None:
        if not self._torn:
            self._rest = (self._rest + part)[: MOST_OF_A_LINE + 1]

    def _skip(self, piece: bytes) -> None:
        self._rest, self._torn = b"", not piece.endswith(b"\n")

    def _line(self, line: bytes) -> None:
        if self._showing.models and line.startswith((b"v ", b"v\t")):
            self._showing.count(1)
        else:
            self._showing.line(self._stream, line)
