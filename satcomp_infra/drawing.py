"""A wait drawn on a terminal: a line with a bar, the time and how far it is, details below it, events above it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text
from rich.theme import Theme

from .layout import encodable
from .terminal import charset
from .units import minutes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_BAR_COLUMNS = 14
# Red is for what is wrong (colours.py); rich's own bars and speeds are red, too.
_THEME = Theme(
    {
        "bar.complete": "cyan",
        "bar.pulse": "cyan",
        "bar.finished": "green",
        "progress.spinner": "none",
        "progress.download": "none",
        "progress.data.speed": "dim",
    }
)
_TIME_COLUMNS = len("0:00:00")


class Terminal(Console):
    """A terminal as rich draws on it, of which is known what letters it has."""

    @property
    def encoding(self) -> str:
        """That of what can be shown; rich draws with ASCII alone where it isn't Unicode."""
        return charset(self.file).lower()


class _Time(ProgressColumn):
    """The time since the wait began, as events show it."""

    def render(self, task: Task) -> Text:
        return Text(f"{minutes(task.elapsed or 0.0):>{_TIME_COLUMNS}}")


class Drawing:
    """What is drawn; `drawing` makes it. Nothing of it is left on the screen afterwards but what was said."""

    def __init__(self, live: Live) -> None:
        self._live = live
        # Terminals without Unicode have no ellipsis. (Bars are made of dashes there, by rich itself.)
        self._overflow: Literal["crop", "ellipsis"] = "crop" if live.console.options.ascii_only else "ellipsis"
        # The description gives way where the terminal is narrow: the time and the bar say that something happens.
        self._progress = Progress(
            SpinnerColumn("line"),
            BarColumn(bar_width=_BAR_COLUMNS, table_column=Column(min_width=_BAR_COLUMNS, no_wrap=True)),
            _Time(table_column=Column(min_width=_TIME_COLUMNS, no_wrap=True)),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow=self._overflow)),
            console=live.console,
            auto_refresh=False,
        )
        self._task = TaskID(0)

    def begin(self, text: str, total: float | None) -> None:
        """Draw a bar, or a pulse where no total is known."""
        self._task = self._progress.add_task(self._shown(text), total=total)
        self._live.update(self._progress)

    def update(self, text: str, done: float | None, details: Sequence[str]) -> None:
        """Draw how far it is."""
        self._progress.update(self._task, description=self._shown(text), completed=done)
        lines = [Text(self._shown(line), no_wrap=True, overflow=self._overflow) for line in details]
        self._live.update(Group(self._progress, *lines) if lines else self._progress)

    def bars(self) -> Progress:
        """Draw bars instead, one for each of its tasks, in bytes."""
        columns = (
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow=self._overflow)),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        progress = Progress(*columns, console=self._live.console, auto_refresh=False)
        self._live.update(progress)
        return progress

    def say(self, lines: Sequence[str]) -> None:
        """Print lines above what is drawn; they may have colours."""
        for line in lines:
            self._live.console.print(Text.from_ansi(line), soft_wrap=True)

    def _shown(self, text: str) -> str:
        return encodable(text, self._live.console.encoding)


@contextmanager
def in_place(stream: TextIO) -> Iterator[Callable[[Sequence[str]], None]]:
    """A function that shows lines, which may have colours, in the place of those before."""
    console = Terminal(file=stream, highlight=False, markup=False, theme=_THEME)
    with Live(console=console, auto_refresh=False) as live:
        yield lambda lines: live.update(Text.from_ansi("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)


@contextmanager
def drawing(stream: TextIO) -> Iterator[Drawing]:
    """Draw on a terminal while this context lasts."""
    console = Terminal(file=stream, highlight=False, markup=False, theme=_THEME)
    with Live(console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as live:
        yield Drawing(live)
