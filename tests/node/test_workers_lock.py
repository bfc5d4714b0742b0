"""Several leaders and the same workers: one leader at a time uses them."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from botocore.exceptions import ClientError

from satcomp_infra.jobs import Job
from satcomp_infra.node import manifest
from satcomp_infra.node.background import background
from satcomp_infra.node.crew import Crew, Crews, CrewTaken
from satcomp_infra.node.log import LOG
from satcomp_infra.node.stop import Stop, Stopped

from ..waiting import PATIENCE, eventually
from .cloud import Cloud
from .nodes import Metadata, Node

FIRST, SECOND, WORKER = "10.0.1.5", "10.0.1.55", "10.0.1.6"


def crews_of(cloud: Cloud, address: str) -> Crews:
    return Crews(cloud.dynamodb, cloud.dynamodb, address, f"id of {address}", patience=PATIENCE)


def gathering(crews: Crews, stop: Stop | None = None) -> Future[Crew]:
    problem: Future[None] = Future()
    problem.set_result(None)
    return background(crews.gather, 1, problem, stop or Stop())


def waits(gathering: Future[Crew]) -> bool:
    time.sleep(0.3)
    return not gathering.done()


def say(cloud: Cloud, address: str, kind: str, **attributes: Any) -> None:
    item = {"nodeId": f"id of {address}", "nodeIp": address, "status": "READY", "nodeType": kind}
    manifest.put(cloud.dynamodb, {**item, "lastModified": int(time.time()) + 60, **attributes})


def test_the_workers_of_a_leader_are_no_others_until_its_job_has_ended(cloud: Cloud) -> None:
    cloud.register_worker(WORKER, age=-60)
    crew = gathering(crews_of(cloud, FIRST)).result(PATIENCE)
    assert crew.addresses == (WORKER,)
    second = gathering(crews_of(cloud, SECOND))
    assert waits(second)
    crew.release(LOG)
    assert second.result(PATIENCE).addresses == (WORKER,)
    assert set(cloud.notifications()) == {FIRST, SECOND}


def test_after_another_leader_workers_are_used_when_they_have_cleaned_up(cloud: Cloud) -> None:
    say(cloud, WORKER, "WORKER")
    first, second = crews_of(cloud, FIRST), crews_of(cloud, SECOND)
    gathering(second).result(PATIENCE).release(LOG)
    own = cloud.notifications()[SECOND]
    say(cloud, WORKER, "WORKER", lastCleanup={SECOND: own})
    gathering(second).result(PATIENCE).release(LOG)  # nobody was here meanwhile
    say(cloud, WORKER, "WORKER")
    gathering(first).result(PATIENCE).release(LOG)
    own = cloud.notifications()[SECOND]
    say(cloud, WORKER, "WORKER", lastCleanup={SECOND: own, FIRST: cloud.notifications()[FIRST]})
    third = gathering(second)
    eventually(lambda: cloud.notifications()[SECOND] != own, "another cleanup")
    assert waits(third)
    say(cloud, WORKER, "WORKER", lastCleanup={SECOND: cloud.notifications()[SECOND]})
    assert third.result(PATIENCE)


def test_a_leader_that_starts_leaves_alone_what_runs_for_another(cloud: Cloud) -> None:
    cloud.register_worker(WORKER, age=-60)
    crew = gathering(crews_of(cloud, FIRST)).result(PATIENCE)
    crews_of(cloud, SECOND).begin()
    assert set(cloud.notifications()) == {FIRST}
    crew.release(LOG)
    crews_of(cloud, SECOND).begin()
    assert set(cloud.notifications()) == {FIRST, SECOND}
    assert cloud.lock()["status"] == {"S": "READY"}


def test_whoever_gives_up_waiting_for_workers_does_not_keep_them(cloud: Cloud) -> None:
    stop, crews = Stop(), crews_of(cloud, FIRST)
    first = gathering(crews, stop)
    assert waits(first)  # there is no worker
    stop.set()
    with pytest.raises(Stopped):
        first.result(PATIENCE)
    crews.leave(LOG)
    cloud.register_worker(WORKER, age=-60)
    assert gathering(crews_of(cloud, SECOND)).result(PATIENCE)


def test_a_restarted_leader_has_its_predecessors_workers_at_once(cloud: Cloud) -> None:
    cloud.register_worker(WORKER, age=-60)
    gathering(crews_of(cloud, FIRST)).result(PATIENCE)
    again = Crews(cloud.dynamodb, cloud.dynamodb, FIRST, "another id", patience=PATIENCE)
    assert gathering(again).result(PATIENCE)


def test_workers_that_could_not_be_left_to_others_are_left_later(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.register_worker(WORKER, age=-60)
    crews = crews_of(cloud, FIRST)
    crew = gathering(crews).result(PATIENCE)

    def throttle(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem")

    events = cloud.dynamodb.meta.events
    events.register("before-call.dynamodb.PutItem", throttle)
    try:
        crew.release(LOG)
    finally:
        events.unregister("before-call.dynamodb.PutItem", throttle)
    assert "the workers can't be left to other leaders: PutItem failed: ThrottlingException" in caplog.text
    assert cloud.lock()["status"] == {"S": "BUSY"}
    crews.settle()
    assert cloud.lock()["status"] == {"S": "READY"}


def test_the_lock_is_no_node(cloud: Cloud) -> None:
    cloud.register_worker(WORKER, age=-60)
    gathering(crews_of(cloud, FIRST)).result(PATIENCE)
    assert [node.address for node in manifest.nodes(cloud.dynamodb)] == [WORKER]
    assert {"nodeId", "nodeIp", "status", "nodeType", "lastModified"} <= set(cloud.lock())


@pytest.mark.slow
def test_the_workers_of_a_dead_leader_are_taken_and_those_of_a_living_one_are_not(cloud: Cloud) -> None:
    cloud.register_worker(WORKER, age=-60)
    crew = gathering(crews_of(cloud, FIRST)).result(PATIENCE)
    second = gathering(crews_of(cloud, SECOND))
    begun = time.monotonic()
    while time.monotonic() < begun + 5.5:
        say(cloud, FIRST, "LEADER", lastModified=int(time.time()) - 1000)  # its clock is far behind
        time.sleep(0.2)
    assert not second.done()
    assert second.result(PATIENCE).addresses == (WORKER,)
    told = cloud.notifications()
    stop = Stop()
    with crew.watched(stop, LOG):
        assert stop.wait(PATIENCE)
    assert isinstance(stop.reason, CrewTaken)
    assert str(stop.reason).endswith(f"it is the one at {SECOND}.")
    crew.release(LOG)
    assert cloud.notifications() == told  # the first one doesn't end what runs there for the second
    assert cloud.lock()["holder"] == {"S": f"id of {SECOND}"}


@pytest.mark.slow
def test_jobs_of_two_leaders_do_not_meet_on_the_workers(
    make_node: Callable[..., Node], metadata: Metadata, cloud: Cloud
) -> None:
    leaders = [make_node("leader", address) for address in (FIRST, SECOND)]
    for leader in leaders:
        alone = "mkdir ../in-use || exit 1; until [ -e ../go ]; do sleep 0.05; done; rmdir ../in-use"
        leader.program("solver", f"{alone}; exit 10")
        leader.start(metadata)
        leader.await_log("ready, at")
    with cloud.beating_worker(WORKER):
        jobs = [cloud.send(Job(cloud.upload("a.cnf"), num_workers=1)) for _ in range(4)]
        for leader in leaders:
            leader.await_log("received")
        (leader.shared / "go").touch()
        results = [cloud.result(job_id) for job_id in jobs]
    assert [(result.verdict, result.attempt, result.workers) for result in results] == [("SAT", 1, (WORKER,))] * 4
    assert {result.node for result in results} == {FIRST, SECOND}
