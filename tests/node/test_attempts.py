"""Jobs that fail again and again have a result that says so; those whose nodes are stopped again and again are done."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.session import get_session

from satcomp_infra.jobs import Job, Result, Verdict, result_key
from satcomp_infra.node.aws import is_outage
from satcomp_infra.node.earlier_attempts import MOST_ATTEMPTS, EarlierAttempts, Ending, Note, Past
from satcomp_infra.node.log import LOG
from satcomp_infra.node.stop import Stop, Stopped

from ..waiting import AT_ONCE, PATIENCE, eventually
from .cloud import BUCKET, Cloud
from .flaky import Fault, FlakyAws
from .nodes import Metadata, Node

MakeNode = Callable[..., Node]
ADDRESS = "10.0.1.5"
FAILED = "The job is not tried again: of 3 attempts, 3 failed. "
SILENT = (
    "ended without a word, as leaders do that are killed or stand still: perhaps the job takes more memory than its "
    "machine has, or its solver kills processes that it has not started."
)
LOGS = " What the leaders have printed: ./show_status --logs leader"


def earlier(cloud: Cloud, address: str = "10.0.1.1") -> EarlierAttempts:
    return EarlierAttempts(cloud.s3, BUCKET, address)


def tried(cloud: Cloud, *endings: str) -> str:
    """A job that was received so often, and its attempts' reasons, where they left one; an ending is one, too."""
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    for attempt, ending in enumerate(endings, 1):
        cloud.sqs.receive_message(QueueUrl=cloud.jobs, VisibilityTimeout=0)
        if ending:
            how = Ending(ending) if ending in set(Ending) else Ending.FAILED
            earlier(cloud).leave(job_id, attempt, how, ending, LOG).result()
    return job_id


def done(job_id: str, cloud: Cloud, make_node: MakeNode, metadata: Metadata, **environment: str) -> tuple[Result, bool]:
    """The result that the next leader stores, and whether it has run its solver; all queues are as they should be."""
    leader = make_node("leader", ADDRESS)
    leader.program("solver", "touch $SATCOMP_COMPETITION_DIR/run; exit 10")
    leader.start(metadata, **environment)
    result = cloud.result(job_id)
    assert [message["task_id"] for message in cloud.announcements()] == [job_id]
    assert cloud.waiting(cloud.failed) == 0
    return result, (leader.competition / "run").exists()


