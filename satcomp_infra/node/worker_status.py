"""How the team's worker program says it is: worker_node_status.json."""

from __future__ import annotations

import json
import time
from pathlib import Path

from .files import open_file
from .manifest import FRESH_SECONDS, NodeStatus

_MAX_BYTES = 64 * 1024


class WorkerStatus:
    """Follows the file that a worker program writes about once a second.

    A program need not replace its file atomically, so one that can't be read changes nothing by itself: what was last
    read holds until it is too old. A program that has just started counts as having said BUSY.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._status = NodeStatus.BUSY
        self._said_at = time.time()

    def read(self) -> NodeStatus:
        """The program's status now; ERROR where it hasn't said one for `FRESH_SECONDS`."""
        try:
            with open_file(self._path) as file:
                said = json.loads(file.read(_MAX_BYTES))
            status, said_at = NodeStatus(said["status"]), float(said["timestamp"])
        except (OSError, ValueError, TypeError, LookupError, OverflowError, RecursionError):
            pass
        else:
            # Neither what an earlier program left, nor what would be news for ever.
            if self._said_at - FRESH_SECONDS < said_at <= time.time() + FRESH_SECONDS:
                self._status, self._said_at = status, said_at
        return self._status if time.time() - self._said_at <= FRESH_SECONDS else NodeStatus.ERROR
