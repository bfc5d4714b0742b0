"""Runs jobs on the local cloud while nodes, calls and services fail, and counts what came of each job."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from satcomp_infra.jobs import Job, Result, S3Uri, Verdict, result_key
from satcomp_infra.local import killing
from satcomp_infra.local.faults import Action, CallFault, Failure
from satcomp_infra.local.history import Event
from satcomp_infra.project import Project

from ..conftest import ACCOUNT, REGION
from ..local_cluster import ROOT, LocalCluster, running
from ..typing_commands import PROJECT
from ..waiting import eventually
from .cases import NOTICED_SECONDS, SOLVER, WORKER, Case, Does, plain
from .report import Report, Tally

POLITE_SECONDS = 2.0
"""In which a node that is asked to stop gives its job back, or ends it."""
_POLL_SECONDS = 2.0
_SLACK_SECONDS = 2.0
"""For a busy machine."""
NAMES = Project(PROJECT).names(ACCOUNT, REGION)
ABANDONED = 2.0
"""Visibility timeouts after which a dead attempt's directory is removed."""
_LASTING = {Action.FREEZE, Action.FREEZE_ALL, Action.HANG}


class Harness:
    """Jobs and faults on a cluster whose nodes are real, with a short visibility timeout."""

    def __init__(self, cluster: LocalCluster, visibility: int) -> None:
        self.cluster = cluster
        self.local = cluster.local
        self.visibility = visibility
        self.s3, self.sqs = self.local.client("s3"), self.local.client("sqs")
        queues = (NAMES.job_queue, NAMES.result_queue, NAMES.dead_letter_queue)
        self.jobs, self.results, self.dead = (self.sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in queues)
        self._sent: dict[str, Case] = {}

    def start(self, leaders: int, workers: int = 0) -> None:
        """Start so many nodes; each is ready on return."""
        self.cluster.start(leaders, workers)
        eventually(lambda: len(self._idle()) == leaders + workers, within=60)

    def run(
        self,
        cases: Sequence[Case],
        *,
        at_once: int,
        during: Callable[[], None] = lambda: None,
        within: float = 600.0,
    ) -> Report:
        """Send the jobs, let their faults happen, and return what came of them; all within so many seconds.

        No more than `at_once` jobs are on the queue. There have to be more leaders than that: so one is free to take a
        job that comes back, and it is a fault if none does in time.
        """
        deadline = time.monotonic() + within
        for case in cases:
            self.s3.put_object(Bucket=NAMES.bucket, Key=case.problem.key, Body=case.problem.content)
        self.local.set_faults(reordered_queues=True, steps=[fault for case in cases for fault in case.faults])
        report = Report()
        sent: dict[str, Case] = {}
        try:
            for case in cases:
                eventually(lambda: self.depth(self.jobs) < at_once, within=deadline - time.monotonic())
                sent[self.send(case)] = case
            during()
            eventually(self._is_quiet, within=deadline - time.monotonic())
        except AssertionError:
            report.faults.append(f"The queue is not empty after {within:g} s.")
        self._judge(sent, report)
        self._look_around(report)
        return report

    def send(self, case: Case) -> str:
        """Send a case's job; return its id."""
        job = Job(
            S3Uri(NAMES.bucket, case.problem.key), case.workers, 1 if case.problem.verdict == Verdict.TIMEOUT else 60
        )
        answer = self.sqs.send_message(QueueUrl=self.jobs, MessageBody=job.to_message())
        self._sent[answer["MessageId"]] = case
        return str(answer["MessageId"])

    def outage(self, service: str, failure: Failure, *, count: int, first: int, workers: int = 0) -> Report:
        """Run jobs while no call of a service gets through for longer than the visibility timeout.

        `*`: half of all calls fail. The times are from the end of that until all jobs are done.
        """
        over = 0.0

        def happen() -> None:
            nonlocal over
            time.sleep(0.3)  # some are at work
            everything = service == "*"
            fault = CallFault("*" if everything else f"{service}.*", 0.5 if everything else 1.0, failure)
            self.local.set_faults(calls=[fault])
            time.sleep(self.visibility + 1.0)
            self.local.set_faults(calls=None)
            over = time.monotonic()

        cases = plain(f"{service} {failure}", "any", count, first, workers)
        report = self.run(cases, at_once=count + 1, during=happen)
        done = max((event.at for event in self.local.history() if event.what == "deleted"), default=over)
        for tally in report.tallies.values():
            tally.done.append(max(0.0, done - over))
        return report

    def depth(self, queue: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in found.values())

    def _is_quiet(self) -> bool:
        """Whether nothing is to be done any more, and nobody stands still who could still do something."""
        if self.depth(self.jobs):
            return False
        lasts = self.visibility + 1.0
        now = time.monotonic()
        return not any(event.what in _LASTING and now < event.at + lasts + 0.5 for event in self.local.history())

    def _judge(self, sent: dict[str, Case], report: Report) -> None:
        history: dict[str, list[Event]] = defaultdict(list)
        stored: Counter[str] = Counter()
        for event in self.local.history():
            if event.what == "stored":
                _, results, job_id, *name = event.about.split("/")
                stored[job_id] += results == "results" and name == ["result.json"]
            else:
                history[event.about].append(event)
        announced = self._announcements()
        with ThreadPoolExecutor(4) as pool:
            wrongs = list(pool.map(lambda job_id: self._wrong(job_id, sent[job_id], announced[job_id]), sent))
        for (job_id, case), wrong in zip(sent.items(), wrongs, strict=True):
            tally = report.tallies[case.kind, case.step]
            tally.runs += 1
            tally.lost += not stored[job_id]
            tally.duplicated += stored[job_id] > 1
            tally.announced_again += len(announced[job_id]) > 1
            if stored[job_id] and wrong:
                tally.wrong += 1
                report.faults.append(f"{case.kind}, {case.step}, job {job_id}: {wrong}")
            if not stored[job_id]:
                report.faults.append(f"{case.kind}, {case.step}, job {job_id}: no result")
            if case.faults:
                self._time(case, history[job_id], tally, report)
        for job_id in announced.keys() - self._sent.keys():
            report.faults.append(f"There is an announcement of {job_id}, which nobody has sent.")

    def _time(self, case: Case, events: list[Event], tally: Tally, report: Report) -> None:
        first = case.faults[0]
        fault = next((event for event in events if event.what == first.action), None)
        if fault is None:
            tally.missed += 1
            return
        later = [event for event in events if event.at > fault.at]
        if deleted := [event.at for event in later if event.what == "deleted"]:
            tally.done.append(deleted[-1] - fault.at)
        ends = ("deleted", "offered", "received")
        if not (back := [event.at - fault.at for event in later if event.what in ends]):
            return
        tally.back.append(back[0])
        limit = math.inf
        if first.victim:
            if case.step == "solve" and first.action is not Action.FREEZE:
                limit = NOTICED_SECONDS
        elif first.action is Action.TERMINATE:
            limit = POLITE_SECONDS
        elif first.action in (Action.KILL, Action.CUT_POWER):
            limit = self.visibility + _POLL_SECONDS + _SLACK_SECONDS
        if back[0] > limit:
            report.faults.append(f"{case.kind}, {case.step}: the job was back after {back[0]:.1f} s.")

    def _wrong(self, job_id: str, case: Case, announced: list[Any]) -> str:
        """What is wrong with a job's result; empty if nothing is."""
        try:
            result = Result.from_json(self._read(S3Uri(NAMES.bucket, result_key(job_id))))
            poison = case.problem.does is Does.KILL  # of which no run has come to an end
            stdout = result.file("stdout")
            said = [] if poison or not stdout else self._read(stdout).decode().splitlines()[:2]
        except self.s3.exceptions.NoSuchKey as error:
            return str(error)
        if result.verdict != case.problem.verdict:
            return f"{result.verdict} instead of {case.problem.verdict}: {result.reason}"
        if not case.attempt <= result.attempt <= case.latest:
            return f"it is of attempt {result.attempt}"
        if said != ([] if poison else [f"c number {case.problem.number}", f"c at {result.node}"]):
            return f"the output {said} is another's, not that of {case.problem.number} at {result.node}"
        if not announced:
            return "it is not announced"
        if {message["verdict"] for message in announced} != {result.verdict}:
            return f"it is announced as {announced}"
        return ""

    def _read(self, uri: S3Uri) -> bytes:
        body: bytes = self.s3.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read()
        return body

    def _announcements(self) -> dict[str, list[Any]]:
        """What the result queue holds, by job; it is empty afterwards."""
        found = defaultdict(list)
        while messages := self.sqs.receive_message(QueueUrl=self.results, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                body = json.loads(message["Body"])
                found[body["task_id"]].append(body)
                self.sqs.delete_message(QueueUrl=self.results, ReceiptHandle=message["ReceiptHandle"])
        return found

    def _look_around(self, report: Report) -> None:
        """See what is left on queues and living nodes, which get some seconds to remove it."""
        if dead := self.depth(self.dead):
            report.faults.append(f"{dead} messages are in the dead-letter queue.")
            self.sqs.purge_queue(QueueUrl=self.dead)
        try:
            eventually(lambda: not self._left(), within=3 * ABANDONED * self.visibility)
        except AssertionError:
            report.faults += self._left()

    def _left(self) -> list[str]:
        leaders = self.local.nodes("leader")
        directories = {path for node in leaders for path in self.local.state_dir.glob(f"machines/{node.instance}/*")}
        directories |= set(self.local.state_dir.glob("efs/*"))
        found = [f"{path} is left." for directory in directories for path in directory.iterdir()]
        processes = killing.by_mark(f"{self.local.endpoint}/ecs/")
        for node in leaders:
            own = next((pids for mark, pids in processes.items() if mark.endswith(node.task)), [])
            found += [f"The process {pid} of leader {node.address} is left." for pid in own if pid != node.pid]
        return found

    def _idle(self) -> list[Any]:
        """The nodes' own items in the manifest that say READY."""
        items = self.local.client("dynamodb").scan(TableName="SatCompNodeManifest")["Items"]
        kinds = ("LEADER", "WORKER")
        return [item for item in items if item["status"]["S"] == "READY" and item["nodeType"]["S"] in kinds]


@contextmanager
def harness(
    directory: Path, track: str, *, visibility: int = 3, leaders: int = 1, workers: int = 0
) -> Iterator[Harness]:
    """A cluster with so many nodes, and a harness for it. `visibility` is in seconds, for a job that nobody extends."""
    programs = directory / "solver"
    programs.mkdir()
    for name, text in (("solver", SOLVER), ("worker", WORKER), ("cleanup", "#!/bin/sh\n")):
        (programs / name).write_text(text)
    timing = {
        "visibility": visibility,
        "extension": visibility / 6,
        "abandoned": ABANDONED * visibility,
        "retry": 1,
        "kill_grace": 1,
        "workers": 30,
    }
    node = f"exec {sys.executable} {ROOT / 'tests' / 'node' / 'run_node.py'} $1 '{json.dumps(timing)}'"
    with running(directory, track, solver_dir=programs) as cluster:
        cluster.nodes_do(leader=node, worker=node)
        found = Harness(cluster, visibility)
        found.start(leaders, workers)
        yield found
