"""The team's programs as processes: started in sessions of their own, waited for, and ended with all they started."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO

from .background import background
from .failure import ProgramError
from .log import LOG
from .processtable import all_processes, descendants, kill
from .stop import Stop

_PAUSE = 0.02
_SHORT_PAUSE = 0.002
_PATIENCE = 5.0
"""Seconds for killed processes to be gone. One that hangs in the kernel (a dead file system) can't be killed."""
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class Child:
    """A program that runs in a session, and thereby a process group, of its own; its standard input is empty.

    Raises ProgramError where it can't be started. `ended` is done as soon as the program (not its children) has ended;
    `returncode` is known after `end`.
    """

    def __init__(
        self,
        program: Path,
        *arguments: str,
        directory: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
    ) -> None:
        try:
            self._popen = subprocess.Popen(
                [program, *arguments],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            raise why_not_started(program, error.errno or 0) from error
        self.ended: Future[None] = background(self._wait)

    @property
    def pid(self) -> int:
        """The id of the program's process, session and process group."""
        return self._popen.pid

    @property
    def returncode(self) -> int:
        """The exit code, or the negated number of the signal that ended the program."""
        assert self._popen.returncode is not None, "the program has not been waited for"
        return self._popen.returncode

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
        self._popen.wait()

    def _wait(self) -> None:
        if sys.platform == "linux":
            os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)  # and leave it to be reaped
        else:
            self._popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        # Darwin answers EPERM where all that is left of a group are zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _lives(self) -> bool:
        """Whether something in the group still runs; where /proc doesn't tell, whether the program does."""
        if not self.ended.done():
            return True
        return any(process.group == self._popen.pid and not process.zombie for process in all_processes())


class Offspring:
    """All that descends from this process, now and later, except for what is there when this is made.

    A solver's processes may make sessions of their own and outlive their parents, and then are no one's children. On
    Linux this process becomes the one that inherits such orphans (PR_SET_CHILD_SUBREAPER, prctl(2)), so that it finds
    them. Elsewhere they are not found, and a process group is all that is ended.

    What is there before, an sshd that the container's entry point started for example, is left alone, and so are the
    processes under it.
    """

    def __init__(self) -> None:
        if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            LOG.warning("the kernel refuses PR_SET_CHILD_SUBREAPER: processes that leave their session survive")
        self._spared = frozenset(descendants(os.getpid()))

    def kill(self) -> None:
        """Kill and reap all of it, and what it starts meanwhile. Call it after the node's own children's `end`."""
        deadline = time.monotonic() + _PATIENCE
        while remaining := descendants(os.getpid(), self._spared):
            for process in remaining:
                if not process.zombie:
                    kill(process)
                elif process.parent == os.getpid():
                    with suppress(ChildProcessError):  # someone else in this process has just reaped it
                        os.waitpid(process.pid, os.WNOHANG)
            if time.monotonic() > deadline:
                pids = ", ".join(str(process.pid) for process in remaining)
                LOG.warning("killed processes are still there after %.0f s: %s", _PATIENCE, pids)
                return
            time.sleep(_SHORT_PAUSE)


def why_not_started(program: Path, number: int) -> ProgramError:
    """What the error with this number (errno) means at a program's start, and what to do about it."""
    if number == errno.ENOENT and not program.exists():
        return ProgramError(f"There is no program {program} in this node's image.", "Copy it there in the Dockerfile.")
    if number == errno.ENOENT:
        return ProgramError(
            f"{program} can't be started: its interpreter is missing.",
            "See which program its first line (#!) names, or, of a binary, which loader it was linked for.",
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


def signal_name(number: int) -> str:
    """A signal as people call it: SIGTERM, or just its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
