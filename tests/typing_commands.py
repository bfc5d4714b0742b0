"""Typing commands in a test: in this process, with time that passes only when somebody sleeps."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import boto3

from satcomp_infra import cli
from satcomp_infra.progress import Console
from satcomp_infra.project import Project

from .conftest import ACCOUNT, REGION

PROJECT = "team/solver_1"
NAMES = Project(PROJECT).names(ACCOUNT, REGION)


@dataclass
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 0.0
    meanwhile: Callable[[], None] = lambda: None
    """What happens in the world while somebody sleeps."""

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


def run(command: str, *words: str, meanwhile: Callable[[], None] = lambda: None) -> Answer:
    clock = Clock(meanwhile=meanwhile)
    console = Console(io.StringIO(), io.StringIO(), clock=lambda: clock.now, sleep=clock.sleep)
    code = cli.main(f"commands.{command}", list(words), console)
    assert isinstance(console.out, io.StringIO)
    assert isinstance(console.err, io.StringIO)
    return Answer(code, console.out.getvalue(), console.err.getvalue())


def create(track: str = "cloud", project: str = PROJECT) -> Answer:
    return run("create", "--project", project, "--solver-type", track)


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
