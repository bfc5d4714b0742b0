"""Workers that are lost while a job needs them: that is noticed, and the job is done again, or says which it was."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from botocore.exceptions import ClientError

from satcomp_infra.jobs import Job, Verdict
from satcomp_infra.node.crew import Crew, CrewLost, Crews
from satcomp_infra.node.log import LOG
from satcomp_infra.node.stop import Stop

from ..waiting import AT_ONCE, PATIENCE, eventually
from .cloud import Cloud
from .nodes import Metadata, Node

MakeNode = Callable[..., Node]
LEADER, WORKER = "10.0.1.5", "10.0.1.6"
SILENT = """
say() { echo "{\\"status\\": \\"$1\\", \\"timestamp\\": $(date +%s)}" > worker_node_status.json; }
while :; do say READY; sleep 0.2; done"""


@pytest.fixture
def leader(make_node: MakeNode, metadata: Metadata) -> Node:
    node = make_node("leader", LEADER, retry=0, workers=PATIENCE)
    node.program("solver", "touch $SATCOMP_COMPETITION_DIR/running; sleep 60")
    return node.start(metadata)


@pytest.fixture
def gathered(cloud: Cloud) -> Iterator[tuple[Crew, dict[str, str]]]:
    """A crew of one worker, and what that one says of itself."""
    crews = Crews(cloud.dynamodb, cloud.dynamodb, LEADER, "id of the leader", PATIENCE)
    with cloud.beating_worker(WORKER) as says:
        done: Future[None] = Future()
        done.set_result(None)
        yield crews.gather(1, done, Stop()), says


def await_solver(leader: Node) -> None:
    running = leader.competition / "running"
    eventually(running.exists, "a running solver")
    running.unlink()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_noticed_soon_and_the_job_is_done_again(
    leader: Node, make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    workers = [make_node("worker", address, leader=0.1) for address in (WORKER, "10.0.1.7")]
    for worker in workers:
        worker.program("worker", SILENT)
    workers[0].start(metadata)
    job_id = cloud.send(Job(cloud.upload("a.cnf"), num_workers=1))
    await_solver(leader)
    workers[0].signal(signal.SIGKILL)
    killed = time.monotonic()
    leader.program("solver", "exit 10")
    leader.await_log(f"job={job_id} given back: The worker {WORKER} was lost: it has not been heard of for ")
    assert time.monotonic() - killed < AT_ONCE
    workers[1].start(metadata)
    result = cloud.result(job_id)
    assert (result.verdict, result.attempt, result.workers) == (Verdict.SAT, 2, ("10.0.1.7",))


@pytest.mark.slow
def test_on_the_last_attempt_the_result_says_which_worker_was_lost(leader: Node, cloud: Cloud) -> None:
    job_id = cloud.send(Job(cloud.upload("a.cnf"), num_workers=1))
    leader.program("solver", "echo so far; touch $SATCOMP_COMPETITION_DIR/running; sleep 60")
    with cloud.beating_worker(WORKER) as says:
        for attempt in (1, 2, 3):
            await_solver(leader)
            says["status"] = "ERROR"
            eventually(lambda: leader.log.count("The worker") == attempt, "the end of the attempt")  # noqa: B023
            says["status"] = "READY"
    result = cloud.result(job_id)
    assert result.verdict == Verdict.ERROR
    assert result.reason == (
        f"The worker {WORKER} was lost: its worker program has failed or hangs. "
        "It was the last of 3 attempts at this job."
    )
    assert (result.workers, result.attempt) == ((WORKER,), 3)
    assert result.wall_seconds > 0
    assert cloud.stored(job_id, "stdout") == b"so far\n"
    assert cloud.waiting(cloud.failed) == 0
    assert "Traceback" not in leader.log


def lost(crew: Crew) -> str:
    stop = Stop()
    with crew.watched(stop, LOG):
        assert stop.wait(PATIENCE)
    assert isinstance(stop.reason, CrewLost)
    return str(stop.reason)


def test_a_worker_that_leaves_is_lost(gathered: tuple[Crew, dict[str, str]], cloud: Cloud) -> None:
    crew, says = gathered
    says["nodeId"] = "another one's"
    says["nodeIp"] = "10.0.1.99"
    cloud.dynamodb.delete_item(TableName="SatCompNodeManifest", Key={"nodeId": {"S": f"id of {WORKER}"}})
    assert lost(crew) == f"The worker {WORKER} was lost: it has left the cluster."


def test_a_worker_that_was_started_anew_is_not_the_one_that_was_taken(
    gathered: tuple[Crew, dict[str, str]], cloud: Cloud
) -> None:
    with cloud.beating_worker(WORKER, "the next one"):
        assert lost(gathered[0]) == f"The worker {WORKER} was lost: it was started anew."


def test_a_failure_counts_only_if_the_workers_are_still_there(gathered: tuple[Crew, dict[str, str]]) -> None:
    crew, says = gathered
    crew.confirm(Stop())
    says["status"] = "ERROR"
    with pytest.raises(CrewLost, match="its worker program has failed"):
        crew.confirm(Stop())


def test_a_register_that_can_not_be_read_is_no_death(
    gathered: tuple[Crew, dict[str, str]],
    cloud: Cloud,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crew, _ = gathered
    throttled = ClientError({"Error": {"Code": "ThrottlingException"}}, "Scan")

    class Broken:
        def get_paginator(self, _: str) -> None:
            raise throttled

    assert crew._crews
    monkeypatch.setattr(crew._crews, "_brisk", Broken())
    stop = Stop()
    with caplog.at_level("WARNING", LOG.name), crew.watched(stop, LOG):
        eventually(lambda: "the workers can't be watched: Scan failed" in caplog.text, "a line in the log")
        assert not stop.is_set()
