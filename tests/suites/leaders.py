"""A stand-in for leaders, in moto: takes jobs off the queue and does with each what a test wants."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from satcomp_infra import cli
from satcomp_infra.jobs import Job, Result, Verdict, result_key
from satcomp_infra.progress import Console

from ..typing_commands import NAMES, Answer, Clock

Solve = Callable[[Job], Result | None]


def queue(name: str) -> str:
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
            for message in received:
                most -= 1
                job = Job.from_message(message["Body"])
                self.jobs.append(job)
                result = self.solve(job)
                sqs.delete_message(QueueUrl=jobs, ReceiptHandle=message["ReceiptHandle"])
                if result is None:
                    continue
                result = Result.from_json(json.dumps({**json.loads(result.to_json()), "job_id": message["MessageId"]}))
                result = Result.from_json(json.dumps({**json.loads(result.to_json()), "tag": job.tag}))
                if self.store:
                    key = result_key(result.job_id)
                    s3.put_object(Bucket=NAMES.bucket, Key=key, Body=result.to_json().encode())
                    s3.put_object(Bucket=NAMES.bucket, Key=f"results/{result.job_id}/stdout", Body=b"")
                if self.announce:
                    said = json.loads(result.announcement())
                    if self.earlier:
                        said = {key: said[key] for key in ("driver", "solver", "task_state")} | {"task_id": "invented"}
                    sqs.send_message(QueueUrl=queue(NAMES.result_queue), MessageBody=json.dumps(said))


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
