"""The processes of this machine, from Linux's /proc; elsewhere, none is ever seen."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


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


def memory_of(pid: int) -> tuple[int, int]:
    """How much memory a process has of its own, and how much that it may share with others, in bytes; 0 if it ended."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()  # proc_pid_statm(5)
    except (OSError, ValueError):
        return 0, 0
    return (int(resident) - int(shared)) * _PAGE_BYTES, int(shared) * _PAGE_BYTES


def own_children() -> list[int]:
    """The ids of this process's children that its main thread has started, or that it has inherited; zombies too.

    Quick: it takes a few microseconds. Empty where the kernel doesn't tell (proc_pid_children(5) is an option of it).
    """
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def all_processes() -> Iterator[Process]:
    """All processes that can be seen. Those that are started meanwhile come at the end."""
    with suppress(FileNotFoundError), os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (process := read_process(int(entry.name))):
                yield process


def descendants(ancestor: int, spared: Set[tuple[int, int]] = frozenset()) -> list[Process]:
    """All that descends from a process, zombies too; neither those in `spared` nor what descends through them.

    `spared` has process ids with the times of their start.
    """
    children: dict[int, list[Process]] = {}
    for process in all_processes():
        if (process.pid, process.started) not in spared:
            children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    parents = [ancestor]
    while parents:
        generation = children.pop(parents.pop(), [])
        found += generation
        parents += [process.pid for process in generation]
    return found
