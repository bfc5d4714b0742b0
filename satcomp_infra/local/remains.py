"""What is in the containers of nodes, and what a job has left there: processes and files."""

from __future__ import annotations

import posixpath
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.client import from_env
from docker.errors import APIError

from .containers import SHARED, TASK_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cloud import LocalCloud

PATIENCE = 12.0
"""Seconds after a job in which it may still be cleaned up: a worker's cleanup program gets ten."""
_PAUSE = 0.3
_LOOKS = 4
_ADDED = 1
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # it is the containers'
_SHOWN = 3
ALL = "all nodes"
"""Whose files those in the shared directory are."""


@dataclass(frozen=True)
class Remains:
    """What there is: each process and file as a person should read it, and where it is."""

    processes: frozenset[tuple[str, str, str]]
    """Role, process id, command line."""
    files: frozenset[tuple[str, str]]
    """Role (ALL of the shared directory), path."""

    def __sub__(self, other: Remains) -> Remains:
        return Remains(self.processes - other.processes, self.files - other.files)

    def __and__(self, other: Remains) -> Remains:
        return Remains(self.processes & other.processes, self.files & other.files)

    def __str__(self) -> str:
        """As the end of a sentence; empty where there is nothing."""
        shown = [f"process '{command}' on the {role}" for role, _, command in sorted(self.processes)]
        shown += [f"file {path} on {role if role == ALL else f'the {role}'}" for role, path in self._outermost()]
        more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        return ", ".join(shown[:_SHOWN]) + more

    def _outermost(self) -> list[tuple[str, str]]:
        """Of a directory that is among them, that alone."""
        return sorted((role, path) for role, path in self.files if (role, posixpath.dirname(path)) not in self.files)


class Look:
    """Looks into the containers of a local cloud's nodes."""

    def __init__(self, local: LocalCloud, patience: float = PATIENCE) -> None:
        self._local = local
        self._patience = patience
        self._client = from_env()

    def close(self) -> None:
        """Let go of the engine."""
        self._client.close()

    def now(self) -> Remains:
        """What is there now."""
        processes, files = set(), set()
        for node in self._local.nodes():
            for entry in self._client.api.containers(filters={"label": f"{TASK_LABEL}={node.task}"}):
                processes |= {(node.role, pid, command) for pid, command in self._processes(entry["Id"])}
                files |= {(node.role, path) for path in self._files(entry["Id"])}
                files |= {(ALL, path) for path in _shared(entry)}
        return Remains(frozenset(processes), frozenset(files))

    def left_since(self, before: Remains) -> str:
        """What is there beyond, once there has been time to clean up; empty where that is nothing.

        What comes and goes, as the `sleep` of a script that goes on, isn't left: it has to be there at every look.
        """
        deadline = time.monotonic() + self._patience
        left, looks = self.now() - before, 1
        while str(left) and (looks < _LOOKS or time.monotonic() < deadline):
            time.sleep(_PAUSE)
            left, looks = left & self.now(), looks + 1
        return str(left)

    def last_words(self) -> list[str]:
        """The different last lines that nodes have printed, of those that have ended, too; without the time."""
        lines = []
        for output in sorted(self._local.state_dir.glob("nodes/*/output.log")):
            printed = output.read_text(errors="replace").strip().splitlines()
            lines += [line.partition(" ")[2] for line in printed[-1:]]
        return list(dict.fromkeys(lines))[:_SHOWN]

    def _processes(self, container: str) -> Iterator[tuple[str, str]]:
        with suppress(APIError):  # it has ended meanwhile
            listed = self._client.api.top(container, ps_args="-eo pid,args")
            for pid, command in listed["Processes"] or ():
                if "<defunct>" not in command:
                    yield pid, command

    def _files(self, container: str) -> Iterator[str]:
        with suppress(APIError):
            for change in self._client.api.diff(container) or ():
                if change["Kind"] == _ADDED:
                    yield change["Path"]
            # What lies in memory is no change of the container's disk; an image without `ls` has its secrets.
            run: Any = self._client.api.exec_create(container, ["ls", "-A", _SHARED_MEMORY], stderr=False)
            for name in self._client.api.exec_start(run["Id"]).decode(errors="replace").splitlines():
                if self._client.api.exec_inspect(run["Id"])["ExitCode"] == 0:
                    yield f"{_SHARED_MEMORY}/{name}"


def _shared(entry: Any) -> Iterator[str]:
    source = next((mount["Source"] for mount in entry["Mounts"] if mount["Destination"] == SHARED), None)
    if source:
        for path in Path(source).rglob("*"):
            yield f"{SHARED}/{path.relative_to(source)}"
