"""The thread in which all that happens by itself happens: what AWS does between two calls."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from typing import Protocol

_SHORTEST_PAUSE = 0.003
"""Between two rounds: what happens in quick succession is looked at once, and calls get their turn."""
_LONGEST_PAUSE = 5.0
_AFTER_A_MISTAKE = 0.5

NEVER = math.inf


class Part(Protocol):
    """Something that changes with time."""

    def step(self, now: float) -> float:
        """Do what is due at `now` (of the monotonic clock); returns when to come again, even if nothing happens."""


class Scheduler:
    """Steps through its parts whenever something is due or has changed; sleeps otherwise. Holds the lock for a step."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._changed = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self, parts: Sequence[Part]) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, args=(parts,), name="scheduler", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something has changed: take a step soon. From any thread."""
        self._changed.set()

    def stop(self) -> None:
        """Take no further step; return when the last one is done."""
        self._stopped = True
        self._changed.set()
        if self._thread:
            self._thread.join()

    def _run(self, parts: Sequence[Part]) -> None:
        while not self._stopped:
            self._changed.clear()
            due = NEVER
            for part in parts:
                try:
                    with self._lock:
                        due = min(due, part.step(time.monotonic()))
                except Exception:  # one mistake must not end all that happens by itself
                    logging.getLogger(__name__).exception("%s", type(part).__name__)
                    due = min(due, time.monotonic() + _AFTER_A_MISTAKE)
            time.sleep(_SHORTEST_PAUSE)
            self._changed.wait(min(max(due - time.monotonic(), 0), _LONGEST_PAUSE))
