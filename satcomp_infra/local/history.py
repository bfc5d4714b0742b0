"""What has happened in a local cloud to jobs and results: for whoever checks that none was lost or done twice."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

_KEPT = 100_000


@dataclass(frozen=True)
class Event:
    """Something that happened, at a time of the monotonic clock, by or to a node (its task's id).

    `what` is of a message: received, hidden (for longer), offered (again), deleted, and `about` is its id; of an S3
    object: stored, and `about` is bucket and key; or of a fault: its action, and `about` is the id of the message that
    the node had received last.
    """

    at: float
    what: str
    node: str
    about: str


class History:
    """The newest hundred thousand events, oldest first. `note` may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def note(self, what: str, node: str, about: str) -> None:
        """Add an event, now."""
        with self._lock:
            self._events.append(Event(self._clock(), what, node, about))

    def as_json(self) -> list[dict[str, Any]]:
        """All events, as objects."""
        with self._lock:
            return [asdict(event) for event in self._events]
