"""What is shown of a job while its result is waited for."""

from __future__ import annotations

import io
import time

import boto3
import pytest

from satcomp_infra.aws import Aws
from satcomp_infra.finding import find
from satcomp_infra.job_queue import Backlog, Sent
from satcomp_infra.job_state import JobState
from satcomp_infra.jobs import Job, S3Uri
from satcomp_infra.progress import Console, Wait
from satcomp_infra.project import NODE_MANIFEST_TABLE

from .typing_commands import NAMES, Clock, exists
from .waiting import eventually

pytestmark = pytest.mark.usefixtures("aws")
ON_QUEUE, TAKEN = Backlog(1, 0, 0), Backlog(0, 1, 0)


class Waiting:
    """A job that is waited for, and what is shown of it."""

    def __init__(self) -> None:
        exists("parallel")
        aws = Aws.connect()
        self.clock = Clock()
        self.console = Console(io.StringIO(), io.StringIO(), clock=lambda: self.clock.now, sleep=self.clock.sleep)
        self.wait = Wait(self.console, "")
        self.state = JobState(aws, find(aws, None), Sent("the-job", Job(S3Uri("bkt", "key")), int(time.time()) - 60))

    def shown(self, queue: Backlog) -> str:
        self.clock.now += 5
        self.state.tell(self.wait, queue)
        return self.wait.text

    def shows(self, text: str) -> None:
        eventually(lambda: text in self.shown(TAKEN), within=5)


def register(node: str, job: str, kind: str = "LEADER", status: str = "BUSY") -> None:
    item = {"nodeId": node, "nodeIp": f"10.0.0.{node}", "nodeType": kind, "status": status, "jobId": job}
    values = {name: {"S": value} for name, value in item.items()} | {"lastModified": {"N": str(int(time.time()))}}
    boto3.client("dynamodb").put_item(TableName=NODE_MANIFEST_TABLE, Item=values)


def prints(message: str, seconds_ago: float) -> None:
    logs, group = boto3.client("logs"), NAMES.leader_log_group
    if not logs.describe_log_streams(logGroupName=group)["logStreams"]:
        logs.create_log_stream(logGroupName=group, logStreamName="leader")
    event = {"timestamp": int((time.time() - seconds_ago) * 1000), "message": message}
    logs.put_log_events(logGroupName=group, logStreamName="leader", logEvents=[event])


def test_a_job_waits_is_taken_by_a_node_and_solved_by_it() -> None:
    waiting = Waiting()
    assert waiting.shown(ON_QUEUE) == "Waiting for the result: 1 waiting, 0 being solved"
    register("1", "another")
    register("2", "the-job")
    register("3", "the-job", kind="WORKER")
    waiting.shows("The leader at 10.0.0.2 prepares it")
    prints("2026-01-01T00:00:00 INFO job=the-job received: s3://bkt/key, workers: 0, timeout: 60 s", 30)
    prints("2026-01-01T00:00:00 INFO job=another starts its solver", 30)
    assert "prepares it" in waiting.shown(TAKEN)
    prints("2026-01-01T00:00:00 INFO job=the-job starts its solver", 20)
    waiting.shows("The leader at 10.0.0.2 solves it")


def test_a_job_whose_node_died_waits_again() -> None:
    waiting = Waiting()
    register("2", "the-job")
    waiting.shows("The leader at 10.0.0.2")
    register("2", "", status="READY")
    waiting.shows("Waiting for the result")


def test_what_can_t_be_found_out_is_not_told_and_ends_nothing() -> None:
    waiting = Waiting()
    boto3.client("dynamodb").delete_table(TableName=NODE_MANIFEST_TABLE)
    for _ in range(5):
        assert waiting.shown(TAKEN) == "Waiting for the result: 0 waiting, 1 being solved"
        time.sleep(0.05)
