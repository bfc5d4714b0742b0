"""A node's log: one line for each event, on stdout, which ECS delivers to the role's log group."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]
LOG = logging.getLogger("satcomp.node")
"""The log of events that belong to no job."""


def set_up(role: str) -> None:
    """Send the node's events to stdout, with the time (UTC) and its role in front; call this once, at start."""
    formatter = _OneLine(f"%(asctime)s.%(msecs)03dZ {role} %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


class _OneLine(logging.Formatter):
    """Makes one line of each event, of a traceback or a problem's name with line breaks too: else it would be several.

    In CloudWatch each line is an event of its own, and only the first would have time and job.
    """

    def format(self, record: logging.LogRecord) -> str:
        return " | ".join(super().format(record).splitlines())


class JobLog(logging.LoggerAdapter[logging.Logger]):
    """The node's log with the job that is under way in front of each event."""

    def __init__(self, job_id: str) -> None:
        super().__init__(LOG)
        self._job_id = job_id

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the job in front of the message."""
        return f"job={self._job_id} {msg}", kwargs
