"""The team's programs as processes: each in a session of its own, waited for, and ended with its process group."""

from __future__ import annotations

import errno
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .background import background
from .failure import ProgramError
from .processtable import all_processes
from .stop import Stop

if TYPE_CHECKING:
    from resource import struct_rusage

_PAUSE = 0.02


class Child:
    """A program that runs in a session, and thereby a process group, of its own. `Offspring.start` makes it.

    `ended` is done as soon as the program (not its children) has ended; `returncode` holds after `end`.
    """

    def __init__(
        self, popen: subprocess.Popen[bytes], patience: float, reaped: Callable[[int, struct_rusage | None], None]
    ) -> None:
        """`patience` is how many seconds it may take to be gone once it was killed.

        `reaped` is called in `end`, with the id and, where the kernel tells, what was used.
        """
        self._popen = popen
        self._patience = patience
        self._reaped = reaped
        self.ended: Future[None] = background(self._wait)

    @property
    def pid(self) -> int:
        """The id of the program's process, session and process group."""
        return self._popen.pid

    @property
    def returncode(self) -> int:
        """The exit code, or the negated number of the signal that ended the program, or will when it can."""
        return -signal.SIGKILL if self._popen.returncode is None else self._popen.returncode

    def end(self, grace: float = 0.0, hurried_grace: float = 0.0, stop: Stop | None = None) -> None:
        """Make the process group end: SIGTERM, and SIGKILL for those that are left after `grace` seconds.

        Once the node is asked to stop, `hurried_grace` seconds are enough. Without grace there is only SIGKILL. A
        program's children may need the time as much as it does itself: an mpirun whose parent, a shell script, has
        ended at SIGTERM still has to end what it started on other nodes.
        """
        if grace > 0:
            self._signal(signal.SIGTERM)
            begun = time.monotonic()
            while self._lives():
                waited = time.monotonic() - begun
                if waited >= grace or (stop and stop.is_set() and waited >= hurried_grace):
                    break
                time.sleep(_PAUSE)
        # The program has not been reaped yet: its group's id can't have become someone else's.
        self._signal(signal.SIGKILL)
        used = self._reap() if wait([self.ended], timeout=self._patience).done else None
        self._reaped(self.pid, used)

    def _wait(self) -> None:
        if sys.platform == "linux":
            os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)  # and leave it to be reaped
        else:
            self._popen.wait()

    def _reap(self) -> struct_rusage | None:
        if sys.platform != "linux":
            return None
        try:
            _, status, used = os.wait4(self._popen.pid, 0)
        except ChildProcessError:  # at a worker's end, `Offspring.kill` may have been faster
            return None
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        return used

    def _signal(self, number: signal.Signals) -> None:
        # Darwin answers EPERM where all that is left of a group are zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _lives(self) -> bool:
        """Whether something in the group still runs; where /proc doesn't tell, whether the program does."""
        if not self.ended.done():
            return True
        return any(process.group == self._popen.pid and not process.zombie for process in all_processes())


def why_not_started(program: Path, number: int) -> ProgramError:
    """What the error with this number (errno) means at a program's start, and what to do about it."""
    if number == errno.ENOENT and not program.exists():
        return ProgramError(f"There is no program {program} in this node's image.", "Copy it there in the Dockerfile.")
    if number == errno.ENOENT:
        return ProgramError(
            f"{program} can't be started: its interpreter is missing.",
            "See which program its first line (#!) names, or, of a binary, which loader it was linked for.",
        )
    if program.is_dir():
        return ProgramError(
            f"{program} is a directory, not a program.", "Copy the program itself there in the Dockerfile."
        )
    if number == errno.EACCES and not os.access(program, os.X_OK):
        return ProgramError(f"{program} is not executable.", "Add 'RUN chmod +x' for it to the Dockerfile.")
    if number == errno.ENOEXEC:
        return ProgramError(
            f"{program} can't be started: exec format error.",
            "A script needs a first line like #!/bin/sh; a binary must be built for this machine: "
            f"{platform.system()} on {platform.machine()}.",
        )
    return ProgramError(f"{program} can't be started: {os.strerror(number)}.")


def is_program(program: Path) -> bool:
    """Whether this can be tried to be started: an executable file."""
    return program.is_file() and os.access(program, os.X_OK)


def signal_name(number: int) -> str:
    """A signal as people call it: SIGTERM, or just its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
