"""A Docker engine on this machine's network, which keeps its images from one run of the tests to the next."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker.client
from docker.errors import DockerException

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "test-engine"
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0


@contextmanager
def running() -> Iterator[str]:
    """The engine's address (for DOCKER_HOST), while it runs. One at a time: others wait."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock, (HOME / "engine.log").open("w") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = Path("/run") / f"satcomp-test-engine-{os.getpid()}"  # a socket's path has to be short
        run.mkdir()
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "dockerd"),
                *("--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false", "--ip-masq=false"),
                *(f"--data-root={HOME}/data", f"--exec-root={run}/exec"),
                *(f"--pidfile={run}/pid", f"--host=unix://{run}/sock"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _await(run / "sock", process)
            yield f"unix://{run}/sock"
        finally:
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGTERM)  # unshare itself passes no signal on
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            subprocess.run(["rm", "-rf", run], check=True)


def _await(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not path.exists() or not _answers(path):
        said = (HOME / "engine.log").read_text()[-2000:]
        assert process.poll() is None, f"the engine doesn't start:\n{said}"
        assert time.monotonic() < deadline, f"the engine doesn't answer:\n{said}"
        time.sleep(0.05)


def _answers(path: Path) -> bool:
    try:
        docker.client.DockerClient(base_url=f"unix://{path}").close()
    except DockerException:
        return False
    return True
