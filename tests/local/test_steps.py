"""Faults at an exact step: in the middle of a call that a node makes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError
from botocore.session import get_session

from satcomp_infra.errors import UsageError
from satcomp_infra.local.cloud import RunningNode
from satcomp_infra.local.faults import Action, Failure, Faults, StepFault, When

from ..waiting import eventually
from .clouds import Solver, is_alive
from .conftest import clear

PUT = "s3.PutObject"


@pytest.fixture(scope="module")
def with_leader(solver: Solver) -> Iterator[Solver]:
    solver.tasks(leaders=1)
    solver.machines(1)
    eventually(lambda: solver.running(1, 0))
    solver.client("s3").create_bucket(Bucket="bucket")
    yield solver
    clear(solver)


@pytest.fixture
def up(with_leader: Solver) -> Iterator[Solver]:
    """A leader runs, and nothing goes wrong."""
    yield with_leader
    with_leader.cloud.set_faults(steps=None, reordered_queues=None)
    eventually(lambda: with_leader.running(1, 0))


def leader(solver: Solver) -> RunningNode:
    return eventually(lambda: [node for node in solver.cloud.nodes("leader") if node.status == "RUNNING"])[0]


def as_node(solver: Solver, node: RunningNode) -> Callable[[str], Any]:
    """Clients whose calls count as the node's."""
    session = get_session()
    session.set_credentials(f"LOCALCLOUD.{node.task}", "not-a-secret")
    once = Config(retries={"total_max_attempts": 1})
    return lambda service: session.create_client(service, "us-east-1", endpoint_url=solver.cloud.endpoint, config=once)


def stored(solver: Solver) -> set[str]:
    return {entry["Key"] for entry in solver.client("s3").list_objects_v2(Bucket="bucket").get("Contents", [])}


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
def test_a_node_is_killed_before_or_after_its_call_is_done(up: Solver, when: When) -> None:
    node = leader(up)
    up.cloud.set_faults(steps=[StepFault(PUT, when, Action.KILL, target="bucket/killed-*")])
    s3 = as_node(up, node)("s3")
    s3.put_object(Bucket="bucket", Key=f"other-{when}", Body=b"")
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket="bucket", Key=f"killed-{when}", Body=b"")
    assert (f"killed-{when}" in stored(up)) == (when is When.AFTER)
    eventually(lambda: not is_alive(node.pid or 0))
    eventually(lambda: node.task not in {other.task for other in up.cloud.nodes()})
    kinds = [(event.what, event.about) for event in up.cloud.history() if event.node == node.task]
    killed = ("kill", "")
    if when is When.AFTER:
        assert kinds[-2:] == [("stored", f"bucket/killed-{when}"), killed]
    else:
        assert kinds[-2:] == [("stored", f"bucket/other-{when}"), killed]


def test_calls_of_others_meet_no_fault(up: Solver) -> None:
    up.cloud.set_faults(steps=[StepFault("*", role="*"), StepFault("*", role="worker")])
    up.client("s3").put_object(Bucket="bucket", Key="by-a-command", Body=b"")
    assert "by-a-command" in stored(up)


def test_a_fault_happens_as_often_as_it_says(up: Solver) -> None:
    s3 = as_node(up, leader(up))("s3")
    fault = StepFault(PUT, action=Action.FAIL, times=2, failure=Failure.UNAVAILABLE)
    up.cloud.set_faults(steps=[fault])
    for _ in range(2):
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            s3.put_object(Bucket="bucket", Key="late", Body=b"")
        up.cloud.set_faults(reordered_queues=True)  # changes nothing about the steps
    s3.put_object(Bucket="bucket", Key="late", Body=b"")


def test_a_node_stands_still_for_a_while(up: Solver) -> None:
    def state() -> str:
        return Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()[0]

    node = leader(up)
    up.cloud.set_faults(steps=[StepFault(PUT, action=Action.FREEZE_ALL, seconds=3)])
    as_node(up, node)("s3").put_object(Bucket="bucket", Key="frozen", Body=b"")
    eventually(lambda: state() == "T")  # not at once: a signal arrives when the process runs next
    eventually(lambda: state() == "S")


def test_half_of_an_answer_arrives(up: Solver) -> None:
    s3 = as_node(up, leader(up))("s3")
    s3.put_object(Bucket="bucket", Key="half", Body=b"0123456789")
    up.cloud.set_faults(steps=[StepFault("s3.GetObject", When.DURING, Action.DISCONNECT)])
    body = s3.get_object(Bucket="bucket", Key="half")["Body"]
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        body.read()


def test_a_job_is_offered_again_though_it_is_hidden_or_deleted(up: Solver) -> None:
    node, queue = leader(up), up.outputs["QueueUrl"]
    sqs, others = as_node(up, node)("sqs"), up.client("sqs")
    faults = [StepFault("sqs.ReceiveMessage", When.AFTER, Action.DELIVER_AGAIN, job="*this one*")]
    faults.append(StepFault("sqs.DeleteMessage", When.AFTER, Action.DELIVER_AGAIN, job="*this one*"))
    up.cloud.set_faults(steps=faults)
    sent = others.send_message(QueueUrl=queue, MessageBody="this one")["MessageId"]
    received = [sqs.receive_message(QueueUrl=queue, VisibilityTimeout=60)["Messages"][0] for _ in range(2)]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=received[1]["ReceiptHandle"])
    received += others.receive_message(QueueUrl=queue)["Messages"]
    assert {message["MessageId"] for message in received} == {sent}
    others.delete_message(QueueUrl=queue, ReceiptHandle=received[2]["ReceiptHandle"])
    about_it = [event.what for event in up.cloud.history() if event.about == sent]
    assert about_it == ["received", "deliver-again", "received", "deleted", "deliver-again", "deleted"]


def test_a_receipt_is_of_no_use_once_the_message_was_received_again(up: Solver) -> None:
    sqs, queue = up.client("sqs"), up.outputs["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="job")
    first = sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)["Messages"][0]["ReceiptHandle"]
    time.sleep(0.002)
    second = sqs.receive_message(QueueUrl=queue, VisibilityTimeout=60)["Messages"][0]["ReceiptHandle"]
    with pytest.raises(ClientError, match="not available for visibility timeout change"):
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=first, VisibilityTimeout=0)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first)  # and nothing happens
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=second, VisibilityTimeout=0)
    (third,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=third["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_a_service_can_be_out_of_reach(up: Solver) -> None:
    up.cloud.set_faults(calls=[{"calls": "s3.*", "failure": "disconnected", "times": 1}])
    with pytest.raises(ConnectionClosedError):
        up.client("s3").list_buckets()
    up.client("s3").list_buckets()


def test_a_call_that_is_done_can_not_fail() -> None:
    with pytest.raises(UsageError, match="before it is done, not after it"):
        Faults().changed({"steps": [{"call": "s3.*", "when": "after", "action": "fail"}]})
