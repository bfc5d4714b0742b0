"""Typing commands in a test: in this process, with time that passes only when somebody sleeps."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import boto3

from satcomp_infra import cli
from satcomp_infra.layout import COPIED, WIDTH
from satcomp_infra.progress import Console
from satcomp_infra.project import PROJECT_TAG, TEST_PROBLEM, Project
from satcomp_infra.storage import TEST_FORMULA
from satcomp_infra.template import render, zones_offering
from satcomp_infra.tracks import TRACKS

from .conftest import ACCOUNT, REGION

PROJECT = "team/solver_1"
NAMES = Project(PROJECT).names(ACCOUNT, REGION)


def plain(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def too_wide(text: str) -> list[str]:
    """Lines that have more than 80 columns, and neither are to be copied nor hold a single word."""
    lines = (line for line in text.splitlines() if len(line) > WIDTH)
    return [line for line in lines if not line.lstrip().startswith(COPIED) and len(line.split()) > 1]


@dataclass
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All that was printed, progress first, without line breaks: for what may stand on several lines."""
        return plain(f"{self.err} {self.out}")


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 0.0
    meanwhile: Callable[[], None] = lambda: None
    """What happens in the world while somebody sleeps."""

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


def run(command: str, *typed: str, meanwhile: Callable[[], None] = lambda: None) -> Answer:
    clock = Clock(meanwhile=meanwhile)
    console = Console(io.StringIO(), io.StringIO(), clock=lambda: clock.now, sleep=clock.sleep)
    return answered(cli.main(f"commands.{command}", list(typed), console), console, typed)


def run_in_time(command: str, *typed: str) -> Answer:
    """The same with the world's own time: for a local cloud, to which the environment has to lead."""
    console = Console(io.StringIO(), io.StringIO())
    return answered(cli.main(f"commands.{command}", list(typed), console), console, typed)


def answered(code: int, console: Console, typed: Sequence[str]) -> Answer:
    """What was printed on a console that keeps it: nothing too wide, but for what is a program's."""
    assert isinstance(console.out, io.StringIO)
    assert isinstance(console.err, io.StringIO)
    answer = Answer(code, console.out.getvalue(), console.err.getvalue())
    assert too_wide(answer.err) == []
    assert {"--json", "--logs", "--show-model"} & set(typed) or too_wide(answer.out) == []
    return answer


def create(track: str = "cloud", project: str = PROJECT) -> Answer:
    return run("create", "--project", project, "--solver-type", track)


def exists(track: str = "cloud", project: str = PROJECT) -> None:
    """Let the infrastructure be there, in moto, as `create` leaves it, but in a fifth of the time."""
    from moto.cloudformation.models import cloudformation_backends
    from moto.s3.models import s3_backends

    names = Project(project).names(ACCOUNT, REGION)
    stacks, objects = cloudformation_backends[ACCOUNT][REGION], s3_backends[ACCOUNT]["aws"]
    if any(stack.name == names.stack for stack in stacks.stacks.values()):
        return
    stacks.create_stack(names.stack, _template(track, project), parameters={}, tags={PROJECT_TAG: project})
    objects.put_object(names.bucket, TEST_PROBLEM, TEST_FORMULA.encode())


@cache
def _template(track: str, project: str) -> str:
    zones = zones_offering(boto3.client("ec2"), [each.instance_type for each in TRACKS.values()])
    return render(Project(project), TRACKS[track], zones)


def push_images(*tags: str) -> None:
    for tag in tags:
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [], "tag": tag}
        )
        boto3.client("ecr").put_image(repositoryName=PROJECT, imageManifest=manifest, imageTag=tag)


def queued() -> list[dict[str, object]]:
    sqs = boto3.client("sqs")
    messages = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName=NAMES.job_queue)["QueueUrl"])
    return [json.loads(message["Body"]) for message in messages.get("Messages", [])]
