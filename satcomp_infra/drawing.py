"""A wait drawn on a terminal: a line with a bar, the time and how far it is, details below it, events above it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BAR_COLUMNS = 14


class Drawing:
    """What is drawn; `drawing` makes it. Nothing of it is left on the screen afterwards but what was said."""

    def __init__(self, live: Live) -> None:
        self._live = live
        # The description gives way where the terminal is narrow: the time and the bar say that something happens.
        self._progress = Progress(
            SpinnerColumn("line"),
            BarColumn(bar_width=_BAR_COLUMNS, table_column=Column(min_width=_BAR_COLUMNS, no_wrap=True)),
            TimeElapsedColumn(table_column=Column(min_width=len("0:00:00"), no_wrap=True)),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=live.console,
            auto_refresh=False,
        )
        self._task = TaskID(0)

    def begin(self, text: str, total: float | None) -> None:
        """Draw a bar, or a pulse where no total is known."""
        self._task = self._progress.add_task(text, total=total)
        self._live.update(self._progress)

    def update(self, text: str, done: float | None, details: Sequence[str]) -> None:
        """Draw how far it is."""
        self._progress.update(self._task, description=text, completed=done)
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in details]
        self._live.update(Group(self._progress, *lines) if lines else self._progress)

    def bars(self) -> Progress:
        """Draw bars instead, one for each of its tasks, in bytes."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        progress = Progress(*columns, console=self._live.console, auto_refresh=False)
        self._live.update(progress)
        return progress

    def say(self, text: str) -> None:
        """Print a line above what is drawn."""
        self._live.console.print(Text(text), soft_wrap=True)


@contextmanager
def drawing(terminal: TextIO) -> Iterator[Drawing]:
    """Draw on a terminal while this context lasts."""
    console = Console(file=terminal, highlight=False, markup=False)
    with Live(console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as live:
        yield Drawing(live)
