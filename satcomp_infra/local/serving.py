"""A local cloud's process: everything is set up, runs until it is told to stop, and is gone."""

from __future__ import annotations

import gc
import json
import logging
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING

from ..errors import SatcompError
from . import slim_moto
from .environment import ACCESS_KEY

if TYPE_CHECKING:
    from .faults import Faults
    from .settings import Settings

LOG_FILE = "local-cloud.log"
"""In the state directory."""

_PARENT_CHECK = 0.25


def serve(
    settings: Settings, faults: Faults, port: int, *, parent: int | None, temporary: bool, started: float
) -> None:
    """Serve until SIGTERM or SIGINT, or until the `parent` process is gone; announce readiness on standard output.

    `started` is when the process started, of the monotonic clock. Raises SatcompError where the port is taken. The
    state directory is the caller's to remove; `temporary`: but to be removed all the same if this process is killed.
    """
    if sys.platform != "linux":  # 127.0.0.2 and its like, /proc
        raise SatcompError(
            "The local cloud needs Linux: its nodes have addresses of their own, which other systems don't offer.",
            "On macOS or Windows, run it in a Linux container or virtual machine (for example WSL).",
        )
    signals = _notice_signals()
    logging.basicConfig(filename=settings.state_dir / LOG_FILE, format="%(asctime)s %(threadName)s %(message)s")
    logging.getLogger("moto").setLevel(logging.ERROR)  # what it doesn't know of CloudFormation is dealt with
    _shield_moto()
    cloud = _Cloud(settings, faults, port, temporary=temporary)
    try:
        cloud.start()
        ready = {
            "endpoint": cloud.endpoint,
            "pid": os.getpid(),
            "seconds": round(time.monotonic() - started, 2),
            "state_dir": str(settings.state_dir),
        }
        print(json.dumps(ready), flush=True)
        cloud.run(signals, parent)
    finally:
        cloud.stop()


class _Cloud:
    """All parts, put together."""

    def __init__(self, settings: Settings, faults: Faults, port: int, *, temporary: bool) -> None:
        gc.disable()  # moto makes a million objects that stay: looking through them again and again takes a while
        slim_moto.load()
        from . import gaps, gaps_ecs, gaps_scaling, gaps_stacks
        from .control import Control
        from .gaps_sqs import Queues
        from .groups import Groups
        from .history import History
        from .imds import MetadataService
        from .logs import NodeLogs
        from .machines import Machines
        from .processes import NodeRunner, ProcessRunner, SimulatedRunner
        from .server import Gateway, Server
        from .services import Services
        from .stacks import Stacks
        from .steps import Steps
        from .tasks import Tasks
        from .world import World

        self._server = Server(port)
        self.endpoint = self._server.endpoint
        self._world = world = World(settings, faults, self.endpoint)
        runner: NodeRunner
        if settings.simulate_nodes:
            runner = SimulatedRunner()
        elif settings.images:
            from .containers import ContainerRunner

            runner = ContainerRunner(
                settings, self.endpoint, world.mark_prefix, world.scheduler.wake, temporary=temporary
            )
        else:
            runner = ProcessRunner(
                settings, self.endpoint, world.mark_prefix, world.scheduler.wake, temporary=temporary
            )
        world.runner = runner
        self._logs = NodeLogs(world.own_locks["logs"])
        machines = Machines(world)
        groups = Groups(world, machines)
        tasks = Tasks(world, self._logs)
        services = Services(world, tasks)
        stacks = Stacks(world, groups, services)
        history = History()
        queues = Queues(world, history)
        steps = Steps(world, tasks, queues, history)
        gaps.fill_ec2(world, groups, machines)
        gaps.fill_service_quotas(world)
        gaps_scaling.fill(world, groups)
        gaps_ecs.fill(services, tasks)
        gaps_stacks.fill(stacks)
        queues.fill()
        self._parts = (stacks, groups, machines, tasks, services)
        self._gateway = Gateway(world, Control(world, tasks, history), MetadataService(world), queues, steps)
        gc.freeze()
        gc.enable()

    def start(self) -> None:
        self._world.scheduler.start(self._parts)
        self._server.start(self._gateway)

    def run(self, signals: int, parent: int | None) -> None:
        """Wait for the end."""
        while parent is None or os.getppid() == parent:
            readable, _, _ = select.select([signals], [], [], None if parent is None else _PARENT_CHECK)
            numbers = os.read(signals, 1024) if readable else b""
            if {signal.SIGTERM, signal.SIGINT} & set(numbers):
                return
            if signal.SIGCHLD in numbers:
                self._world.scheduler.wake()
                self._world.runner.reap()

    def stop(self) -> None:
        """Leave nothing behind."""
        self._world.scheduler.stop()
        self._world.runner.close()
        self._server.stop()
        self._logs.stop()
        self._world.addresses.close()


def _shield_moto() -> None:
    """Make moto independent of the user's AWS settings."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = ACCESS_KEY
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"


def _notice_signals() -> int:
    """Let signals be read from a file: SIGTERM and SIGINT to stop, SIGCHLD when a node may have ended."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reading
