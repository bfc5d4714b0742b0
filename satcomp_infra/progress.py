"""How things are said and drawn: results on standard output, all else on standard error, waits that can be seen."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO, TypeVar

from . import colours, terminal
from .errors import SatcompError
from .layout import encodable, harmless, join, lay_out
from .units import minutes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .bars import Bars
    from .drawing import Drawing

T = TypeVar("T")

FIRST_POLL_SECONDS = 0.3
SLOWEST_POLL_SECONDS = 3.0
_SLOWING = 1.3


@dataclass
class Console:
    """Where a command speaks. Clock and sleep come from outside, so that tests need not wait.

    All that is said is laid out here (`layout`): lines of at most 80 columns, but for those to be copied.
    `interactive` says whether a person watches standard error: then waits are drawn in place, else told line by line.
    `when_interrupted` is what the user must know if the command ends at this moment, by Ctrl-C or because AWS can't be
    asked any more: what goes on without it, and what that costs.
    """

    out: TextIO
    err: TextIO
    interactive: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    when_interrupted: str = ""
    _drawing: Drawing | None = field(default=None, repr=False)

    @classmethod
    def standard(cls) -> Console:
        """The process's own streams."""
        return cls(sys.stdout, sys.stderr, interactive=terminal.has_cursor(sys.stderr))

    def result(self, text: str = "") -> None:
        """Print what the command was asked for, on standard output; not while a wait is being drawn."""
        _print(self.out, lay_out(text), colours.painted)

    def shown(self, text: str) -> list[str]:
        """The lines that `result` would print, for what is drawn in place on standard output."""
        return _encoded(self.out, lay_out(text), colours.painted)

    def verbatim(self, line: str) -> None:
        """Print a line for programs, or of one, on standard output as it is: however long, but for control characters.

        What the stream's encoding lacks is replaced.
        """
        _print(self.out, [harmless(line)])

    def say(self, text: str = "") -> None:
        """Print what is happening, on standard error."""
        self._tell(lay_out(text), colours.painted)

    def error(self, message: str, advice: str = "") -> None:
        """Print an error, on standard error: what is wrong, and what to do, below it unless it fits into the line."""
        if self.out is not self.err:
            self.out.flush()
        wrong, together = lay_out(message), lay_out(join(message, advice))
        if len(together) == 1:
            columns = len(encodable(wrong[0], terminal.charset(self.err)))
            self._tell(together, lambda line: colours.bad(line[:columns]) + line[columns:])
        else:
            self._tell(wrong, colours.bad)
            self._tell(lay_out(advice) if advice else (), colours.painted)

    def ask(self, question: str) -> str:
        """What a person at the terminal answers; empty where there is no answer. See `is_attended`."""
        self.err.write(encodable(f"{question} ", terminal.charset(self.err)))
        self.err.flush()
        return sys.stdin.readline().strip()

    @property
    def is_attended(self) -> bool:
        """Whether somebody is there to be asked."""
        return sys.stdin.isatty()

    def _tell(self, lines: Sequence[str], paint: Callable[[str], str]) -> None:
        if self._drawing:
            self._drawing.say(_encoded(self.err, lines, paint))
        else:
            _print(self.err, lines, paint)

    @contextmanager
    def waiting(self, text: str, total: float | None = None) -> Iterator[Wait]:
        """Show that something is being waited for: on a terminal with a bar, or a pulse where no total is known."""
        wait = Wait(self, text, total)
        if not self.interactive:
            self.say(f"{text} ...")
            yield wait
            return
        from .drawing import drawing

        try:
            with drawing(self.err) as self._drawing:
                self._drawing.begin(text, total)
                yield wait
        finally:
            self._drawing = None

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        """Show several things that are being sent at the same time: on a terminal with a bar for each."""
        from .bars import Bars

        if not self.interactive:
            yield Bars(self, None)
            return
        from .drawing import drawing

        try:
            with drawing(self.err) as self._drawing:
                yield Bars(self, self._drawing.bars())
        finally:
            self._drawing = None


@dataclass
class Wait:
    """A wait that is being shown."""

    console: Console
    text: str
    total: float | None = None
    started: float = field(init=False)
    _trouble: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.started = self.console.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the wait began."""
        return self.console.clock() - self.started

    def update(self, text: str, done: float | None = None) -> None:
        """Show how far it is. Where nobody watches, a line is printed when the text changes."""
        if not self.draw(text, done) and text != self.text:
            self.event(text)
        self.text = text

    def draw(self, text: str, done: float | None = None, details: Sequence[str] = ()) -> bool:
        """Show how far it is, and lines of details below, where somebody watches. Returns whether that is so."""
        if self.console._drawing is None:
            return False
        self.console._drawing.update(text, done, details)
        return True

    def event(self, text: str) -> None:
        """Tell of something that happened, with the time since the wait began."""
        self.console.say(f"{minutes(self.elapsed)}  {text}")

    def looks(self, look: Callable[[], T], timeout: float, late: Callable[[], SatcompError]) -> Iterator[T]:
        """Look again and again at what is waited for, and yield what is seen, until the caller breaks out of the loop.

        The first looks come quickly, later ones up to SLOWEST_POLL_SECONDS apart: most waits end soon on the local
        cloud, and last minutes in AWS. An error of AWS that may pass by itself is told, once, and the wait goes on.
        After `timeout` seconds what `late` gives is raised.
        """
        pause = FIRST_POLL_SECONDS
        while True:
            try:
                seen = look()
            except Exception as error:  # noqa: BLE001 - raised again where it isn't AWS's
                self._endure(error)
            else:
                self._trouble = ""
                yield seen
            if self.elapsed >= timeout:
                raise late()
            self.console.sleep(min(pause, max(timeout - self.elapsed, 0)))
            pause = min(pause * _SLOWING, SLOWEST_POLL_SECONDS)

    def _endure(self, error: Exception) -> None:
        from .aws import passing

        words = passing(error)
        if not words:
            raise error
        if words != self._trouble:
            self._trouble = words
            self.event(f"{words} Trying again.")


def _print(stream: TextIO, lines: Sequence[str], paint: Callable[[str], str] = str) -> None:
    stream.write("".join(f"{line}\n" for line in _encoded(stream, lines, paint)))
    stream.flush()


def _encoded(stream: TextIO, lines: Sequence[str], paint: Callable[[str], str]) -> list[str]:
    """Lines as the stream can show them, in colours where it has any."""
    encoded = [encodable(line, terminal.charset(stream)) for line in lines]
    return [paint(line) for line in encoded] if terminal.has_colours(stream) else encoded
