"""All that descends from a node's process: started, reaped, measured, and in the end killed."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .children import Child, why_not_started
from .log import LOG, Log
from .memory import first_to_be_killed
from .processtable import all_processes, descendants, memory_of, own_children, read_process

if TYPE_CHECKING:
    from resource import struct_rusage

_PAUSE = 0.002
_REAPING_SECONDS = 0.2
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_NAMED = 10


@dataclass(frozen=True)
class Usage:
    """What processes have used: CPU time, in user and kernel mode, and the most memory at a time."""

    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


class Offspring:
    """All that descends from this process, now and later, except for what is there when this is made.

    A solver's processes may make sessions of their own and outlive their parents, and then are no one's children. On
    Linux this process becomes the one that inherits such orphans (PR_SET_CHILD_SUBREAPER, prctl(2)), so that it finds
    them. Elsewhere they are not found, and a process group is all that is ended.

    What is there before, an sshd that the container's entry point started for example, is left alone, and so are the
    processes under it.
    """

    def __init__(self, patience: float) -> None:
        """`patience` is how many seconds killed processes may take to be gone."""
        if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            LOG.warning("the kernel refuses PR_SET_CHILD_SUBREAPER: processes that leave their session survive")
        # A solver that crashes with 200 GiB of memory is not to spend minutes on writing them down. A team that wants
        # that can still have it: 'ulimit -c unlimited' in its solver.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        self.immortal = False
        """Whether something could not be killed: only the end of its container ends it."""
        self._patience = patience
        self._spared = frozenset((process.pid, process.started) for process in descendants(os.getpid()))
        self._lock = threading.Lock()
        self._programs: set[int] = set()
        self._cpu_seconds = 0.0
        self._peak_memory = 0
        self._own_peak_kib = 0

    def start(
        self,
        program: Path,
        *arguments: str,
        directory: Path,
        environment: Mapping[str, str],
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Child:
        """Start a program, its standard input empty; `end` is called for it. Raises ProgramError where that fails."""
        with self._lock, first_to_be_killed():
            try:
                popen = subprocess.Popen(
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
            self._programs.add(popen.pid)
        return Child(popen, self._patience, self._reaped)

    def reap_orphans(self) -> bool:
        """Reap what has ended and has no parent any more. Call it about once a second, else it takes up process ids.

        Return whether there may be more: they may be ending faster than they can be reaped.
        """
        until = time.monotonic() + _REAPING_SECONDS
        with self._lock, suppress(ChildProcessError):
            # A program that has ended is its Child's to reap; what ended after it is found next time.
            while (pid := _ended_child()) and pid not in self._programs:
                self._reap(pid)
                if time.monotonic() > until:
                    return True
        return False

    def measure(self) -> None:
        """See how much memory all of it uses together just now."""
        used = [memory_of(process.pid) for process in descendants(os.getpid(), self._spared)]
        # What several processes share is counted once, as the largest share: they usually share the same.
        total = sum(private for private, _ in used) + max((shared for _, shared in used), default=0)
        with self._lock:
            self._peak_memory = max(self._peak_memory, total)

    def kill(self, log: Log = LOG) -> None:
        """Kill and reap all of it, and what it starts meanwhile. Call it after each program's `end`."""
        deadline = time.monotonic() + self._patience
        self._kill_children(deadline)
        while remaining := self._kill_once(deadline):
            if time.monotonic() > deadline:
                self.immortal = True
                pids = ", ".join(map(str, remaining[:_NAMED]))
                log.warning("%d killed processes are still there after %g s: %s", len(remaining), self._patience, pids)
                return
            time.sleep(_PAUSE)
            self._kill_children(deadline)

    def _kill_children(self, deadline: float) -> None:
        """Kill this process's children, and what becomes its child thereby, as long as there are others each time.

        What makes a session, forks and ends, again and again, is an orphan most of the time, and lives for less than a
        millisecond: no look at all processes is quick enough.
        """
        spared = {pid for pid, _ in self._spared}
        before: list[int] = []
        while (children := own_children()) != before and time.monotonic() < deadline:
            # The newest first: of thousands, the others have ended.
            mine = [pid for pid in reversed(children) if pid not in spared or not self._is_spared(pid)]
            for pid in mine:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            for pid in mine:
                with self._lock, suppress(ChildProcessError):
                    self._reap(pid)
            before = children

    def _is_spared(self, pid: int) -> bool:
        process = read_process(pid)
        return process is not None and (pid, process.started) in self._spared

    def _kill_once(self, deadline: float) -> list[int]:
        """Kill what is there; return the ids of all that was. Children of what is killed become this process's."""
        found: list[int] = []
        family = {os.getpid()}
        for process in all_processes():
            if process.parent in family and (process.pid, process.started) not in self._spared:
                found.append(process.pid)
                family.add(process.pid)
                if not process.zombie:
                    # At once: what forks and ends all the time is another process in the next millisecond.
                    with suppress(ProcessLookupError, PermissionError):  # the latter: it has become another user's
                        os.kill(process.pid, signal.SIGKILL)
                elif process.parent == os.getpid():
                    with self._lock, suppress(ChildProcessError):
                        self._reap(process.pid)
            if found and time.monotonic() > deadline:  # what is started meanwhile is seen too, without end perhaps
                break
        return found

    def take_usage(self) -> Usage:
        """What those that have been reaped since the last call have used, and the most that `measure` has seen."""
        with self._lock:
            usage = Usage(self._cpu_seconds, self._peak_memory)
            self._cpu_seconds, self._peak_memory = 0.0, 0
        return usage

    def _reap(self, pid: int) -> None:
        reaped, _, used = os.wait4(pid, os.WNOHANG)
        if reaped:
            self._add(used)

    def _reaped(self, pid: int, used: struct_rusage | None) -> None:
        with self._lock:
            self._programs.discard(pid)
            if used:
                self._add(used)

    def _add(self, used: struct_rusage) -> None:
        """Add what a process has used; the kernel has added those that it has waited for itself."""
        self._cpu_seconds += used.ru_utime + used.ru_stime
        # Until it becomes its own program, a new process counts as large as the one that has started it: this one.
        if used.ru_maxrss > max(self._own_peak_kib, self._peak_memory // 1024):
            self._own_peak_kib = _own_peak_kib()  # it can only have grown: what is smaller needs no look at it
            if used.ru_maxrss > self._own_peak_kib:
                self._peak_memory = used.ru_maxrss * 1024


def _own_peak_kib() -> int:
    """The most memory that this process has had since it became this program, in KiB (VmHWM of proc_pid_status(5)).

    Not its ru_maxrss, which counts the program before that, too: whatever has started this one.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _ended_child() -> int:
    """The id of a child that can be reaped; 0 if there is none. Raises ChildProcessError if there is no child."""
    if sys.platform != "linux":
        return 0
    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return ended.si_pid if ended else 0
