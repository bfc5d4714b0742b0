"""What a job costs beside its solver's own time, from sending it to having its result, and where that time goes.

Run it with `make bench`, or `python benchmarks/overhead.py [JOBS]`. A real leader (and for the cloud track a real
worker) on the local cloud runs a solver that answers at once; JOBS jobs (default 100) are sent for each track, as
send_message does it, each as soon as the result of the one before is there. In the same run, after every ten jobs, the
bare API calls that no job can do without are made ten times, one after the other by one client, with the same contents:
sending and receiving the job, reading the problem, storing the files and the result, announcing and receiving it,
reading it, deleting both messages; with workers also reading the register, reserving them, and telling them of the end.
"""

from __future__ import annotations

import io
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from satcomp_infra import cli, job_queue
from satcomp_infra.aws import Aws
from satcomp_infra.finding import find
from satcomp_infra.fleet import Cluster
from satcomp_infra.jobs import Job, Result, S3Uri, Verdict
from satcomp_infra.local import cloud
from satcomp_infra.local.walkthrough import register_images
from satcomp_infra.progress import Console
from satcomp_infra.stack import Infrastructure

TURN = 10
PROBLEM = b"p cnf 1 2\n1 0\n-1 0\n"
SOLVER = "#!/bin/sh\necho 's UNSATISFIABLE'\nexit 20\n"
WORKER = """#!/bin/sh
while :; do
  printf '{"status": "READY", "timestamp": %s}' "$(date +%s)" > "$SATCOMP_COMPETITION_DIR/new"
  mv "$SATCOMP_COMPETITION_DIR/new" "$SATCOMP_COMPETITION_DIR/worker_node_status.json"
  sleep 0.5
done
"""


@dataclass
class Times:
    """Seconds, one entry for each job."""

    parts: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **parts: float) -> None:
        """Add those of a job."""
        for name, seconds in parts.items():
            self.parts.setdefault(name, []).append(seconds)

    def median(self, name: str) -> float:
        """In milliseconds."""
        return statistics.median(self.parts[name]) * 1000


def solve(aws: Aws, infrastructure: Infrastructure, job: Job, console: Console) -> dict[str, float]:
    """Send a job and wait for its result; returns where the time went."""
    begun = time.time()
    sent = job_queue.send(aws, infrastructure, job)
    with console.waiting("") as wait:
        result = job_queue.await_result(aws, infrastructure, sent, wait)
    ended = time.time()
    assert result.verdict is Verdict.UNSAT, result
    return {
        "overhead": ended - begun - result.wall_seconds,
        "sent and received": result.received_at - begun,
        "prepared": result.started_at - result.received_at,
        "(solver)": result.wall_seconds,
        "judged": result.finished_at - result.started_at - result.wall_seconds,
        "stored, announced, read": ended - result.finished_at,
    }


