"""The walkthrough's commands, run one after the other as a user would type them, and what came of each."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..layout import command
from ..project import TEST_PROBLEM, Project
from ..units import count, duration
from .settings import ACCOUNT, CLONE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..progress import Console
    from ..tracks import Track
    from .cloud import LocalCloud

PROJECT = Project("rehearsal/solver_1")
_END_SECONDS = 5.0
"""For a command that is to end; nothing of it is worth more, since its AWS ends, too."""


@dataclass(frozen=True)
class Problem:
    """A problem to upload and solve. `verdict` is the only right one; empty where it isn't known."""

    name: str
    content: bytes
    verdict: str


@dataclass(frozen=True)
class Step:
    """A command that was run, and how it ended."""

    command: str
    seconds: float
    outcome: str
    good: bool


class StepFailedError(Exception):
    """A step of the rehearsal didn't end as it should; the rest makes no sense then."""


class Walkthrough:
    """Runs the commands as child processes against a local cloud, echoing each as a shell would."""

    test_problem = Problem(TEST_PROBLEM, b"", "SAT")

    def __init__(self, local: LocalCloud, console: Console, *, timeout: int, in_containers: bool = False) -> None:
        """`in_containers`: nodes are containers of real images, which nobody has to push."""
        self._in_containers = in_containers
        self._told: set[str] = set()
        self._local = local
        self._console = console
        self._timeout = timeout
        self.bucket = PROJECT.names(ACCOUNT, local.region).bucket
        self.steps: list[Step] = []

    def create(self, track: Track) -> None:
        """Create the infrastructure, and register the images that push-ecr would push."""
        self._command(
            f"Create the infrastructure for the {track.name} track: a network, a bucket for problems and results, a "
            "queue for jobs, a repository for your solver's images. AWS makes it as one CloudFormation stack, in 3 to "
            "5 min, and it costs nothing per hour.",
            *("create-solver-infrastructure", "--project", PROJECT.name, "--solver-type", track.name),
        )
        register_images(self._local)
        if self._in_containers:
            return
        self._explain(
            "Push the solver's images, which the machines run. That needs a Docker engine and a registry, which the "
            "local cloud is not: so images 'leader' and 'worker' are registered here without being pushed, and nodes "
            "run the solver's scripts directly. In AWS you would type:"
        )
        words = ("./push-ecr", "--project", PROJECT.name, "--leader", "LEADER_IMAGE", "--worker", "WORKER_IMAGE")
        self._console.result(command(words, "  "))

    def upload(self, problems: Sequence[Problem]) -> None:
        """Put the problems into the bucket."""
        client = self._local.client("s3")
        self._explain("Upload problems to the project's bucket, where nodes fetch them. In AWS you would type:")
        for problem in problems:
            self._console.result(command(("aws", "s3", "cp", problem.name, f"s3://{self.bucket}/"), "  "))
            client.put_object(Bucket=self.bucket, Key=problem.name, Body=problem.content)

    def switch(self, track: Track) -> None:
        """Switch to another track."""
        self._command(
            f"Switch to the {track.name} track: one machine of {track.vcpus} cores ({track.instance_type}) in place of "
            "several. No machine may run meanwhile. AWS takes 1 to 2 min for it.",
            *("update-solver-infrastructure", "--project", PROJECT.name, "--solver-type", track.name),
        )

    def set_up(self, track: Track, workers: int, *, timeout: int | None = None) -> None:
        """Start the nodes; `timeout`: seconds after which to give up."""
        nodes = f"a leader and {count(workers, 'worker')}" if track.has_workers else "a leader, which has all cores"
        what = (
            "A leader takes jobs from the queue, one after the other, and runs the solver; its workers help it. Each "
            "is a node, on a machine of its own."
        )
        self._command(
            f"Start the machines: {nodes}. {self._once(what)}AWS takes 2 to 5 min for it, and they cost money from "
            "here on, until they are stopped.",
            *("update_instances", "--option", "setup", "--workers", str(workers)),
            *(("--timeout", f"{timeout}s") if timeout else ()),
        )

    def solve(self, problem: Problem, workers: int) -> None:
        """Send a problem and wait for its verdict."""
        known = f"It is known to be {problem.verdict}. " if problem.verdict else ""
        what = self._once(
            "A job goes to the queue, and the leader takes it: it fetches the problem from the bucket, runs the "
            "solver, checks the model of a SAT answer, and puts the result into the bucket."
        )
        location = f"s3://{self.bucket}/{problem.name}"
        self._command(
            f"Solve {problem.name}. {known}{what}".strip(),
            *("send_message", "--location", location, "--workers", str(workers)),
            *("--timeout", str(self._timeout), "--await-response"),
            verdict=problem.verdict,
        )

    def send(self, problem: Problem, why: str, workers: int, seconds: int, patience: int) -> str:
        """Send a problem and wait for its verdict, whatever that is, at most so many seconds. Returns the job's id."""
        location = f"s3://{self.bucket}/{problem.name}"
        words = ("send_message", "--location", location, "--workers", str(workers), "--timeout", str(seconds))
        self._explain(why)
        _, lines = self._run(*words, "--await-response", patience=patience)
        return next((line.split()[1] for line in lines if line.startswith("Job ")), "")

    def run_suite(self, directory: Path, number: int) -> None:
        """Write the sample suite into a directory, run so many of its problems, and report."""
        self._command(
            "From one problem to a competition: write a suite of small problems whose answers are known ...",
            *("run_benchmarks", "--sample", "suite"),
            directory=directory,
        )
        self._command(
            f"... and run the solver on {number} of them, which ends in a report. (The rehearsal removes it again. "
            "Yours stays, in the directory that --output names.)",
            *("run_benchmarks", "suite", "--limit", str(number), "--timeout", str(self._timeout)),
            *("--output", "runs/first", "--yes"),
            directory=directory,
        )

    def shut_down(self) -> None:
        """Stop the nodes."""
        self._command(
            "Stop the machines, and with them the costs. Infrastructure and files stay. AWS takes 1 to 2 min for it.",
            *("update_instances", "--option", "shutdown"),
        )

    def delete(self) -> None:
        """Remove the infrastructure."""
        self._command(
            "Remove everything, the files in the bucket included: nothing is left that could cost money. AWS takes 2 "
            "to 5 min for it. (Without --yes you are asked for the project's name.)",
            *("delete-solver-infrastructure", "--project", PROJECT.name, "--yes"),
        )

    def check_nothing_is_left(self) -> None:
        """Ask the local cloud itself what exists, whoever it belongs to, and whether a node's process still runs."""
        started = time.monotonic()
        left = _left(self._local)
        outcome = f"left: {', '.join(left)}" if left else "nothing is left"
        self._explain(f"Look into the local cloud for what may be left: {outcome}.")
        self._done(Step("(look for what is left)", time.monotonic() - started, outcome, not left))

    def _explain(self, text: str) -> None:
        self._console.result(f"\n# {text}")

    def _once(self, text: str) -> str:
        """A text, and a blank behind it, the first time; nothing once it has been told."""
        if text in self._told:
            return ""
        self._told.add(text)
        return f"{text} "

    def _command(self, why: str, *words: str, verdict: str | None = None, directory: Path | None = None) -> None:
        """Run a command, in a directory. `verdict`, where it prints one: the right one, or empty for any but ERROR."""
        self._explain(why)
        started = time.monotonic()
        code, lines = self._run(*words, directory=directory)
        outcome = f"exit code {code}" if code else "ok"
        good = code == 0
        if verdict is not None:
            found = next((line for line in lines if line.split(" ")[0] in _VERDICTS), "no verdict")
            outcome = found
            good = good and (found.split(" ")[0] == verdict if verdict else True)
            if verdict and not good:
                outcome += f" (should be {verdict})"
        self._done(Step(f"./{shlex.join(words)}", time.monotonic() - started, outcome, good))

    def _run(self, *words: str, patience: float | None = None, directory: Path | None = None) -> tuple[int, list[str]]:
        """Run a command, and echo it and what it prints; with `patience`, interrupt it after so many seconds."""
        self._console.result(command((f"./{words[0]}", *words[1:])))
        lines = []
        with subprocess.Popen(
            [sys.executable, str(CLONE / words[0]), *words[1:]],
            env={**os.environ, **self._local.environment(), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if _in_one_file() else None,
            cwd=directory,
            text=True,
        ) as child:
            assert child.stdout is not None
            timer = threading.Timer(patience or threading.TIMEOUT_MAX, child.send_signal, [signal.SIGINT])
            timer.daemon = True
            timer.start()
            try:
                for line in child.stdout:
                    lines.append(line.rstrip("\n"))
                    self._console.result(lines[-1])
            except BaseException:  # Ctrl-C is for both, but SIGTERM for this process alone
                _end(child)
                raise
            finally:
                timer.cancel()
        return child.returncode, lines

    def _done(self, step: Step) -> None:
        self.steps.append(step)
        if not step.good:
            raise StepFailedError(f"{step.command} ended after {duration(step.seconds)} with: {step.outcome}.")


def _in_one_file() -> bool:
    """Whether standard output and error go to the same file, in which all should stand in its order.

    On a terminal, waits are drawn on standard error, which a pipe in between would keep from it.
    """
    try:
        return os.path.sameopenfile(1, 2) and not os.isatty(2)
    except OSError:  # one of them is closed
        return False


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


_VERDICTS = ("SAT", "UNSAT", "UNKNOWN", "TIMEOUT", "ERROR")


def register_images(local: LocalCloud) -> None:
    """Give every repository of the local cloud the images `leader` and `worker`, as if they had been pushed."""
    ecr = local.client("ecr")
    for repository in ecr.describe_repositories()["repositories"]:
        name = repository["repositoryName"]
        there = {image.get("imageTag") for image in ecr.list_images(repositoryName=name)["imageIds"]}
        for tag in {"leader", "worker"} - there:
            ecr.put_image(repositoryName=name, imageManifest=_manifest(tag), imageTag=tag)


def _manifest(tag: str) -> str:
    """A manifest of an image that has no layers; ECR tells images apart by it."""
    return (
        '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [], '
        f'"annotations": {{"node": "{tag}"}}}}'
    )


def _left(local: LocalCloud) -> list[str]:
    ec2, s3, sqs = local.client("ec2"), local.client("s3"), local.client("sqs")
    instances = ec2.describe_instances(
        Filters=[{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    )["Reservations"]
    return [
        *(f"stack {stack['StackName']}" for stack in local.client("cloudformation").describe_stacks()["Stacks"]),
        *(f"machine {i['InstanceId']}" for reservation in instances for i in reservation["Instances"]),
        *(f"disk {volume['VolumeId']}" for volume in ec2.describe_volumes()["Volumes"]),
        *(f"bucket {bucket['Name']}" for bucket in s3.list_buckets()["Buckets"]),
        *(f"queue {url}" for url in sqs.list_queues().get("QueueUrls", ())),
        *(f"repository {r['repositoryName']}" for r in local.client("ecr").describe_repositories()["repositories"]),
        *(f"cluster {arn}" for arn in local.client("ecs").list_clusters()["clusterArns"]),
        *(f"file system {fs['FileSystemId']}" for fs in local.client("efs").describe_file_systems()["FileSystems"]),
        *(f"table {name}" for name in local.client("dynamodb").list_tables()["TableNames"]),
        *(f"process {pid}" for pid in local.node_processes()),
    ]
