"""Bars of what is being sent, several at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .layout import encodable
from .units import megabytes

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from .progress import Console

_LINE_SECONDS = 10.0


class Bars:
    """What is being sent, in bytes, by its name. Where nobody watches, a line now and then says how far it is."""

    def __init__(self, console: Console, drawn: Progress | None) -> None:
        self._console = console
        self._drawn = drawn
        self._tasks: dict[str, TaskID] = {}
        self._far: dict[str, tuple[int, int]] = {}
        self._told = console.clock()

    def update(self, name: str, done: int, total: int) -> None:
        """Show how far one is; it gets its bar the first time."""
        if self._drawn is None:
            self._far[name] = (min(done, total), total)
            if self._console.clock() - self._told >= _LINE_SECONDS:
                self._told = self._console.clock()
                sent, of = (sum(numbers) for numbers in zip(*self._far.values(), strict=True))
                self._console.say(f"{megabytes(sent)} of {megabytes(of)} sent")
            return
        if name not in self._tasks:
            self._tasks[name] = self._drawn.add_task(encodable(name, self._drawn.console.encoding), total=total)
        self._drawn.update(self._tasks[name], completed=min(done, total), total=total)

    def finish(self, name: str) -> None:
        """Take a bar away; that of one that never had any is none."""
        if self._drawn is not None and name in self._tasks:
            self._drawn.remove_task(self._tasks.pop(name))
