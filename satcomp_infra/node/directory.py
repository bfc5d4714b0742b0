"""A job's directory on the shared file system."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from .log import LOG


class JobDirectory:
    """The directory of one attempt at a job: made fresh, and removed in two steps.

    Removing takes time, and another leader that gets the job makes a directory of the same name. So the directory is
    first renamed, which is done at once, then the job may be given away, and then its files are removed.
    """

    def __init__(self, shared: Path, job_id: str) -> None:
        self.path = shared / job_id
        self._away = [self._unique()]

    def make(self) -> None:
        """Make it, empty. What an attempt that was killed has left is removed. Raises OSError."""
        self.put_away()
        self._away.append(self._unique())
        self.path.mkdir(parents=True)

    def put_away(self) -> None:
        """Rename it, if it is there."""
        try:
            self.path.rename(self._away[-1])
        except FileNotFoundError:
            pass
        except OSError as error:
            LOG.warning("the directory %s can't be renamed: %s", self.path, error.strerror)

    def remove(self) -> None:
        """Remove what was put away. What can't be removed is left, and logged."""
        for path in self._away:
            shutil.rmtree(path, ignore_errors=True)
            if path.exists():
                LOG.warning("the directory %s can't be removed completely", path)

    def _unique(self) -> Path:
        return self.path.with_name(f".{self.path.name}-{uuid.uuid4().hex}")
