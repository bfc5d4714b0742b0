"""Which workers a leader takes, and which it waits for."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from satcomp_infra.node import manifest
from satcomp_infra.node.crew import Crews
from satcomp_infra.node.failure import JobError
from satcomp_infra.node.manifest import Heartbeats, Node
from satcomp_infra.node.roster import sort_out
from satcomp_infra.node.stop import Stop, Stopped

from .cloud import Cloud

NOW = 1000.0
LEADER = "10.0.1.5"


def worker(address: str, status: str = "READY", age: float = 0.0, cleanup: dict[str, str] | None = None) -> Node:
    return Node(f"id of {address} {age}", address, status, "WORKER", NOW - age, cleanup)


def crews_of(cloud: Cloud, address: str = LEADER, patience: float = 60) -> Crews:
    return Crews(cloud.dynamodb, cloud.dynamodb, address, f"id of {address}", patience)


def ready(*workers: Node, last_end: str = "") -> list[str]:
    return [node.address for node in sort_out(workers, LEADER, last_end, NOW)[0]]


def test_workers_are_taken_in_the_order_of_their_addresses() -> None:
    assert ready(worker("10.0.1.100"), worker("10.0.1.9"), worker("10.0.0.200"), worker("odd")) == [
        "odd",
        "10.0.0.200",
        "10.0.1.9",
        "10.0.1.100",
    ]


def test_only_fresh_and_ready_ones_count() -> None:
    workers = (worker("10.0.0.1", age=5), worker("10.0.0.2", age=5.5), worker("10.0.0.3", "BUSY"))
    assert ready(*workers) == ["10.0.0.1"]
    assert sort_out(workers, LEADER, "", NOW)[1] == {"10.0.0.2": "not heard of for 6 s", "10.0.0.3": "BUSY"}


def test_of_a_restarted_worker_the_newer_item_counts() -> None:
    assert ready(worker("10.0.0.1", age=1), worker("10.0.0.1", "BUSY")) == []
    assert ready(worker("10.0.0.1", "ERROR", age=1), worker("10.0.0.1")) == ["10.0.0.1"]


def test_a_worker_is_used_again_once_it_has_cleaned_up_for_this_leaders_last_job() -> None:
    workers = (
        worker("10.0.0.1", cleanup={LEADER: "last", "10.0.1.77": "other"}),
        worker("10.0.0.2", cleanup={LEADER: "the one before"}),
        worker("10.0.0.3", cleanup={}),
        worker("10.0.0.4", cleanup=None),  # of an earlier year: it doesn't say
    )
    assert ready(*workers, last_end="last") == ["10.0.0.1", "10.0.0.4"]
    assert ready(*workers) == [f"10.0.0.{n}" for n in (1, 2, 3, 4)]


def test_a_worker_whose_clock_is_behind_is_heard_when_its_item_changes() -> None:
    heartbeats = Heartbeats()

    def heard(seconds: float, **ages: float) -> list[str]:
        nodes = [replace(worker("10.0.0.1", age=age), node_id=name) for name, age in ages.items()]
        return ready(*(replace(n, last_modified=n.last_modified - seconds) for n in heartbeats.heard(nodes, NOW)))

    assert heard(0, behind=30) == []
    assert heard(0, behind=30) == []  # an item that stays as it is
    assert heard(0, behind=29) == ["10.0.0.1"]
    assert heard(5, behind=29) == ["10.0.0.1"]
    assert heard(6, behind=29) == []
    assert heard(0, ahead=-30) == ["10.0.0.1"]


@pytest.mark.parametrize(
    "modified", [{"S": "1644545117.25"}, {"N": "1644545117.25"}, {"N": "1.64454511725E9"}], ids=["text", "N", "E"]
)
def test_items_of_earlier_years_are_read(cloud: Cloud, modified: Any) -> None:
    item = {"nodeId": {"S": "x"}, "nodeIp": {"S": "10.0.0.9"}, "status": {"S": "READY"}, "nodeType": {"S": "WORKER"}}
    others: Any = {"b": {"B": b"x"}, "l": {"L": [{"S": "x"}]}, "n": {"NULL": True}, "s": {"NS": ["1"]}}
    cloud.dynamodb.put_item(TableName="SatCompNodeManifest", Item={**item, **others, "lastModified": modified})
    cloud.dynamodb.put_item(TableName="SatCompNodeManifest", Item={"nodeId": {"S": "nothing but this"}})
    found = {node.node_id: node for node in manifest.nodes(cloud.dynamodb)}
    assert found["x"] == Node("x", "10.0.0.9", "READY", "WORKER", 1644545117.25)
    assert found["nothing but this"].last_modified == 0


def test_nothing_is_waited_for_when_the_problem_can_not_be_had(cloud: Cloud) -> None:
    problem: Future[None] = Future()
    problem.set_exception(JobError("no such problem"))
    with pytest.raises(JobError, match="no such problem"):
        crews_of(cloud).gather(1, problem, Stop())


def test_a_stop_ends_the_waiting(cloud: Cloud) -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(Stopped):
        crews_of(cloud).gather(1, Future(), stop)


def test_an_end_that_could_not_be_told_is_told_before_the_next_job(cloud: Cloud, endpoint: str) -> None:
    crews = crews_of(cloud, patience=0)
    crews.begin()
    assert list(cloud.notifications()) == [LEADER]
    table = cloud.dynamodb.describe_table(TableName="TaskEndNotification")["Table"]
    cloud.dynamodb.delete_table(TableName="TaskEndNotification")
    crews.tell_workers()
    cloud.dynamodb.create_table(
        TableName="TaskEndNotification",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=table["AttributeDefinitions"],
        KeySchema=table["KeySchema"],
    )
    assert cloud.notifications() == {}
    with pytest.raises(JobError, match=r"0 were ready"):
        crews.gather(1, Future(), Stop())
    assert list(cloud.notifications()) == [LEADER]
