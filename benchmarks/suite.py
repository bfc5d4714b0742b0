"""Suites at scale: sending and collecting 10,000 jobs, and eight leaders against one.

Run it with `make bench`, or `python benchmarks/suite.py [JOBS]`; it needs no AWS account. It runs against the local
cloud, whose single process answers all calls and is what limits most of this: AWS answers them at the same time.

Sending: the jobs of a suite as run_benchmarks sends them, against one call for each job and against one command for
each, both measured on a sample. Collecting: all results are there, stored and announced, and run_benchmarks follows a
run of which it knows the ids alone; its calls, and its memory at the peak. Then the report of all of them. All of it
also with a tenth of the jobs: what memory the other nine tenths take.

Leaders: the same suite of short jobs on one leader and on several, real node processes. Solvers that compute share this
machine's cores, so that more leaders than cores gain nothing. Solvers that sleep need none: what they show is what the
queue and the nodes themselves cost, on machines that have cores enough.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satcomp_infra.jobs import Job, Result, S3Uri, Verdict, result_key
from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.settings import ACCOUNT, SAMPLE_SOLVER
from satcomp_infra.local.walkthrough import register_images
from satcomp_infra.project import Project
from satcomp_infra.suites.formulas import factoring
from satcomp_infra.units import count

ROOT = Path(__file__).parents[1]
PROJECT = "suite"
JOBS = 10_000
_SAMPLE_CALLS, _SAMPLE_COMMANDS = 300, 5
_SMALL_OBJECT_THREADS = 16
_SMALLER = 10
"""So many times fewer jobs are what memory is compared with."""
_FEW_LEADERS, _LEAST_TIMES = 8, 6
"""So many leaders have to be so many times as fast as one."""
_DELAYS: dict[str, Any] = {"stack_delay": 0.1, "boot_delay": 0.1, "shutdown_delay": 0.1}


@dataclass(frozen=True)
class Measured:
    """A command that has run. Memory in MiB."""

    seconds: float
    cpu: float
    peak: float
    calls: Counter[str]


def run(local: LocalCloud, *words: object) -> Measured:
    """Run a command as a process of its own, and measure it."""
    local.forget_calls()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        used = Path(directory) / "used"
        command = subprocess.run(
            measured(used, words),
            env={**os.environ, **local.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if command.returncode:
            sys.exit(f"{' '.join(map(str, words))} failed:\n{command.stdout}")
        usage = json.loads(used.read_text())
    return Measured(time.monotonic() - started, usage["cpu"], usage["peak"], Counter(local.calls()))


def measured(used: Path, words: Sequence[object]) -> list[str]:
    """What to run instead of a command of the project, so that what it uses is written into a file."""
    script = ROOT / "tools" / "used.py"
    return [sys.executable, "-S", *map(str, (script, used, sys.executable, ROOT / str(words[0]), *words[1:]))]


def create(local: LocalCloud) -> None:
    """The infrastructure, for the parallel track."""
    run(local, "create-solver-infrastructure", "--project", PROJECT, "--solver-type", "parallel")
    register_images(local)


def bucket(local: LocalCloud) -> str:
    """The project's."""
    return Project(PROJECT).names(ACCOUNT, local.region).bucket


