"""What a worker's programs print, in the node's log: as lines of it, and not too many of them."""

from __future__ import annotations

import os
from concurrent.futures import wait
from typing import Self

from .background import background
from .log import LOG, Log
from .showing import Feed, Showing

_PERIOD = 60.0
"""Seconds. In each, the node's log takes as much as of a whole job of a leader's: a worker program that prints 1 MiB a
minute all day long costs 0.70 USD, where its machine costs nineteen."""
_PIECE_BYTES = 64 * 1024
_PATIENCE = 1.0


class ProgramOutput:
    """Two pipes into the node's log, `stdout` and `stderr`, that any number of programs may write into.

    As a context manager, it lasts until all that write have ended, or for a second more where some can't be killed.
    """

    def __init__(self, log: Log = LOG, period: float = _PERIOD) -> None:
        showing = Showing(
            log, period=period, models=False, closing="no more of what is printed is shown for the rest of this minute"
        )
        readers, writers = zip(*(os.pipe() for _ in range(2)), strict=True)
        self.stdout, self.stderr = writers
        feeds = (Feed(showing, stream) for stream in ("stdout", "stderr"))
        self._done = [background(_pass_on, reader, feed) for reader, feed in zip(readers, feeds, strict=True)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Show what is left; what can't be killed may keep a pipe open, and is not waited for."""
        os.close(self.stdout)
        os.close(self.stderr)
        wait(self._done, timeout=_PATIENCE)


def _pass_on(reader: int, feed: Feed) -> None:
    while piece := os.read(reader, _PIECE_BYTES):
        feed.take(piece)
    feed.end()
    os.close(reader)
