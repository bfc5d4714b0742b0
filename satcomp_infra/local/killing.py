"""Nothing that ran in a container survives it: finding and killing processes by the mark in their environment.

A solver may start processes in sessions of their own; a container's end is the end of those, too. Without containers,
the one thing that all of a container's processes inherit is the environment.

Run as a program, this is the guardian of a local cloud: it waits until the cloud is gone, however it went, and then
does what the cloud could not do any more. It must start at once: nothing of this package, nothing slow to import.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

MARK = "ECS_CONTAINER_METADATA_URI_V4"
"""ECS sets this variable in every container, to an address that is different for each."""

_PAUSE = 0.005


def by_mark(prefix: str) -> dict[str, list[int]]:
    """The processes of all containers whose mark starts with `prefix`: their ids by the mark."""
    variable = f"{MARK}={prefix}".encode()
    start = len(MARK) + 1
    found: dict[str, list[int]] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
        except OSError:  # ended meanwhile, or not ours
            continue
        if variable in environment:  # most processes end here: quicker than taking the environment apart
            for line in environment.split(b"\0"):
                if line.startswith(variable):
                    found.setdefault(line[start:].decode(errors="replace"), []).append(int(entry.name))
    return found


def children() -> list[int]:
    """The processes whose parent this process is, those excepted that have ended."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                # After the name, which may contain anything, in brackets: the state, and the parent.
                state, parent = Path(entry.path, "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == os.getpid() and state != "Z":
                found.append(int(entry.name))
    return found


def kill(pids: list[int]) -> None:
    """Kill processes at once, those that have ended meanwhile excepted."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def kill_all(prefix: str, patience: float = 10.0) -> bool:
    """Kill until no process of these containers is left: while one is killed, it may start others. False: gave up."""
    deadline = time.monotonic() + patience
    while found := by_mark(prefix):
        if time.monotonic() > deadline:
            return False
        for pids in found.values():
            kill(pids)
        time.sleep(_PAUSE)
    return True


def main() -> None:
    """Wait for the end of the standard input, which the cloud holds open; kill its containers, remove its directory."""
    prefix, *directories = sys.argv[1:]
    while os.read(0, 1):
        pass
    kill_all(prefix)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
