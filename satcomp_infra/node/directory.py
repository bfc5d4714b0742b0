"""The directories of attempts at jobs, on the shared file system."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import tempfile
import threading
import uuid
from contextlib import suppress
from pathlib import Path

from .failure import JobError
from .log import LOG, Log

_FOR_GOOD = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR}
_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.][0-9a-f]{8}")
_SIGNS = 10


class JobDirectory:
    """The directory of one attempt at a job.

    No other attempt has one of the same name: a leader that was stopped for a while, and whose job another one has got
    meanwhile, writes on into its own. While it is in use, its time of modification is renewed.
    """

    def __init__(self, shared: Path, job_id: str, abandoned: float, log: Log) -> None:
        """Other leaders may remove it `abandoned` seconds after the last sign that it is in use."""
        self._log = log
        self.path = shared / f"{job_id}.{uuid.uuid4().hex[:8]}"
        self._period = abandoned / _SIGNS
        self._ended = threading.Event()

    def make(self) -> None:
        """Make it. Raises JobError where it can't be made, OSError where that may go away by itself."""
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            if error.errno not in _FOR_GOOD:
                raise
            raise JobError(
                f"The job's directory {self.path} can't be made: {error.strerror}.",
                f"{self.path.parent} has to be there, belong to the image's user, and have space left.",
            ) from error
        threading.Thread(target=self._keep, name="directory", daemon=True).start()

    def remove(self) -> None:
        """Remove it with all that is in it. What can't be removed is left, and logged."""
        self._ended.set()
        _remove(self.path, self._log)

    def _keep(self) -> None:
        while not self._ended.wait(self._period):
            with suppress(OSError):  # a solver may have removed it
                os.utime(self.path, follow_symlinks=False)


def remove_abandoned(shared: Path, abandoned: float) -> None:
    """Remove what attempts of dead leaders have left: directories without a sign of use for so many seconds."""
    try:
        with tempfile.NamedTemporaryFile(dir=shared, prefix=".now-") as file:
            now = os.fstat(file.fileno()).st_mtime  # the file system's clock, not this node's
        left = [
            Path(entry.path)
            for entry in os.scandir(shared)
            if _NAME.fullmatch(entry.name) and now - entry.stat(follow_symlinks=False).st_mtime > abandoned
        ]
    except OSError as error:  # whoever removes something at the same moment; if it is worse, the next job says so
        LOG.warning("%s can't be looked through for what was left there: %s", shared, error.strerror)
        return
    for path in left:
        LOG.info("removes %s, which an attempt has left that was killed", path)
        _remove(path, LOG)


def _remove(path: Path, log: Log) -> None:
    # A solver may have put anything in its place, and nested it more deeply than Python's rmtree can follow.
    try:
        removal = subprocess.run(["rm", "-rf", "--", path], stderr=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        log.warning("the directory %s can't be removed: %s", path, error)
        return
    if removal.returncode:
        left = removal.stderr.partition("\n")[0]
        log.warning("the directory %s can't be removed completely: %s", path, left)
