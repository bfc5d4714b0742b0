"""Being told to end: Ctrl-C, SIGTERM, a terminal that is closed; and output that nobody can read any more.

Each becomes a KeyboardInterrupt, so that what a command has to do however it ends is done: machines are stopped, the
local cloud is taken down. Nothing of that may fail because the terminal is gone on which it would be told.
"""

from __future__ import annotations

import errno
import io
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_WORDS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP, as when its terminal is closed",
}
_SAME_SECONDS = 3.0
"""SIGTERM so soon after another signal means the same: `timeout`, systemd and terminals send several."""


class Ending:
    """What this process was told. A second Ctrl-C, or SIGTERM after a while, also ends what is done at the end.

    SIGHUP says nothing new to a command that is ending: closing a terminal sends it two or three times.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = 0.0
        self.by: signal.Signals | None = None
        """The first signal; None while there was none."""
        self.unread = False
        """Whether the reader of a pipe is gone."""

    def hear(self, number: int, _: FrameType | None = None) -> None:
        """Take note of a signal: the handler of all. Raises KeyboardInterrupt, with its name in words."""
        heard, now = signal.Signals(number), self._clock()
        if self.by is None:
            self.by, self._since = heard, now
        elif heard is signal.SIGHUP or (heard is signal.SIGTERM and now - self._since < _SAME_SECONDS):
            return
        raise KeyboardInterrupt(_WORDS[heard])

    def exit_code(self, code: int) -> int:
        """The command's exit code, given what it would be: by SIGTERM and SIGHUP, as if they had ended it."""
        return code if self.by in (None, signal.SIGINT) else 128 + self.by

    def prepare(self) -> None:
        """Listen to the signals, those excepted that are to be ignored (nohup), and let output be lost if need be."""
        for number in _WORDS:
            if number is signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.hear)
        sys.stdout = _output(sys.stdout, self)
        sys.stderr = _output(sys.stderr, self)

    def finish(self) -> None:
        """All is said and done: let signals end the process without a word, or not at all."""
        for number in _WORDS:
            if signal.getsignal(number) == self.hear:
                signal.signal(number, signal.SIG_IGN if number is signal.SIGHUP else signal.SIG_DFL)


class _Output(io.FileIO):
    """Standard output or error. A terminal that is gone takes everything; a pipe without a reader is told of once.

    While the command ends, whatever can't be written is lost: it must not keep machines from being stopped.
    """

    def __init__(self, descriptor: int, ending: Ending) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._ending = ending

    def write(self, data: Any) -> int:
        left = memoryview(data)
        try:
            while left:
                left = left[super().write(left) :]
        except OSError as error:
            ending, broken = self._ending, error.errno == errno.EPIPE
            if ending.by is None and error.errno != errno.EIO and not (broken and ending.unread):
                ending.unread = broken
                raise
        return len(data)


def _output(stream: TextIO, ending: Ending) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # none at all, if it was closed (>&-)
        return stream
    return io.TextIOWrapper(  # without a buffer of bytes, which would write again what a signal interrupts
        _Output(stream.fileno(), ending),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