def job_queue(local: LocalCloud) -> str:
    """The URL of the project's."""
    name = Project(PROJECT).names(ACCOUNT, local.region).job_queue
    return str(local.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def small_suite(directory: Path, number: int) -> Path:
    """So many tiny problems."""
    directory.mkdir()
    for place in range(number):
        (directory / f"{place:05}.cnf").write_text(f"c {place}\np cnf 1 1\n1 0\n")
    return directory


def send(local: LocalCloud, suite: Path, output: Path) -> tuple[float, float]:
    """Let run_benchmarks send all jobs, and end it then. Returns seconds, as it says, and MiB at the peak."""
    started, used = time.monotonic(), output.with_name("used")
    command = subprocess.Popen(
        measured(used, ("run_benchmarks", suite, "--timeout", 60, "--yes", "--output", output)),
        env={**os.environ, **local.environment()},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr
    seconds = 0.0
    for line in command.stderr:
        if line.startswith("Uploaded"):
            print(f"  uploaded     {time.monotonic() - started:.1f} s: {line.strip()}")
        if found := re.match(r"Sent \d+ jobs in (?:(\d+) min)? ?(?:([\d.]+) s)?", line):
            seconds = int(found[1] or 0) * 60 + float(found[2] or 0)
            break
    command.terminate()
    command.stderr.close()
    command.wait()
    if not seconds:
        sys.exit("run_benchmarks sent nothing")
    return seconds, json.loads(used.read_text())["peak"]


def one_by_one(local: LocalCloud, number: int) -> float:
    """Seconds for each job with a call of its own, one after the other in one process."""
    sqs, url = local.client("sqs"), job_queue(local)
    body = Job(S3Uri(bucket(local), "test.cnf")).to_message()
    started = time.monotonic()
    for _ in range(number):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    return (time.monotonic() - started) / number


def by_commands(local: LocalCloud, number: int) -> float:
    """Seconds for each job with a send_message of its own."""
    location = f"s3://{bucket(local)}/test.cnf"
    words = ("send_message", "--location", location, "--workers", "0")
    return sum(run(local, *words).seconds for _ in range(number)) / number


def answer(local: LocalCloud, output: Path) -> int:
    """Store and announce a result for each job of a run, as leaders would. Returns how many."""
    s3, sqs = local.client("s3"), local.client("sqs")
    url = sqs.get_queue_url(QueueName=Project(PROJECT).names(ACCOUNT, local.region).result_queue)["QueueUrl"]
    ids: dict[str, str] = {}
    for line in (output / "jobs.jsonl").read_text().splitlines():
        ids.update(json.loads(line).get("sent", {}))

    def result(place: str, job: str) -> Result:
        seconds = 0.01 * 1.001 ** int(place)
        verdict = Verdict.SAT if int(place) % 2 else Verdict.UNSAT
        files = f"s3://{bucket(local)}/results/{job}/"
        return Result(job, verdict, f"s3://b/{place}", wall_seconds=seconds, timeout_seconds=60, files=files)

    results = [result(place, job) for place, job in ids.items()]
    with ThreadPoolExecutor(_SMALL_OBJECT_THREADS) as pool:
        put = s3.put_object
        list(pool.map(lambda r: put(Bucket=bucket(local), Key=result_key(r.job_id), Body=r.to_json()), results))

        def announce(start: int) -> None:
            batch = results[start : start + 10]
            entries = [{"Id": str(n), "MessageBody": each.announcement()} for n, each in enumerate(batch)]
            sqs.send_message_batch(QueueUrl=url, Entries=entries)

        list(pool.map(announce, range(0, len(results), 10)))
    return len(results)


def at_scale(directory: Path, number: int) -> dict[str, float]:
    """Send, collect and report so many jobs. Returns the memory that each took at the peak, in MiB."""
    print(f"{number} jobs on the local cloud:")
    directory.mkdir()
    with cloud.start(simulate_nodes=True, **_DELAYS) as local:
        create(local)
        suite, output = small_suite(directory / "suite", number), directory / "run"
        seconds, peak = send(local, suite, output)
        print(f"  sent         {seconds:.1f} s, {seconds / number * 1000:.2f} ms each, {peak:.0f} MiB")
        calls, commands = one_by_one(local, _SAMPLE_CALLS), by_commands(local, _SAMPLE_COMMANDS)
        for what, each, sample in (("call", calls, _SAMPLE_CALLS), ("process", commands, _SAMPLE_COMMANDS)):
            times = each * number / seconds
            print(
                f"               a {what} for each: {each * 1000:.1f} ms, {times:.0f} times as long (by {sample} jobs)"
            )
        local.client("sqs").purge_queue(QueueUrl=job_queue(local))
        answer(local, output)
        followed = run(local, "run_benchmarks", "--resume", output)
        with (output / "results.csv").open(newline="") as file:
            found = sum(bool(row["verdict"]) for row in csv.DictReader(file))
        if found != number:
            sys.exit(f"{found} of {number} results were collected")
        fetched = followed.calls.pop("s3.GetObject", 0)
        others = ", ".join(f"{times} {name}" for name, times in followed.calls.most_common(3))
        print(
            f"  collected    {followed.seconds:.1f} s ({followed.cpu:.1f} s of CPU time), {followed.peak:.0f} MiB, "
            f"report included\n"
            f"               {fetched} results fetched, {followed.calls.total()} other calls ({others})"
        )
        reported = run(local, "run_benchmarks", "--report", output, output, "--output", directory / "report")
        size = (directory / "report" / "report.html").stat().st_size
        print(
            f"  compared     {reported.seconds:.1f} s for two such runs, {reported.peak:.0f} MiB, {size / 1e6:.1f} MB"
        )
    return {"sent": peak, "collected": followed.peak, "compared": reported.peak}


def solver(directory: Path, sleep: float) -> Path:
    """A solver that sleeps."""
    directory.mkdir()
    (directory / "solver").write_text(f"#!/bin/sh\nsleep {sleep}\nexit 20\n")
    (directory / "solver").chmod(0o755)
    return directory


def span(local: LocalCloud, output: Path) -> float:
    """Seconds from the first job's start to the last one's end, as the leaders' results say."""
    results = []
    with (output / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            body = local.client("s3").get_object(Bucket=bucket(local), Key=result_key(row["job"]))["Body"].read()
            results.append(Result.from_json(body))
    return max(r.finished_at for r in results) - min(r.received_at for r in results)


def with_leaders(directory: Path, suite: Path, solver_dir: Path, leaders: int) -> float:
    """Seconds that a suite takes with so many leaders."""
    with cloud.start(solver_dir=solver_dir, vcpu_quota=100_000, **_DELAYS) as local:
        create(local)
        run(local, "update_instances", "--option", "setup", "--leaders", leaders)
        ready = local.client("dynamodb")
        while (
            sum(item["status"]["S"] == "READY" for item in ready.scan(TableName="SatCompNodeManifest")["Items"])
            < leaders
        ):
            time.sleep(0.2)
        output = directory / f"run-{solver_dir.name}-{leaders}"
        run(local, "run_benchmarks", suite, "--timeout", 120, "--yes", "--output", output)
        return span(local, output)


def leaders(directory: Path) -> None:
    """One leader against several, with solvers that sleep and with one that computes."""
    print(f"\nLeaders that share a suite, on this machine with {count(os.cpu_count() or 1, 'core')}:")
    print("solver              jobs  leaders   seconds  times as fast as one")

    def show(name: str, number: int, several: int, seconds: float, note: str) -> None:
        print(f"{name:<18}{number:>6}{several:>9}{seconds:>10.1f}{note}")

    for name, sleep, number, several in (("sleeps 2 s", 2.0, 48, _FEW_LEADERS), ("sleeps 20 s", 20.0, 128, 64)):
        suite = small_suite(directory / f"suite-{number}", number)
        slept = solver(directory / f"sleep-{sleep:g}", sleep)
        sample = 3 if sleep > 10 else number  # of the long ones, one leader gets a sample
        few = small_suite(directory / f"sample-{number}", sample)
        alone = with_leaders(directory, few, slept, 1) / sample * number
        show(name, number, 1, alone, f"   (by {sample} jobs)" if sample < number else "")
        together = with_leaders(directory, suite, slept, several)
        goal = f"   (of at least {_LEAST_TIMES})" if several == _FEW_LEADERS else f"   (of at most {several})"
        show(name, number, several, together, f"{alone / together:>10.1f}{goal}")
    suite = directory / "suite-kissat"
    suite.mkdir()
    for place in range(16):
        (suite / f"{place}.cnf").write_text(f"c {place}\n{factoring(100000007).dimacs()}")
    alone = with_leaders(directory, suite, SAMPLE_SOLVER, 1)
    show("computes (Kissat)", 16, 1, alone, "")
    together = with_leaders(directory, suite, SAMPLE_SOLVER, _FEW_LEADERS)
    cores = f"   (of at most {os.cpu_count()}: the cores)"
    show("computes (Kissat)", 16, _FEW_LEADERS, together, f"{alone / together:>10.1f}{cores}")


def main() -> None:
    """Measure it all."""
    number = int(sys.argv[1]) if sys.argv[1:] else JOBS
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        few = at_scale(directory / "few", max(number // _SMALLER, 1))
        many = at_scale(directory / "many", number)
        grown = ", ".join(f"{what} {many[what] / few[what]:.1f}" for what in many)
        print(f"memory for {_SMALLER} times the jobs: {grown} times as much")
        leaders(directory)


if __name__ == "__main__":
    main()
