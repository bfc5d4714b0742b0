"""The processes of this machine, from Linux's /proc; elsewhere, none is ever seen."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it. `started`, in the kernel's clock ticks since boot, tells it from a later one."""

    pid: int
    started: int
    parent: int
    group: int
    zombie: bool


def read_process(pid: int) -> Process | None:
    """The process with this id; None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # proc_pid_stat(5). The second field is the program's name in brackets, and may itself hold brackets and spaces.
    fields = stat.rpartition(")")[2].split()
    return Process(pid, started=int(fields[19]), parent=int(fields[1]), group=int(fields[2]), zombie=fields[0] in "ZX")


def all_processes() -> list[Process]:
    """All processes that can be seen."""
    with suppress(FileNotFoundError), os.scandir("/proc") as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
        return [process for process in map(read_process, pids) if process]
    return []


def descendants(ancestor: int, spared: frozenset[Process] = frozenset()) -> list[Process]:
    """All that descends from a process, zombies too; neither those in `spared` nor what descends through them."""
    left_alone = {(process.pid, process.started) for process in spared}
    children: dict[int, list[Process]] = {}
    for process in all_processes():
        if (process.pid, process.started) not in left_alone:
            children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    parents = [ancestor]
    while parents:
        generation = children.pop(parents.pop(), [])
        found += generation
        parents += [process.pid for process in generation]
    return found


def kill(process: Process) -> None:
    """Kill this process, and none that has got its id meanwhile."""
    now = read_process(process.pid)
    if now and now.started == process.started:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
