"""A stand-in for leaders, in moto: takes jobs off the queue and does with each what a test wants."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from satcomp_infra import cli
from satcomp_infra.jobs import Job, Result, Verdict, result_key
from satcomp_infra.progress import Console

from ..typing_commands import NAMES, Answer, Clock

Solve = Callable[[Job], Result | None]


@cache
def queue(name: str) -> str:
    """A queue's address in moto."""
    return str(boto3.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def sat(job: Job) -> Result:
    return Result(
        "", Verdict.SAT, str(job.problem), wall_seconds=1.5, timeout_seconds=60, model="right", node="10.0.0.1"
    )


class Leaders:
    """Does jobs: their results are stored, announced, or both."""

    def __init__(self, solve: Solve = sat, *, store: bool = True, announce: bool = True, earlier: bool = False) -> None:
        self.solve, self.store, self.announce, self.earlier = solve, store, announce, earlier
        self.jobs: list[Job] = []

    def work(self, most: int = 10**6) -> None:
        """Do what is on the queue."""
        sqs, s3 = boto3.client("sqs"), boto3.client("s3")
        jobs = queue(NAMES.job_queue)
        while most > 0:
            received = sqs.receive_message(QueueUrl=jobs, MaxNumberOfMessages=min(10, most)).get("Messages", [])
            if not received:
                return
            said = [self._done(message["Body"], message["MessageId"], s3) for message in received]
            taken = [{"Id": str(place), "ReceiptHandle": m["ReceiptHandle"]} for place, m in enumerate(received)]
            sqs.delete_message_batch(QueueUrl=jobs, Entries=taken)
            announced = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(said) if body]
            if announced and self.announce:
                sqs.send_message_batch(QueueUrl=queue(NAMES.result_queue), Entries=announced)
            most -= len(received)

    def _done(self, body: str, job_id: str, s3: Any) -> str:
        """Do a job; its announcement, empty where nothing comes of it."""
        job = Job.from_message(body)
        self.jobs.append(job)
        result = self.solve(job)
        if result is None:
            return ""
        result = replace(result, job_id=job_id, tag=job.tag)
        if self.store:
            for key, text in ((result_key(job_id), result.to_json()), (f"results/{job_id}/stdout", "")):
                s3.put_object(Bucket=NAMES.bucket, Key=key, Body=text.encode())
        announcement = result.announcement()
        if self.earlier:
            said = json.loads(announcement)
            said = {key: said[key] for key in ("driver", "solver", "task_state")} | {"task_id": "invented"}
            announcement = json.dumps(said)
        return announcement


class _Watcher(io.StringIO):
    """Standard error, that lets something happen when words go by."""

    def __init__(self, words: str, act: Callable[[], Any]) -> None:
        super().__init__()
        self.words, self.act = words, act

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.words in text:
            self.act()
        return written


def benchmarks(
    *words: object,
    when: str = "Following",
    act: Callable[[], Any] = lambda: None,
    meanwhile: Callable[[], Any] = lambda: None,
    speed: float = 1,
    pace: float = 0,
) -> Answer:
    """Type run_benchmarks; `act` when it says these words, `meanwhile` when it sleeps (`speed` times as long).

    Each look at the clock takes `pace` seconds.
    """
    clock = Clock(meanwhile=meanwhile)

    def look() -> float:
        clock.now += pace
        return speed * clock.now

    console = Console(io.StringIO(), _Watcher(when, act), clock=look, sleep=clock.sleep)
    code = cli.main("commands.benchmarks", [str(word) for word in words], console)
    return Answer(code, console.out.getvalue(), console.err.getvalue())  # type: ignore[attr-defined]


def results_left() -> list[dict[str, Any]]:
    """What is on the result queue."""
    found: list[dict[str, Any]] = []
    while (
        messages := boto3.client("sqs")
        .receive_message(QueueUrl=queue(NAMES.result_queue), MaxNumberOfMessages=10, WaitTimeSeconds=0)
        .get("Messages", [])
    ):
        found += [json.loads(message["Body"]) for message in messages]
    return found


def suite(directory: Path, number: int = 3) -> Path:
    directory.mkdir(exist_ok=True)
    for place in range(number):
        (directory / f"p{place}.cnf").write_text(f"c {place}\np cnf 1 1\n1 0\n")
    return directory
