"""All at once: AWS fails, nodes are stopped at any moment, several leaders share the queue. Each job has one result."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from satcomp_infra.jobs import Job, Verdict

from ..waiting import AT_ONCE, eventually
from .cloud import Cloud
from .flaky import Fault, FlakyAws
from .nodes import Metadata, Node

MakeNode = Callable[..., Node]
MakeAws = Callable[..., FlakyAws]


@pytest.fixture
def make_aws(endpoint: str) -> Iterator[MakeAws]:
    made: list[FlakyAws] = []

    def make(fault: Callable[[str, str, int], Fault | None]) -> FlakyAws:
        made.append(FlakyAws(endpoint, fault))
        return made[-1]

    yield make
    for aws in made:
        aws.close()


def test_throttling_broken_connections_and_lost_answers_delay_a_job_and_no_more(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud, make_aws: MakeAws
) -> None:
    def fault(method: str, target: str, number: int) -> Fault | None:
        if target.endswith("result.json") and method == "PUT":
            return Fault.LOST if number == 1 else None  # and the second time it is there already
        if number > 1:
            return None
        if target == "SendMessage":
            return Fault.BROKEN
        return Fault.THROTTLED if target.endswith("a.cnf") else None

    leader = make_node("leader")
    leader.program("solver", "exit 10")
    leader.start(metadata, AWS_ENDPOINT_URL=make_aws(fault).endpoint)
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    result = cloud.result(job_id)
    assert (result.verdict, result.attempt) == (Verdict.SAT, 1)
    assert [message["verdict"] for message in cloud.announcements()] == ["SAT"]
    eventually(lambda: cloud.status(leader.address) == "READY", "a heartbeat")
    assert leader.log.count(job_id) == 3  # received, starts, SAT: nobody needs to know the rest
    assert "Traceback" not in leader.log


def test_a_leader_that_finds_no_aws_can_be_stopped_all_the_same(make_node: MakeNode, metadata: Metadata) -> None:
    leader = make_node("leader")
    leader.start(metadata, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    eventually(lambda: leader.catches(signal.SIGTERM), "a leader that has come to handle signals")
    asked = time.monotonic()
    leader.signal()
    assert leader.wait() == 0
    assert time.monotonic() - asked < AT_ONCE


def test_leaders_that_are_stopped_at_any_moment_lose_no_job(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    jobs = [cloud.send(Job(cloud.upload("a.cnf"))) for _ in range(3)]
    leaders = [make_node("leader", f"10.0.1.{n}") for n in range(20, 24)]
    for leader in leaders:
        leader.program("solver", "sleep 0.2; exit 10")
        leader.start(metadata)
    begun = time.monotonic()
    for leader in leaders:
        eventually(lambda: leader.catches(signal.SIGTERM), "a leader that has come to handle signals")  # noqa: B023
    for number, leader in enumerate(leaders):
        time.sleep(max(0.0, begun + 0.2 * number - time.monotonic()))
        leader.signal()
    for leader in leaders:
        assert leader.wait() == 0
        assert "Traceback" not in leader.log
    assert cloud.nodes() == []
    assert cloud.waiting() == cloud.depth()  # no message is hidden
    last = make_node("leader", "10.0.1.30")
    last.program("solver", "exit 10")
    last.start(metadata)
    assert [cloud.result(job_id).verdict for job_id in jobs] == ["SAT"] * 3
    assert Counter(message["task_id"] for message in cloud.announcements()) == Counter(jobs)
    assert not [path for path in last.shared.iterdir() if path.name.partition(".")[0] in jobs]


def test_several_leaders_on_one_machine_share_the_queue(make_node: MakeNode, metadata: Metadata, cloud: Cloud) -> None:
    leaders = [make_node("leader", f"10.0.1.{n}") for n in (41, 42)]
    for leader in leaders:
        both = "touch ../$SATCOMP_NODE_IP.here; until [ $(ls .. | grep -c here) = 2 ]; do sleep 0.05; done"
        leader.program("solver", f"setsid sleep 60 & {both}; exit 10")
        leader.start(metadata)
        leader.await_log("ready, at")
    jobs = [cloud.send(Job(cloud.upload("a.cnf"))) for _ in range(4)]
    results = [cloud.result(job_id) for job_id in jobs]
    assert {result.verdict for result in results} == {Verdict.SAT}
    assert {result.node for result in results} == {leader.address for leader in leaders}
    assert {result.attempt for result in results} == {1}
    assert {node["nodeIp"]["S"] for node in cloud.nodes()} == {leader.address for leader in leaders}
