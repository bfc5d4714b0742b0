"""A node's log: one line for each event, on stdout, which ECS delivers to the role's log group.

Lines are text, or JSON objects where SATCOMP_LOG_FORMAT says so: `time` (ISO 8601, UTC), `level`, `role`, `message`,
and where it applies `job` (its id) and `stream` (stdout or stderr: the job's solver has printed the message there).
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import MutableMapping
from typing import Any

from ..errors import SatcompError

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]
LOG = logging.getLogger("satcomp.node")
"""The log of events that belong to no job."""
FORMAT_VARIABLE = "SATCOMP_LOG_FORMAT"
_MOST_LINES = 10_000
"""Lines that wait to be written before others are left out."""
_LAST_SECONDS = 1.0


def set_up(role: str, form: str = "") -> None:
    """Send the node's events to stdout; call this once, at start. `form` is `text`, which is the default, or `json`.

    Raises SatcompError where it is something else; the log is text then.
    """
    handler = _Outlet(1)
    handler.setFormatter(_AsJson(role) if form == "json" else _AsText(role))
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    if form not in {"", "text", "json"}:
        raise SatcompError(f"{FORMAT_VARIABLE} is '{form}': set it to 'text' or 'json', or leave it out.")


def event_of(line: str, job_id: str) -> str:
    """What a line of a node's log, in either form, says has happened to the job; empty if it says nothing of that."""
    if line.startswith("{"):
        try:
            values = json.loads(line)
        except ValueError:
            return ""
        return str(values.get("message", "")) if values.get("job") == job_id and "stream" not in values else ""
    return line.partition(f" job={job_id} ")[2]


class JobLog(logging.LoggerAdapter[logging.Logger]):
    """The node's log with the job that is under way in front of each event."""

    def __init__(self, job_id: str) -> None:
        super().__init__(LOG, {"job": job_id})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the job to what is known of the event."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


class _AsText(logging.Formatter):
    """Makes one line of each event, of a traceback or a problem's name with line breaks too: else it would be several.

    In CloudWatch each line is an event of its own, and only the first would have time and job.
    """

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        known = _known(record)
        job = f"job={known['job']} " if "job" in known else ""
        stream = f"{known['stream']}: " if "stream" in known else ""
        return f"{self.time(record)} {self._role} {job}{stream}{self.message(record)}"

    def time(self, record: logging.LogRecord) -> str:
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"

    def message(self, record: logging.LogRecord) -> str:
        return " | ".join(super().format(record).splitlines())


class _AsJson(_AsText):
    def format(self, record: logging.LogRecord) -> str:
        head = {"time": self.time(record), "level": record.levelname, "role": self._role}
        return json.dumps({**head, **_known(record), "message": self.message(record)})


def _known(record: logging.LogRecord) -> dict[str, str]:
    return {name: str(record.__dict__[name]) for name in ("job", "stream") if name in record.__dict__}


class _Outlet(logging.Handler):
    """Writes lines to a file in a thread of its own: nobody waits while whoever reads them doesn't.

    Where too many lines wait, others are left out, and a line says how many.
    """

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._writing = False
        self._changed = threading.Condition()
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - logging's own way: no event may end what it is about
            self.handleError(record)
            return
        with self._changed:
            if len(self._lines) >= _MOST_LINES:
                self._left_out += 1
                return
            if self._left_out:
                left_out, self._left_out = self._left_out, 0
                LOG.warning("%d lines are left out here: they came faster than they could be written", left_out)
            self._lines.append(line)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all is written; not for long, if nobody reads it. Called at the node's end, too."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._writing, _LAST_SECONDS)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines)
                lines, self._writing = list(self._lines), True
                self._lines.clear()
            text = memoryview("".join(f"{line}\n" for line in lines).encode(errors="replace"))
            try:
                while text:
                    text = text[os.write(self._file, text) :]
            except OSError:  # nobody will ever read it
                pass
