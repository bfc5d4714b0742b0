"""Which calls commands and nodes make: the walkthrough is typed against a local cloud, and each call is noted."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore import handlers

from satcomp_infra import cli
from satcomp_infra.local import cloud
from satcomp_infra.local.settings import ACCOUNT
from satcomp_infra.local.walkthrough import register_images
from satcomp_infra.progress import Console
from satcomp_infra.project import CLUSTER, TEST_PROBLEM, Project
from satcomp_infra.suites.formulas import factoring

if TYPE_CHECKING:
    from satcomp_infra.local.cloud import LocalCloud

PROJECT = Project("team/solver_1")
REGION, OTHER_REGION = "us-east-1", "eu-west-1"
NAMES = PROJECT.names(ACCOUNT, REGION)
_NODE = Path(__file__).with_name("noting_node.py")
_LARGE_PRIME = 17592186044399
_DEATH_POLLS, _DEATH_POLL_SECONDS = 100, 0.05
_ROOT = Path(__file__).parent.parent


def commands() -> dict[str, str]:
    """The module of each command that talks to AWS, by the name of the script that starts it."""
    starts = {
        path.name: re.search(r'^start\("(commands\.\w+)"\)', path.read_text(), re.MULTILINE)
        for path in _ROOT.iterdir()
        if path.is_file() and not path.suffix and os.access(path, os.X_OK)
    }
    modules = {name: found[1] for name, found in starts.items() if found}
    package = _ROOT / "satcomp_infra"
    return {name: module for name, module in modules.items() if (package / f"{module.replace('.', '/')}.py").exists()}


@dataclass(frozen=True)
class Call:
    """A call. `service` is boto3's name of it, `prefix` the one that it has in policies."""

    command: str
    """Whose call it was: the name of a command, or `node`."""
    service: str
    prefix: str
    operation: str
    region: str
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As in `ecs.UpdateService`."""
        return f"{self.service}.{self.operation}"


@dataclass
class Recording:
    """What was called: by commands, in its order; by nodes; and how often the local cloud got which call."""

    calls: list[Call] = field(default_factory=list)
    nodes: list[Call] = field(default_factory=list)
    received: dict[str, int] = field(default_factory=dict)


class _Recorder:
    """Notes the calls of botocore's clients while a command runs: nodes are processes of their own."""

    def __init__(self) -> None:
        self.recording = Recording()
        self._modules = commands()
        self._command = ""

    def type(self, line: str, *, may_fail: bool = False) -> None:
        """Run a command of the walkthrough as if it had been typed. Raises RuntimeError where it fails and may not."""
        name, *words = shlex.split(line)
        console = Console(io.StringIO(), io.StringIO())
        self._command = name
        try:
            code = cli.main(self._modules[name], words, console)
        finally:
            self._command = ""
        if code and not may_fail:
            assert isinstance(console.err, io.StringIO)
            raise RuntimeError(f"{line} ended with exit code {code}: {console.err.getvalue()}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Every client of a session that is made meanwhile tells its calls (moto gets at them in the same way)."""
        hook = ("before-parameter-build", self._note)
        handlers.BUILTIN_HANDLERS.append(hook)
        try:
            yield
        finally:
            handlers.BUILTIN_HANDLERS.remove(hook)

    def _note(self, params: dict[str, Any], model: Any, context: Mapping[str, Any], **_: Any) -> None:
        service = model.service_model
        if self._command:
            self.recording.calls.append(
                Call(
                    self._command,
                    service.service_name,
                    service.signing_name,
                    model.name,
                    context["client_region"],
                    dict(params),
                )
            )


def record() -> Recording:
    """Type the walkthrough, with all that the commands do in a different way the second time or when things differ."""
    recorder = _Recorder()
    with tempfile.TemporaryDirectory() as directory:
        notes = Path(directory) / "calls"
        node = (sys.executable, str(_NODE), str(notes))
        with (
            recorder.listening(),
            cloud.start(region=REGION, node_command=node, stack_delay=0.2, boot_delay=0.1, shutdown_delay=0.5) as local,
            _pointed_at(local),
        ):
            _walk(recorder, local, Path(directory))
            recorder.recording.received = local.calls()
        for line in notes.read_text().splitlines():
            recorder.recording.nodes.append(Call(command="node", region=REGION, **json.loads(line)))
    return recorder.recording


def _walk(recorder: _Recorder, local: LocalCloud, directory: Path) -> None:
    name = f"--project {PROJECT.name}"
    problem = f"s3://{NAMES.bucket}/{TEST_PROBLEM}"
    recorder.type(f"create-solver-infrastructure {name} --solver-type cloud --dry-run")
    recorder.type(f"create-solver-infrastructure {name} --solver-type cloud")
    recorder.type(f"create-solver-infrastructure {name} --solver-type cloud")
    recorder.type(f"push-ecr {name} --leader my-solver:leader", may_fail=True)
    register_images(local)
    _occupy_queues(local)
    local.set_faults(missing_images=["leader"])  # found out by a close look at the cluster
    recorder.type("update_instances --option setup --workers 1 --timeout 20s --keep-on-failure", may_fail=True)
    recorder.type("show_status", may_fail=True)
    local.set_faults(missing_images=None)
    recorder.type("update_instances --option shutdown")
    recorder.type("update_instances --option setup --workers 2 --stop-after 1h")
    recorder.type("update_instances --option setup --workers 1 --stop-after never")
    recorder.type(f"send_message --location {problem} --workers 1 --await-response")
    recorder.type(f"send_message --location {_hard_problem(local)} --workers 1 --timeout 2 --await-response")
    recorder.type(f"send_message --location {problem} --workers 1 {name}")
    _let_a_node_die(local)
    recorder.type("show_status", may_fail=True)
    recorder.type("show_status --logs leader")
    recorder.type("update_instances --option shutdown")
    recorder.type(f"update_instances --option shutdown --region {OTHER_REGION}", may_fail=True)
    recorder.type(f"update-solver-infrastructure {name} --solver-type parallel --dry-run")
    recorder.type(f"update-solver-infrastructure {name} --solver-type parallel")
    # Too soon for that suite at worst, so that the automatic stop is moved.
    recorder.type("update_instances --option setup --stop-after 10m")
    recorder.type(f"run_benchmarks {_problems(directory)} {problem} --timeout 20 --yes --output {directory / 'run'}")
    _fill_bucket(local)
    recorder.type(f"delete-solver-infrastructure {name} --yes")
    recorder.type(f"delete-solver-infrastructure {name} --yes")


def _hard_problem(local: LocalCloud) -> str:
    """The address of a problem that keeps any solver busy for as long as it gets: its state is looked up meanwhile."""
    local.client("s3").put_object(Bucket=NAMES.bucket, Key="hard.cnf", Body=factoring(_LARGE_PRIME).dimacs().encode())
    return f"s3://{NAMES.bucket}/hard.cnf"


def _problems(directory: Path) -> Path:
    """A directory of problems that any solver solves at once."""
    suite = directory / "suite"
    suite.mkdir()
    for number in range(1, 13):
        (suite / f"{number}.cnf").write_text(f"p cnf {number} 1\n{number} 0\n")
    return suite


def _occupy_queues(local: LocalCloud) -> None:
    """Put what isn't the next job's on the queues: its command then looks closer, and puts others' messages back."""
    sqs = local.client("sqs")
    for queue in (NAMES.result_queue, NAMES.dead_letter_queue):
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"task_id": "somebody else's"}))


def _let_a_node_die(local: LocalCloud) -> None:
    """Kill the leader, and wait until ECS knows: a command then looks up its last words."""
    ecs = local.client("ecs")
    known = len(ecs.list_tasks(cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"])
    local.kill_node("leader")
    for _ in range(_DEATH_POLLS):
        if len(ecs.list_tasks(cluster=CLUSTER, desiredStatus="STOPPED")["taskArns"]) > known:
            return
        time.sleep(_DEATH_POLL_SECONDS)
    raise RuntimeError("the local cloud doesn't notice that a node is dead")


def _fill_bucket(local: LocalCloud) -> None:
    """Leave an upload unfinished; objects are there already."""
    local.client("s3").create_multipart_upload(Bucket=NAMES.bucket, Key="unfinished")


@contextmanager
def _pointed_at(local: LocalCloud) -> Iterator[None]:
    """Commands in this process talk to the local cloud, and to nothing else."""
    before = dict(os.environ)
    for variable in [variable for variable in before if re.match(r"AWS_", variable)]:
        del os.environ[variable]
    os.environ.update(local.environment())
    os.environ["DOCKER_HOST"] = "tcp://127.0.0.1:9"  # no engine: what push-ecr itself calls is the same
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
