"""Nodes as processes: what a container is in the local cloud, how it is started, and how it is ended."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from . import killing
from .environment import ACCESS_KEY, aws_environment
from .settings import CLONE, Settings

_SCRIPTS = ("solver", "worker", "cleanup")
_SWEEP_PAUSE = 0.005
_PATIENCE = 10.0
"""With processes that are killed and don't go: one that waits for a device can't."""
_PR_SET_CHILD_SUBREAPER = 36
_KILLED = 137
"""What a container engine says of a process that SIGKILL ended; 128 and the signal's number."""


@dataclass(frozen=True)
class Container:
    """What a node needs to be started, on whatever machine. `mark` is an address that no other container has."""

    task: str
    role: str
    environment: Mapping[str, str]
    mark: str
    shared_directory: str
    """The directory to mount, relative to the state directory: nodes that name the same one share it."""
    metadata_endpoint: str


class Node(Protocol):
    """A container that was started."""

    @property
    def pid(self) -> int | None:
        """The first process of the container."""

    @property
    def output(self) -> Path | None:
        """Where what it prints goes."""

    def exit_code(self) -> int | None:
        """As a container engine tells it, once nothing of the container is left; None until then. Never blocks."""

    def terminate(self) -> None:
        """Ask it to end (SIGTERM to its first process, as container engines do)."""

    def kill(self) -> None:
        """End it."""


class NodeRunner(Protocol):
    """Starts nodes."""

    def start(self, container: Container) -> Node:
        """Start a node. Raises OSError where that fails."""

    def reap(self) -> None:
        """A process of this one's has ended: let the system forget it, if nobody else does."""

    def close(self) -> None:
        """End all nodes; return when they are gone."""


class ProcessRunner:
    """Runs each node as a process of this machine, in a session of its own. One per process.

    `changed` is called, from another thread, when a node is completely gone. Should this process end without close(),
    its guardian ends the nodes, and removes the state directory if that is `temporary`.
    """

    def __init__(
        self, settings: Settings, endpoint: str, mark_prefix: str, changed: Callable[[], None], *, temporary: bool
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._prefix = mark_prefix
        self._changed = changed
        # What a node leaves behind becomes a child of this process: even what has cleared its environment is found.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        program = [sys.executable, "-I", "-S", killing.__file__, mark_prefix]
        self._guardian = subprocess.Popen(
            [*program, *([str(settings.state_dir)] if temporary else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._starting = threading.Lock()
        self._own = {self._guardian.pid}
        """Children that somebody waits for."""
        self._ending: list[_Process] = []
        self._wake = threading.Condition()
        self._closed = False
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)
        self._sweeper.start()

    def start(self, container: Container) -> Node:
        """Start the node's command with the container's environment, in directories of its own."""
        home = self._settings.state_dir / "nodes" / container.task
        competition, scratch = home / "competition", home / "tmp"
        shared = self._settings.state_dir / container.shared_directory
        for directory in (competition, scratch, shared):
            directory.mkdir(parents=True, exist_ok=True)
        _provide(self._settings.solver_dir, competition)
        output = home / "output.log"
        environment = {
            **_system_environment(),
            "HOME": str(home),
            "TMPDIR": str(scratch),
            **container.environment,
            **aws_environment(self._endpoint, container.environment.get("AWS_DEFAULT_REGION", self._settings.region)),
            "AWS_ACCESS_KEY_ID": f"{ACCESS_KEY}.{container.task}",  # so that its calls can be told from others'
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": container.metadata_endpoint,
            killing.MARK: container.mark,
            "SATCOMP_COMPETITION_DIR": str(competition),
            "SATCOMP_SHARED_DIR": str(shared),
        }
        del environment["AWS_EC2_METADATA_DISABLED"]
        with output.open("ab") as stream, self._starting:
            process = subprocess.Popen(
                [*self._settings.node_command, container.role],
                cwd=competition,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._own.add(process.pid)
        return _Process(process, container.mark, output, self._end)

    def close(self) -> None:
        """Kill all nodes; none is left on return."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        self._sweeper.join()
        killing.kill_all(self._prefix)
        deadline = time.monotonic() + _PATIENCE
        while (orphans := set(killing.children()) - self._own) and time.monotonic() < deadline:
            killing.kill(sorted(orphans))
            self.reap()
            time.sleep(_SWEEP_PAUSE)
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()
        self._guardian.wait()

    def reap(self) -> None:
        """Forget orphans that have ended. The system names one child at a time: others follow when that one is gone."""
        with self._starting:
            try:
                while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    if ended.si_pid in self._own:
                        return
                    os.waitpid(ended.si_pid, 0)
            except ChildProcessError:  # there are none; or a node's was waited for just now by who waits for nodes
                return

    def _end(self, process: _Process) -> None:
        with self._wake:
            self._ending.append(process)
            self._wake.notify_all()

    def _sweep(self) -> None:
        """Kill what nodes leave behind, of all that end at the same time at once: looking at all processes is slow."""
        while True:
            with self._wake:
                if not self._ending:
                    self._wake.wait_for(lambda: self._ending or self._closed)
                if self._closed:
                    return
                ending = list(self._ending)
            left = killing.by_mark(self._prefix)
            for process in ending:
                killing.kill(left.get(process.mark, []))
            clean = [process for process in ending if process.mark not in left]
            for process in clean:
                process.clean = True
                self._own.discard(process.pid)
            if clean:
                with self._wake:
                    self._ending = [process for process in self._ending if not process.clean]
                self._changed()
            else:
                time.sleep(_SWEEP_PAUSE)


@dataclass
class _Process:
    """A node that is a process. Once its first process has ended, whatever else is left of it is killed."""

    process: subprocess.Popen[bytes]
    mark: str
    output: Path
    end: Callable[[_Process], None]
    ended: bool = False
    clean: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def exit_code(self) -> int | None:
        code = self.process.poll()
        if code is None:
            return None
        if not self.ended:
            self.ended = True
            self.end(self)
        if not self.clean:
            return None
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()


class SimulatedRunner:
    """Runs nothing. Its nodes run until they are asked to end."""

    def start(self, container: Container) -> Node:  # noqa: ARG002  # no matter which
        """Pretend."""
        return _SimulatedNode()

    def reap(self) -> None:
        """There is nothing to forget."""

    def close(self) -> None:
        """There is nothing to end."""


@dataclass
class _SimulatedNode:
    code: int | None = None
    pid: int | None = None
    output: Path | None = None

    def exit_code(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.code = 0

    def kill(self) -> None:
        self.code = _KILLED


def solver_path() -> str:
    """PATH with the directory of the solvers that Python packages bring, in front (passagemath-kissat has its own)."""
    packages = dict.fromkeys(sysconfig.get_path(name) for name in ("platlib", "purelib"))
    brought = [str(path) for package in packages if (path := Path(package, "sage_wheels", "bin")).is_dir()]
    return os.pathsep.join([*brought, str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _system_environment() -> dict[str, str]:
    """What a program needs to run at all: nothing else of the user's environment reaches a node."""
    kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")}
    return {**kept, "PATH": solver_path(), "PYTHONPATH": str(CLONE), "PYTHONUNBUFFERED": "1"}


def _provide(solver_dir: Path, competition: Path) -> None:
    """Put the solver's scripts where an image has them. What else lies beside them is reached through links."""
    if not solver_dir.is_dir():
        return
    for path in solver_dir.iterdir():
        target = competition / path.name
        if path.name in _SCRIPTS:
            shutil.copy(path, target)
            target.chmod(0o755)
        else:
            target.symlink_to(path.resolve())
