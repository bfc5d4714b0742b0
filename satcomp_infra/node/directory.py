"""A job's directory on the shared file system."""

from __future__ import annotations

import errno
import subprocess
import uuid
from pathlib import Path

from .failure import JobError
from .log import Log

_FOR_GOOD = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR}


class JobDirectory:
    """The directory of one attempt at a job: made fresh, and removed in two steps.

    Removing takes time, and another leader that gets the job makes a directory of the same name. So the directory is
    first renamed, which is done at once, then the job may be given away, and then its files are removed.
    """

    def __init__(self, shared: Path, job_id: str, log: Log) -> None:
        self._log = log
        self.path = shared / job_id
        self._away = [self._unique()]

    def make(self) -> None:
        """Make it, empty. What an attempt that was killed has left is put away.

        Raises JobError where it can't be made, OSError where that may go away by itself.
        """
        self.put_away()
        self._away.append(self._unique())
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            if error.errno not in _FOR_GOOD:
                raise
            raise JobError(
                f"The job's directory {self.path} can't be made: {error.strerror}.",
                f"{self.path.parent} has to be there, belong to the image's user, and have space left.",
            ) from error

    def put_away(self) -> None:
        """Rename it, if it is there."""
        try:
            self.path.rename(self._away[-1])
        except FileNotFoundError:
            pass
        except OSError as error:
            self._log.warning("the directory %s can't be renamed: %s", self.path, error.strerror)

    def remove(self) -> None:
        """Remove what was put away. What can't be removed is left, and logged."""
        for path in self._away:
            # A solver may have put anything in its place, and nested it more deeply than Python's rmtree can follow.
            try:
                removal = subprocess.run(["rm", "-rf", "--", path], stderr=subprocess.PIPE, text=True, check=False)
            except OSError as error:
                self._log.warning("the directory %s can't be removed: %s", path, error)
                continue
            if removal.returncode:
                left = removal.stderr.partition("\n")[0]
                self._log.warning("the directory %s can't be removed completely: %s", path, left)

    def _unique(self) -> Path:
        return self.path.with_name(f".{self.path.name}-{uuid.uuid4().hex}")
