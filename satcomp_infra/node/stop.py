"""The request to stop: from a signal to whatever a node is waiting for just then."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from typing import Any, TypeVar

from .log import LOG

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - being asked to stop is no error
    """The node was asked to stop, and what it was doing has been broken off. Subclasses are other reasons for that."""


class Stop:
    """Says whether the node is to stop, or a part of its work. All that waits can wait for this at the same time.

    `asked` is a future that is done once that is so: for waiting together with other futures. `reason` is then what
    `check` raises.
    """

    def __init__(self) -> None:
        self.asked: Future[None] = Future()
        self.reason = Stopped()
        self._lock = threading.Lock()
        self._parts: set[Stop] = set()

    def set(self, reason: Stopped | None = None) -> None:
        """Ask the node to stop; the first reason holds. Can be called from any thread, not from a signal handler."""
        with self._lock:
            if self.asked.done():
                return
            self.reason = reason or self.reason
            self.asked.set_result(None)
            parts = list(self._parts)
        for part in parts:
            part.set(self.reason)

    @contextmanager
    def part(self) -> Iterator[Stop]:
        """The same for a part of the work: it ends with the whole, and can be ended without it."""
        part = Stop()
        with self._lock:
            self._parts.add(part)
        if self.is_set():
            part.set(self.reason)
        try:
            yield part
        finally:
            with self._lock:
                self._parts.discard(part)

    def is_set(self) -> bool:
        """Whether the node has been asked to stop."""
        return self.asked.done()

    def wait(self, seconds: float) -> bool:
        """Wait, at most for so long, for the node to be asked to stop; return whether it was."""
        return bool(wait([self.asked], timeout=seconds).done)

    def wait_with(self, future: Future[Any], seconds: float | None = None) -> bool:
        """Wait for the future, for the node to be asked to stop, or for the time to be over, whichever comes first.

        Return whether the future is done.
        """
        wait([future, self.asked], timeout=seconds, return_when=FIRST_COMPLETED)
        return future.done()

    def result(self, future: Future[T]) -> T:
        """The future's result, once it has one. Raises what it raises, and Stopped if the node is to stop before."""
        if not self.wait_with(future):
            raise self.reason
        return future.result()

    def check(self) -> None:
        """Raise the reason, which is a Stopped, if the node has been asked to stop."""
        if self.is_set():
            raise self.reason


def stop_on_signals(stop: Stop) -> None:
    """Let SIGTERM (ECS) and SIGINT (Ctrl-C) set `stop`. Call it from the main thread.

    A handler in Python runs between two instructions of the main thread, which may hold the very lock that setting
    `stop` needs. So the handlers do nothing; a thread reads the byte that the interpreter writes for each signal.
    """
    received, writer = os.pipe()
    os.set_blocking(writer, False)  # set_wakeup_fd asks for it
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def pass_on() -> None:
        number = os.read(received, 1)[0]
        LOG.info("asked to stop by %s", signal.Signals(number).name)
        stop.set()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