class BareCalls:
    """The calls of a job, one after the other, on queues and tables of their own."""

    def __init__(self, aws: Aws, infrastructure: Infrastructure, job: Job) -> None:
        self._aws, self._bucket, self._job = aws, infrastructure.bucket, job
        self._jobs = aws.sqs.create_queue(QueueName="bare-jobs")["QueueUrl"]
        self._results = aws.sqs.create_queue(QueueName="bare-results")["QueueUrl"]

    def make(self) -> float:
        """Make them all; returns the seconds."""
        s3, sqs, bucket, id_ = self._aws.s3, self._aws.sqs, self._bucket, str(uuid.uuid4())
        started = time.perf_counter()
        sqs.send_message(QueueUrl=self._jobs, MessageBody=self._job.to_message())
        (job,) = sqs.receive_message(QueueUrl=self._jobs, MaxNumberOfMessages=1)["Messages"]
        if self._job.num_workers:
            self._reserve_workers(id_)
        s3.get_object(Bucket=bucket, Key=self._job.problem.key)["Body"].read()
        for name in ("input.json", "stdout", "stderr"):
            s3.put_object(Bucket=bucket, Key=f"bare/{id_}/{name}", Body=PROBLEM)
        result = Result(id_, Verdict.UNSAT, str(self._job.problem))
        s3.put_object(Bucket=bucket, Key=f"bare/{id_}/result.json", Body=result.to_json().encode(), IfNoneMatch="*")
        sqs.send_message(QueueUrl=self._results, MessageBody=result.announcement())
        if self._job.num_workers:
            self._leave_workers(id_)
        sqs.delete_message(QueueUrl=self._jobs, ReceiptHandle=job["ReceiptHandle"])
        (announced,) = sqs.receive_message(QueueUrl=self._results, MaxNumberOfMessages=1)["Messages"]
        sqs.delete_message(QueueUrl=self._results, ReceiptHandle=announced["ReceiptHandle"])
        s3.get_object(Bucket=bucket, Key=f"bare/{id_}/result.json")["Body"].read()
        return time.perf_counter() - started

    def _reserve_workers(self, id_: str) -> None:
        dynamodb = self._aws.dynamodb
        dynamodb.scan(TableName="SatCompNodeManifest", ConsistentRead=True)
        item = {"nodeId": {"S": "bare"}, "nodeType": {"S": "BARE"}, "token": {"S": id_}, "nodeIp": {"S": "0"}}
        item |= {"status": {"S": "BUSY"}, "lastModified": {"N": "0"}}
        dynamodb.put_item(TableName="SatCompNodeManifest", Item=item)

    def _leave_workers(self, id_: str) -> None:
        item = {"leaderIp": {"S": "bare"}, "notificationId": {"S": id_}, "lastModified": {"N": "0"}}
        self._aws.dynamodb.put_item(TableName="TaskEndNotification", Item=item)


def measure(track: str, jobs: int, solver: Path) -> bool:
    """Measure and print a track's figures. Returns whether the overhead is what it should be."""
    workers, limit = (1, 150.0) if track == "cloud" else (0, 100.0)
    with cloud.start(solver_dir=solver, stack_delay=0.1, boot_delay=0.1) as local:
        os.environ.update(local.environment())
        console = Console(io.StringIO(), io.StringIO())
        typed: Callable[..., int] = lambda *words: cli.main(words[0], words[1:], console)  # noqa: E731
        assert typed("commands.create", "--project", "overhead", "--solver-type", track) == 0
        register_images(local)
        assert typed("commands.instances", "--option", "setup", "--workers", str(workers)) == 0
        aws = Aws.connect()
        infrastructure = find(aws, None)
        assert Cluster.of(aws, infrastructure).look().leaders.running == 1
        aws.s3.put_object(Bucket=infrastructure.bucket, Key="problem.cnf", Body=PROBLEM)
        job = Job(S3Uri(infrastructure.bucket, "problem.cnf"), workers, 10)
        bare = BareCalls(aws, infrastructure, job)
        times = Times()
        for number in range(1 + jobs // TURN):
            parts = [solve(aws, infrastructure, job, console) for _ in range(TURN)]
            seconds = [bare.make() for _ in range(TURN)]
            if number:  # the first turn warms everything up
                for one, calls in zip(parts, seconds, strict=True):
                    times.add(**one, bare=calls)
    overhead, bare_calls = times.median("overhead"), times.median("bare")
    print(f"\n{track} track, {workers} workers, {jobs} jobs, medians:")
    for name in times.parts:
        if name not in ("overhead", "bare"):
            print(f"  {name:<26}{times.median(name):7.1f} ms")
    print(f"  overhead, in all          {overhead:7.1f} ms   (of at most {limit:.0f})")
    print(f"  the bare calls            {bare_calls:7.1f} ms   ratio {overhead / bare_calls:.2f} (of at most 2)")
    return overhead < limit and overhead / bare_calls <= 2


def main() -> None:
    """Measure both tracks; exit code 1 where a job costs more than it should."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as directory:
        solver = Path(directory)
        for name, text in (("solver", SOLVER), ("worker", WORKER), ("cleanup", "#!/bin/sh\n")):
            (solver / name).write_text(text)
            (solver / name).chmod(0o755)
        good = [measure(track, jobs, solver) for track in ("parallel", "cloud")]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
