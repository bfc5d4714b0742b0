"""How things are said and drawn: results on standard output, all else on standard error, waits that can be seen."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from .errors import SatcompError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

FIRST_POLL_SECONDS = 0.3
SLOWEST_POLL_SECONDS = 3.0
_SLOWING = 1.3


@dataclass
class Console:
    """Where a command speaks. Clock and sleep come from outside, so that tests need not wait.

    `interactive` says whether a person watches standard error: then waits are drawn in place, else told line by line.
    `when_interrupted` is what the user must know if the command is ended by Ctrl-C at this moment.
    """

    out: TextIO
    err: TextIO
    interactive: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    when_interrupted: str = ""
    _progress: Progress | None = field(default=None, repr=False)

    @classmethod
    def standard(cls) -> Console:
        """The process's own streams."""
        return cls(sys.stdout, sys.stderr, interactive=sys.stderr.isatty() and os.environ.get("TERM") != "dumb")

    def result(self, text: str = "") -> None:
        """Print what the command was asked for, on standard output; not while a wait is being drawn."""
        print(text, file=self.out, flush=True)

    def say(self, text: str = "") -> None:
        """Print a line about what is happening, on standard error."""
        if self._progress:
            from rich.text import Text

            self._progress.console.print(Text(text), soft_wrap=True)
        else:
            print(text, file=self.err, flush=True)

    def error(self, text: str) -> None:
        """Print an error, on standard error."""
        if self.out is not self.err:
            self.out.flush()
        self.say(text)

    @contextmanager
    def waiting(self, text: str, total: float | None = None) -> Iterator[Wait]:
        """Show that something is being waited for: on a terminal with a bar, or a pulse where no total is known."""
        wait = Wait(self, text, total)
        if not self.interactive:
            self.say(f"{text} ...")
            yield wait
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            SpinnerColumn("line"),
            BarColumn(bar_width=16),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=RichConsole(file=self.err, highlight=False, markup=False),
            transient=True,
        )
        try:
            with self._progress:
                wait.task = self._progress.add_task(text, total=total)
                yield wait
        finally:
            self._progress = None


@dataclass
class Wait:
    """A wait that is being shown."""

    console: Console
    text: str
    total: float | None = None
    task: int | None = None
    started: float = field(init=False)

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

    def draw(self, text: str, done: float | None = None) -> bool:
        """Show how far it is, where somebody watches. Returns whether that is so."""
        progress = self.console._progress
        if progress is None or self.task is None:
            return False
        from rich.progress import TaskID

        progress.update(TaskID(self.task), description=text, completed=done)
        return True

    def event(self, text: str) -> None:
        """Tell of something that happened, with the time since the wait began."""
        self.console.say(f"{minutes(self.elapsed)}  {text}")

    def polls(self, timeout: float, late: Callable[[], SatcompError]) -> Iterator[None]:
        """Yield for each look at what is waited for, until the caller breaks out of the loop.

        The first looks come quickly, later ones up to SLOWEST_POLL_SECONDS apart: most waits end soon on the local
        cloud, and last minutes in AWS. After `timeout` seconds what `late` gives is raised.
        """
        pause = FIRST_POLL_SECONDS
        while True:
            yield
            if self.elapsed >= timeout:
                raise late()
            self.console.sleep(min(pause, max(timeout - self.elapsed, 0)))
            pause = min(pause * _SLOWING, SLOWEST_POLL_SECONDS)


def minutes(seconds: float) -> str:
    """A time span as `m:ss`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def duration(seconds: float) -> str:
    """A time span in words, for example `48 s` or `3 min 5 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, for example `1 node` or `3 nodes`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
