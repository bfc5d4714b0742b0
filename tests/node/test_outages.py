"""Outages of AWS that cost no run, and keep no node from stopping."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from satcomp_infra.jobs import Job, Verdict

from ..waiting import eventually
from .cloud import Cloud
from .flaky import Fault, FlakyAws
from .nodes import Metadata, Node

MakeNode = Callable[..., Node]


def stores_result(method: str, path: str, count: int) -> float:
    """The how-manieth request to store a result this is; if it is another one, infinitely many."""
    return count if method == "PUT" and path.partition("?")[0].endswith("/result.json") else math.inf


@pytest.mark.slow
def test_an_outage_when_the_result_is_to_be_stored_costs_no_run(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    """Longer than botocore's eight attempts."""
    aws = FlakyAws(cloud.endpoint, lambda *request: Fault.BROKEN if stores_result(*request) < 10 else None)
    leader = make_node("leader")
    leader.program("solver", "echo run >> $SATCOMP_COMPETITION_DIR/runs; exit 10")
    leader.start(metadata, AWS_ENDPOINT_URL_S3=aws.endpoint)
    result = cloud.result(cloud.send(Job(cloud.upload("a.cnf"))), within=30)
    aws.close()
    assert (result.verdict, result.attempt) == (Verdict.SAT, 1)
    assert (leader.competition / "runs").read_text() == "run\n"
    assert leader.log.count("waits for AWS, to store its result: ") == 1


@pytest.mark.slow
def test_who_waits_for_aws_to_store_a_result_can_be_stopped(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    aws = FlakyAws(cloud.endpoint, lambda *request: Fault.BROKEN if stores_result(*request) < math.inf else None)
    leader = make_node("leader")
    leader.program("solver", "exit 10")
    leader.start(metadata, AWS_ENDPOINT_URL_S3=aws.endpoint)
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    leader.await_log("waits for AWS", within=20)
    leader.signal()
    assert leader.wait(15) == 0
    aws.close()
    assert cloud.waiting() == 1
    assert json.loads(cloud.stored(job_id, "attempts/1.json") or b"")["ending"] == "stopped"


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "at_work"), [(1, "starts its solver"), (2, "received: ")])
def test_a_stop_does_not_wait_for_dynamodb(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud, workers: int, at_work: str
) -> None:
    """It throttles: neither can the workers be told of the job's end, nor be looked for."""
    throttled: list[str] = []
    aws = FlakyAws(cloud.endpoint, lambda _, target, count: Fault.THROTTLED if target in throttled else None)
    leader = make_node("leader")
    leader.program("solver", "sleep 60")
    leader.start(metadata, AWS_ENDPOINT_URL_DYNAMODB=aws.endpoint)
    with cloud.beating_worker("10.0.1.6"):
        cloud.send(Job(cloud.upload("a.cnf"), num_workers=workers))
        leader.await_log(at_work)
        throttled += ["Scan", "PutItem"]
        leader.signal()
        eventually(lambda: cloud.waiting() == 1, "the job on the queue", within=2)
        assert leader.wait(8) == 0
    aws.close()
    assert "Traceback" not in leader.log
