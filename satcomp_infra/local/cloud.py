"""Starting a local cloud, and talking to it: what tests and the rehearsal use.

with cloud.start() as local:
    subprocess.run(["./create-solver-infrastructure", ...], env={**os.environ, **local.environment()})
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import SatcompError
from . import killing
from .environment import ACCESS_KEY, overriding
from .history import Event
from .settings import CLONE, DEFAULT_REGION

_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class RunningNode:
    """A node that runs. `output` is the file with all that it has printed; `pid` None where it is only simulated."""

    task: str
    role: str
    pid: int | None
    address: str
    instance: str
    zone: str
    output: str
    status: str


class _NotStartedError(Exception):
    """What happened in the local cloud's process: its traceback."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class LocalCloud:
    """A local cloud that runs, in a process of its own. As a context manager, it is stopped at the end."""

    def __init__(self, process: subprocess.Popen[str], region: str) -> None:
        self._process = process
        self.region = region
        try:
            ready = self._await_readiness()
        except BaseException:
            self.stop()
            raise
        self.endpoint: str = ready["endpoint"]
        self.start_seconds: float = ready["seconds"]
        """What its process needed until it was ready."""
        self.state_dir = Path(ready["state_dir"])

    def environment(self) -> dict[str, str]:
        """The variables that make a process use this cloud, whatever AWS settings it has otherwise (see os.environ)."""
        return overriding(self.endpoint, self.region, os.environ)

    def client(self, service: str) -> Any:
        """A botocore client of this cloud (as boto3's), which nothing in the environment can lead elsewhere."""
        from botocore.config import Config

        settings = Config(retries={"mode": "standard", "total_max_attempts": 1}, proxies={})
        return self._session.create_client(service, self.region, endpoint_url=self.endpoint, config=settings)

    @cached_property
    def _session(self) -> Any:
        import botocore.session

        # As in botocore's own table: no variable, no setting in a file, but this value.
        fixed = {"config_file": os.devnull, "credentials_file": os.devnull, "profile": None, "use_fips_endpoint": False}
        variables = {name: (None, None, value, None) for name, value in fixed.items()}
        session = botocore.session.Session(session_vars=variables)
        session.set_credentials(ACCESS_KEY, "not-a-secret")
        return session

    def set_faults(self, **faults: Any) -> None:
        """Let these go wrong from now on (`faults.Faults`); None ends a fault, those not named stay as they are."""
        self._ask("POST", "faults", faults)

    def calls(self) -> dict[str, int]:
        """How often each call was made so far, by name as in `ecs.UpdateService`."""
        counted: dict[str, int] = self._ask("GET", "calls")
        return counted

    def forget_calls(self) -> None:
        """Count calls from 0 again."""
        self._ask("DELETE", "calls")

    def history(self) -> list[Event]:
        """What happened so far to messages and stored objects through nodes, and which faults they met."""
        return [Event(**event) for event in self._ask("GET", "history")]

    def nodes(self, role: str | None = None) -> list[RunningNode]:
        """The nodes that run, or are being stopped; oldest first."""
        found = [RunningNode(**node) for node in self._ask("GET", "nodes")]
        return [node for node in found if role in (None, node.role)]

    def kill_node(self, role: str, index: int = 0) -> RunningNode:
        """Kill the process of the n-th node of a role that runs now."""
        return RunningNode(**self._ask("POST", "kill", {"role": role, "index": index}))

    def terminate_machine(self, role: str, index: int = 0) -> RunningNode:
        """End the machine of the n-th node of a role that runs now, as EC2 does with one that fails."""
        return RunningNode(**self._ask("POST", "kill", {"role": role, "index": index, "machine": True}))

    def node_processes(self) -> list[int]:
        """The ids of all processes of nodes, of whatever session, whether this cloud still knows them or not."""
        return [pid for pids in killing.by_mark(f"{self.endpoint}/ecs/").values() for pid in pids]

    def stop(self) -> None:
        """Stop it, and all that runs in it; nothing is left on return. Stopping again does nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()  # its guardian does the rest
                self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _await_readiness(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SatcompError("The local cloud didn't start; what it said stands above.", "Please report it.")
        said = json.loads(line)
        if "error" in said:
            raise SatcompError(said["error"], said["advice"]) from _NotStartedError(said["traceback"])
        return said

    def _ask(self, method: str, name: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body, default=vars).encode()
        request = urllib.request.Request(f"{self.endpoint}/local-cloud/{name}", data, method=method)  # noqa: S310
        try:
            with _WITHOUT_PROXY.open(request, timeout=_STOP_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                answer = json.load(error)
            raise SatcompError(answer["error"], answer["advice"]) from None


_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def start(
    *,
    solver_dir: Path | None = None,
    state_dir: Path | None = None,
    region: str | None = None,
    zones: Sequence[str] = (),
    boot_delay: float | None = None,
    shutdown_delay: float | None = None,
    stop_delay: float | None = None,
    stack_delay: float | None = None,
    retry_delay: float | None = None,
    node_command: Sequence[str] = (),
    simulate_nodes: bool = False,
    images: Mapping[str, str] | None = None,
    container_memory: int = 0,
    port: int = 0,
    **faults: Any,
) -> LocalCloud:
    """Start a local cloud; it is ready on return. It stops with `stop()`, and whenever this process is gone.

    Delays are in seconds (see `settings.Settings`); `faults` as for `set_faults`. The state directory has what nodes
    print, and the cloud's own log; if none is given, it is a temporary one, gone with the cloud. Raises SatcompError
    if the cloud doesn't start.
    """
    region = region or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    delays = {
        "boot": boot_delay,
        "shutdown": shutdown_delay,
        "stop": stop_delay,
        "stack": stack_delay,
        "retry": retry_delay,
    }
    options: list[str] = ["--port", str(port), "--region", region]
    options += ["--state-dir", str(state_dir)] if state_dir else []
    options += ["--stop-with-parent", str(os.getpid())]
    options += [word for name, value in delays.items() if value is not None for word in (f"--{name}-delay", str(value))]
    options += ["--solver", str(solver_dir)] if solver_dir else []
    options += ["--zones", *zones] if zones else []
    options += ["--node-command", json.dumps(list(node_command))] if node_command else []
    options += ["--simulate-nodes"] if simulate_nodes else []
    options += ["--images", json.dumps(images), "--container-memory", str(container_memory)] if images else []
    options += ["--faults", json.dumps(faults, default=vars)] if faults else []
    process = subprocess.Popen(
        [sys.executable, "-m", "satcomp_infra.local", "serve", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=CLONE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the program that the user started; that one stops this one
    )
    return LocalCloud(process, region)