@pytest.mark.slow
def test_a_job_that_kills_its_leader_each_time_has_an_error_result_after_three_attempts(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    job = Job(cloud.upload("a.cnf"), timeout_seconds=20)
    job_id = cloud.send(job)
    leader = make_node("leader", ADDRESS)
    leader.program("solver", "echo run >> $SATCOMP_COMPETITION_DIR/runs; kill -KILL $PPID")
    for _ in range(3):
        assert leader.start(metadata).wait() == -signal.SIGKILL
        cloud.expire()
    leader.start(metadata)
    result = cloud.result(job_id)
    assert (result.verdict, result.attempt, result.node) == (Verdict.ERROR, 4, ADDRESS)
    assert (result.problem, result.timeout_seconds) == (str(job.problem), 20)
    assert result.reason == f"{FAILED}They {SILENT}{LOGS}"
    assert (leader.competition / "runs").read_text() == "run\n" * 3
    assert [message["reason"] for message in cloud.announcements()] == [result.reason]
    assert cloud.waiting(cloud.failed) == 0
    leader.program("solver", "exit 20")
    assert cloud.result(cloud.send(job)).verdict == Verdict.UNSAT


def test_attempts_that_were_stopped_or_fell_into_an_outage_are_no_failures(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    job_id = tried(cloud, "stopped", "", "stopped", "outage", "AccessDenied")
    result, has_run = done(job_id, cloud, make_node, metadata)
    assert (result.verdict, result.attempt, has_run) == (Verdict.SAT, 6, True)


@pytest.mark.slow
def test_the_result_has_the_last_reason_that_an_attempt_has_left(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    job_id = tried(cloud, "GetObject failed: AccessDenied", "stopped", "PutItem failed: AccessDenied", "", "stopped")
    result, has_run = done(job_id, cloud, make_node, metadata)
    assert (result.verdict, result.attempt, has_run) == (Verdict.ERROR, 6, False)
    assert result.reason == (
        "The job is not tried again: of 5 attempts, 3 failed, 2 ended because the node was asked to stop. "
        f"1 of those that failed {SILENT} The last reason that was left, by attempt 3 at 10.0.1.1: PutItem failed: "
        f"AccessDenied{LOGS}"
    )


def test_a_stop_is_noted_where_the_next_leader_looks(make_node: MakeNode, metadata: Metadata, cloud: Cloud) -> None:
    leader = make_node("leader", ADDRESS)
    leader.program("solver", "sleep 60")
    leader.start(metadata)
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    leader.await_log("starts its solver")
    asked = time.monotonic()
    leader.signal()
    assert leader.wait() == 0
    assert time.monotonic() - asked < AT_ONCE
    assert cloud.waiting() == 1
    note = json.loads(cloud.stored(job_id, "attempts/1.json") or b"")
    assert (note["attempt"], note["ending"], note["node"]) == (1, "stopped", ADDRESS)
    assert note["time"] == pytest.approx(time.time(), abs=60)


@pytest.mark.slow
def test_a_stop_does_not_wait_for_s3(make_node: MakeNode, metadata: Metadata, cloud: Cloud) -> None:
    """It takes the requests, but never answers: neither the problem comes, nor can the stop be noted."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        leader = make_node("leader", ADDRESS)
        leader.start(metadata, AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{silent.getsockname()[1]}")
        job_id = cloud.send(Job(cloud.upload("a.cnf")))
        leader.await_log(job_id)
        asked = time.monotonic()
        leader.signal()
        eventually(lambda: cloud.waiting() == 1, "the job on the queue", within=AT_ONCE)
        assert leader.wait() == 0
        assert time.monotonic() - asked < AT_ONCE
    assert cloud.stored(job_id, "attempts/1.json") is None


def test_what_aws_has_refused_is_noted(make_node: MakeNode, metadata: Metadata, cloud: Cloud) -> None:
    cloud.dynamodb.delete_table(TableName="TaskEndNotification")
    leader = make_node("leader", ADDRESS, retry=0)
    leader.program("solver", "exit 10")
    leader.start(metadata)
    with cloud.beating_worker("10.0.1.6"):
        result = cloud.result(cloud.send(Job(cloud.upload("a.cnf"), num_workers=1)))
    assert (result.verdict, result.attempt) == (Verdict.ERROR, 4)
    assert result.reason.startswith(
        f"{FAILED}The last reason that was left, by attempt 3 at {ADDRESS}: PutItem failed: ResourceNotFoundException"
    )


def test_a_note_is_written_as_soon_as_s3_is_back(cloud: Cloud) -> None:
    aws = FlakyAws(cloud.endpoint, lambda _, path, count: Fault.BROKEN if "attempts" in path and count == 1 else None)
    s3: Any = get_session().create_client(
        "s3", endpoint_url=aws.endpoint, config=Config(retries={"total_max_attempts": 1})
    )
    leaving = [
        EarlierAttempts(s3, bucket, ADDRESS).leave("id", 1, Ending.OUTAGE, "SlowDown", LOG)
        for bucket in (BUCKET, "a-bucket-that-is-gone")
    ]
    for future in leaving:  # the other one is not tried again for ever
        future.result(PATIENCE)
    aws.close()
    assert earlier(cloud).look("id", 2, 0, Stop()).failures == 0


def test_most_jobs_cost_no_call_for_that(make_node: MakeNode, metadata: Metadata, cloud: Cloud) -> None:
    paths: list[str] = []
    aws = FlakyAws(cloud.endpoint, lambda method, path, count: paths.append(f"{method} {path}"))
    job_id = tried(cloud, "", "")
    result, has_run = done(job_id, cloud, make_node, metadata, AWS_ENDPOINT_URL_S3=aws.endpoint)
    aws.close()
    assert (result.verdict, result.attempt, has_run) == (Verdict.SAT, 3, True)
    assert f"GET /{BUCKET}/{result_key(job_id)}" in paths
    assert not [path for path in paths if "attempts" in path]


def test_a_note_that_is_being_written_just_now_counts(cloud: Cloud) -> None:
    """A leader that stops offers the message, and writes its note, at the same time."""
    job_id = tried(cloud, "", "", "")
    begun = time.monotonic()
    writing = threading.Timer(0.3, lambda: earlier(cloud).leave(job_id, 3, Ending.STOPPED, "", LOG))
    writing.start()
    past = earlier(cloud).look(job_id, 4, time.time(), Stop())
    assert (past.failures, past.why_no_more()) == (2, "")
    assert 0.3 < time.monotonic() - begun < 2.4
    writing.join()


def test_a_note_that_would_be_there_by_now_is_not_waited_for(cloud: Cloud) -> None:
    job_id = tried(cloud, "", "", "")
    stop = Stop()
    stop.set()
    assert earlier(cloud).look(job_id, 4, time.time() - 10, stop).failures == 3
    with pytest.raises(Stopped):
        earlier(cloud).look(job_id, 4, time.time(), stop)


def test_what_is_no_note_counts_as_none(cloud: Cloud) -> None:
    for text in (b"", b"[]", b"{}", b'{"ending": "asleep", "reason": "", "node": "", "time": 0}'):
        cloud.s3.put_object(Bucket=BUCKET, Key="results/id/attempts/1.json", Body=text)
        assert earlier(cloud).look("id", 2, 0, Stop()).notes == []


def test_a_job_whose_node_is_stopped_each_time_is_not_tried_for_ever() -> None:
    stops = [Note(number, Ending.STOPPED, "", "", 0) for number in range(1, MOST_ATTEMPTS + 1)]
    assert not Past(MOST_ATTEMPTS - 1, stops[:-1]).why_no_more()
    why = Past(MOST_ATTEMPTS, stops).why_no_more()
    assert f"{MOST_ATTEMPTS} ended because the node was asked to stop" in why
    assert "SIGTERM" in why


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (EndpointConnectionError(endpoint_url="https://sqs"), True),
        (ClientError({"Error": {"Code": "InternalError"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "x"), True),  # type: ignore[typeddict-item]
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "x"), True),
        (ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "x"), True),
        (ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "x"), False),  # type: ignore[typeddict-item]
        (OSError("a full disk"), False),
    ],
)
def test_what_may_succeed_later_is_an_outage(error: Exception, outage: bool) -> None:
    assert is_outage(error) == outage
