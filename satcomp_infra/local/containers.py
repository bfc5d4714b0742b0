"""Nodes as containers of real images, for the acceptance test of those images."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.client import from_env
from docker.errors import APIError
from requests.exceptions import RequestException

from . import killing
from .environment import aws_environment
from .settings import CLONE

if TYPE_CHECKING:
    from .processes import Container, Node
    from .settings import Settings

LABEL = "satcomp-infrastructure.local-cloud"
"""Of all containers of local clouds; its value is the cloud's mark."""
TASK_LABEL = "satcomp-infrastructure.task"
SHARED = "/mount/efs"
_KILLED = 137
_ANSWER_SECONDS = 60
_MIB = 1 << 20


class ContainerRunner:
    """Runs each node as a container of its role's image, on this machine's network.

    What the task definition says of it holds: init process, the user that the image has, the shared directory. Its
    memory is as the settings say, for this machine hasn't what AWS's have. `changed` is called, from another thread,
    when a node is gone.
    """

    def __init__(
        self, settings: Settings, endpoint: str, mark_prefix: str, changed: Callable[[], None], *, temporary: bool
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._changed = changed
        self._mark = mark_prefix
        self._client = from_env(timeout=None)  # a node may say nothing for hours
        self._nodes: list[_ContainerNode] = []
        # Should this process end without close(), its guardian removes the containers.
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", __name__, mark_prefix, *([str(settings.state_dir)] if temporary else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=CLONE,
            start_new_session=True,
        )

    def start(self, container: Container) -> Node:
        """Start a container; what it prints, and why it can't be started, is in the node's output."""
        home = self._settings.state_dir / "nodes" / container.task
        shared = self._settings.state_dir / container.shared_directory
        for directory in (home, shared):
            directory.mkdir(parents=True, exist_ok=True)
        shared.chmod(0o777)  # EFS's access point gives everything to the containers' user
        region = container.environment.get("AWS_DEFAULT_REGION", self._settings.region)
        environment = {
            **container.environment,
            **aws_environment(self._endpoint, region),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": container.metadata_endpoint,
            killing.MARK: container.mark,
        }
        del environment["AWS_EC2_METADATA_DISABLED"]
        api = self._client.api
        memory = self._settings.container_memory * _MIB or None
        settings = {
            "image": self._settings.images[container.role],
            "environment": environment,
            "labels": {LABEL: self._mark, TASK_LABEL: container.task},
            "host_config": api.create_host_config(
                network_mode="host",
                init=True,
                binds={str(shared): {"bind": SHARED, "mode": "rw"}},
                mem_limit=memory,
                memswap_limit=memory,
                shm_size=(memory or 1 << 30) // 2,
            ),
        }
        output = home / "output.log"
        output.touch()
        node = _ContainerNode(api, settings, output, self._changed)
        self._nodes.append(node)
        return node

    def reap(self) -> None:
        """Containers are the engine's children."""

    def close(self) -> None:
        """Remove all containers of this cloud; none is left on return."""
        for node in self._nodes:
            node.kill()
        for node in self._nodes:
            node.join()
        self._client.close()
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()
        self._guardian.wait()


class _ContainerNode:
    """A container from its creation to its removal, which a thread sees to: the engine takes its time over each."""

    pid: int | None = None

    def __init__(self, api: Any, settings: dict[str, Any], output: Path, changed: Callable[[], None]) -> None:
        self.output = output
        self._api, self._settings, self._changed = api, settings, changed
        self._signals: list[str] = []
        self._id = ""
        self._code: int | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._live, name="container", daemon=True)
        self._thread.start()

    def exit_code(self) -> int | None:
        return self._code

    def terminate(self) -> None:
        self._send("SIGTERM")

    def kill(self) -> None:
        self._send("SIGKILL")

    def join(self) -> None:
        self._thread.join(_ANSWER_SECONDS)

    def _send(self, signal: str) -> None:
        """Signal the first process; one that isn't started yet isn't started at all."""
        with self._lock:
            self._signals.append(signal)
            container = self._id
        if container:
            with suppress(APIError, RequestException):  # it has ended meanwhile
                self._api.kill(container, signal)

    def _live(self) -> None:
        code = _KILLED
        try:
            created = self._api.create_container(**self._settings)["Id"]
            try:
                code = self._run(created)
            finally:
                self._api.remove_container(created, force=True, v=True)
        except (APIError, RequestException) as error:
            with self.output.open("a") as file:
                file.write(f"The Docker engine can't run this container: {getattr(error, 'explanation', error)}\n")
        self._code = code
        self._changed()

    def _run(self, container: str) -> int:
        with self._lock:
            if self._signals:
                return _KILLED
            self._api.start(container)
            self._id = container
        self.pid = self._api.inspect_container(container)["State"]["Pid"]
        with self.output.open("ab") as file:
            for lines in self._api.logs(container, stream=True, follow=True):
                file.write(lines)
                file.flush()
        return int(self._api.wait(container)["StatusCode"])


def main() -> None:
    """Wait for the end of the standard input, which the cloud holds open; then remove its containers and directory."""
    mark, *directories = sys.argv[1:]
    while os.read(0, 1):
        pass
    api = from_env(timeout=_ANSWER_SECONDS).api
    for entry in api.containers(all=True, filters={"label": f"{LABEL}={mark}"}):
        with suppress(APIError):  # it is being removed already
            api.remove_container(entry["Id"], force=True, v=True)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
