"""Leaders that are stopped, die, or can't reach AWS: the job goes back to the queue, and has one result in the end."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.session import get_session

from satcomp_infra.jobs import Job, Result, Verdict, result_key
from satcomp_infra.node.lease import Lease, LeaseLost
from satcomp_infra.node.log import JobLog
from satcomp_infra.node.settings import Timing
from satcomp_infra.node.stop import Stop

from ..waiting import AT_ONCE, PATIENCE, eventually
from .cloud import BUCKET, Cloud
from .nodes import Metadata, Node

MakeNode = Callable[..., Node]
ADDRESS = "10.0.1.5"


@pytest.fixture
def leader(make_node: MakeNode, metadata: Metadata) -> Node:
    node = make_node("leader", ADDRESS, retry=0, kill_grace=60)
    node.program("solver", "echo $$ > $SATCOMP_COMPETITION_DIR/pid; sleep 60")
    return node.start(metadata)


def running_solver(leader: Node) -> int:
    file = leader.competition / "pid"
    return int(eventually(lambda: file.exists() and file.read_text(), "a running solver"))


def test_a_stop_while_solving_gives_the_job_back_at_once(leader: Node, cloud: Cloud) -> None:
    cloud.register_worker("10.0.1.6", age=-60)
    job_id = cloud.send(Job(cloud.upload("a.cnf"), num_workers=1))
    pid = running_solver(leader)
    before = cloud.notifications()
    asked = time.monotonic()
    leader.signal(signal.SIGTERM)
    assert leader.wait() == 0
    assert time.monotonic() - asked < AT_ONCE
    assert not Path(f"/proc/{pid}").exists()
    assert cloud.waiting() == 1
    assert cloud.stored(job_id) is None
    assert cloud.notifications() != before  # the workers know that this is over
    assert cloud.status(ADDRESS) == ""
    assert not list(leader.shared.iterdir())
    assert "asked to stop by SIGTERM" in leader.log
    assert "Traceback" not in leader.log


def test_a_solver_that_ignores_sigterm_does_not_delay_a_stop(leader: Node, cloud: Cloud) -> None:
    leader.program("solver", "trap '' TERM; echo $$ > $SATCOMP_COMPETITION_DIR/pid; while :; do sleep 1; done")
    cloud.send(Job(cloud.upload("a.cnf")))
    running_solver(leader)
    asked = time.monotonic()
    leader.signal(signal.SIGINT)
    assert leader.wait() == 0
    assert time.monotonic() - asked < AT_ONCE
    assert cloud.waiting() == 1


def test_a_stop_while_waiting_for_workers_gives_the_job_back(leader: Node, cloud: Cloud) -> None:
    job_id = cloud.send(Job(cloud.upload("a.cnf"), num_workers=4))
    leader.await_log(job_id)
    leader.signal()
    assert leader.wait() == 0
    assert cloud.waiting() == 1


def test_an_idle_leader_stops_after_its_poll_and_takes_its_leave(leader: Node, cloud: Cloud) -> None:
    eventually(lambda: cloud.status(ADDRESS) == "READY", "a registered leader")
    leader.signal()
    assert leader.wait() == 0
    assert cloud.nodes() == []


def test_the_job_of_a_killed_leader_is_done_by_the_next(
    leader: Node, make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    pid = running_solver(leader)
    leader.signal(signal.SIGKILL)
    leader.wait()
    leftover = leader.directory(job_id) / "leftover"
    leftover.touch()
    assert cloud.waiting() == 0
    cloud.expire()
    second = make_node("leader", "10.0.1.7")
    second.program("solver", "[ -e leftover ] && exit 1; exit 20")
    second.start(metadata)
    result = cloud.result(job_id)
    assert (result.verdict, result.attempt, result.node) == (Verdict.UNSAT, 2, "10.0.1.7")
    os.kill(pid, signal.SIGKILL)  # in a container, it would have gone with its leader


def test_a_job_that_has_a_result_is_announced_again_and_not_solved(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    job = Job(cloud.upload("a.cnf"))
    job_id = cloud.send(job)
    earlier = Result(job_id, Verdict.SAT, str(job.problem), return_code=10, node="10.0.1.1")
    cloud.s3.put_object(Bucket=BUCKET, Key=result_key(job_id), Body=earlier.to_json().encode())
    cloud.sqs.receive_message(QueueUrl=cloud.jobs, VisibilityTimeout=0)
    leader = make_node("leader")
    leader.program("solver", "exit 20")
    leader.start(metadata)
    assert cloud.result(job_id) == earlier
    assert [message["verdict"] for message in cloud.announcements()] == ["SAT"]


def test_a_job_that_runs_twice_has_one_result(leader: Node, cloud: Cloud) -> None:
    """The lease was lost, and another leader was quicker: what is stored first is the truth."""
    leader.program("solver", "echo $$ > $SATCOMP_COMPETITION_DIR/pid; while ! [ -e go ]; do sleep 0.02; done; exit 10")
    job = Job(cloud.upload("a.cnf"))
    job_id = cloud.send(job)
    running_solver(leader)
    earlier = Result(job_id, Verdict.UNSAT, str(job.problem), return_code=20, node="10.0.1.1")
    cloud.s3.put_object(Bucket=BUCKET, Key=result_key(job_id), Body=earlier.to_json().encode())
    (leader.directory(job_id) / "go").touch()
    assert cloud.result(job_id) == earlier
    assert [message["verdict"] for message in cloud.announcements()] == ["UNSAT"]


def test_a_job_whose_result_can_not_be_stored_comes_back_and_ends_in_the_dead_letter_queue(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    cloud.offer(times=3)
    leader = make_node("leader", retry=0)
    leader.program("solver", "echo run >> $SATCOMP_COMPETITION_DIR/runs")
    leader.start(metadata, SATCOMP_BUCKET_NAME="a-bucket-that-is-gone")
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    eventually(lambda: cloud.waiting(cloud.failed) == 1, "the message in the dead-letter queue")
    # The first attempt fails at storing its result, the others at looking whether there is one.
    assert (leader.competition / "runs").read_text() == "run\n"
    assert leader.log.count(f"job={job_id} given back: ") == 3
    assert "NoSuchBucket" in leader.log
    assert "Traceback" not in leader.log
    assert cloud.announcements() == []


def test_what_nobody_has_thought_of_does_not_end_the_leader(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    cloud.offer(times=3)
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    cloud.s3.put_object(Bucket=BUCKET, Key=result_key(job_id), Body=b"not what a leader has written")
    cloud.sqs.receive_message(QueueUrl=cloud.jobs, VisibilityTimeout=0)
    leader = make_node("leader", retry=0)
    leader.program("solver", "exit 10")
    leader.start(metadata)
    eventually(lambda: cloud.waiting(cloud.failed) == 1, "the message in the dead-letter queue")
    odd = [line for line in leader.log.splitlines() if "Traceback" in line]
    assert len(odd) == 2
    assert all(f"job={job_id} given back: this should not have happened | Traceback" in line for line in odd)
    assert cloud.result(cloud.send(Job(cloud.upload("a.cnf")))).verdict == Verdict.SAT


def test_a_leader_that_can_not_kill_what_it_started_ends_itself(
    make_node: MakeNode, cloud: Cloud, metadata: Metadata
) -> None:
    """What hangs in the kernel goes only with the container. Here, killing just has no time to succeed."""
    leader = make_node("leader", "10.0.1.9", killing=0)
    leader.program("solver", "setsid sleep 60 & exit 10")
    leader.start(metadata)
    result = cloud.result(cloud.send(Job(cloud.upload("a.cnf"))))
    assert result.verdict == Verdict.SAT
    assert leader.wait() == 1
    assert "are still there after 0 s" in leader.log
    assert leader.log.splitlines()[-1].endswith("ends with the container.")


def test_a_lease_hides_the_message_for_as_long_as_it_lasts(cloud: Cloud) -> None:
    cloud.send("a job")
    (message,) = cloud.sqs.receive_message(QueueUrl=cloud.jobs, VisibilityTimeout=5)["Messages"]
    with Lease(cloud.sqs, cloud.jobs, message["ReceiptHandle"], JobLog("id"), Timing(extension=0.05)) as lease:
        eventually(lambda: cloud.hidden_for() > 20, "an extension")
        lease.give_back()
        assert cloud.waiting() == 1


def test_a_lost_message_is_logged_and_not_asked_for_again(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    cloud.send("a job")
    (message,) = cloud.sqs.receive_message(QueueUrl=cloud.jobs, VisibilityTimeout=5)["Messages"]
    cloud.sqs.delete_message(QueueUrl=cloud.jobs, ReceiptHandle=message["ReceiptHandle"])
    with Lease(cloud.sqs, cloud.jobs, message["ReceiptHandle"], JobLog("id"), Timing(extension=0.01)) as lease:
        eventually(lambda: "the message is lost" in caplog.text, "a line in the log")
        assert len(caplog.records) == 1
        lease.delete()  # and this is no error


def test_a_message_that_can_not_be_extended_in_time_is_lost(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    """AWS takes the requests, but never answers."""
    silent = socket.create_server(("127.0.0.1", 0))
    sqs = get_session().create_client("sqs", endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
    stop = Stop()
    with Lease(sqs, "http://x/1/q", "receipt", JobLog("id"), Timing(extension=0.05, visibility=1), stop) as lease:
        assert stop.wait(PATIENCE)
        with pytest.raises(LeaseLost):
            lease.check()
        (line,) = caplog.messages
        assert line.endswith("the message is lost and another leader may have it: it could not be extended for 1 s")
    silent.close()


def test_a_message_is_extended_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver has started as many processes as there can be."""
    extended, sqs, stop = [], SimpleNamespace(), Stop()
    sqs.change_message_visibility = lambda **request: extended.append(request)
    with Lease(sqs, "queue", "receipt", JobLog("id"), Timing(extension=0.01), stop):  # type: ignore[arg-type]
        monkeypatch.setattr(threading.Thread, "start", lambda _: 1 / 0)
        eventually(lambda: len(extended) > 2 or stop.is_set(), "three extensions")
    assert not stop.is_set()


@pytest.mark.slow
def test_a_leader_whose_job_was_taken_breaks_it_off_and_stores_nothing(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    """It was stopped for longer than the message stays hidden; what its solver has left meanwhile spoils nothing."""
    timing = {"visibility": 4, "extension": 0.3, "retry": 0}
    first, second = make_node("leader", ADDRESS, **timing), make_node("leader", "10.0.1.7", **timing)
    first.program("solver", "touch $SATCOMP_COMPETITION_DIR/pid; while [ ! -e go ]; do sleep 0.05; done; sleep 60")
    second.program("solver", "touch $SATCOMP_COMPETITION_DIR/pid; while [ ! -e go ]; do sleep 0.05; done; exit 10")
    first.start(metadata)
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    eventually((first.competition / "pid").exists, "a running solver")
    directory = first.directory(job_id)
    first.signal(signal.SIGSTOP)
    second.start(metadata)
    eventually((second.competition / "pid").exists, "a second running solver")
    first.signal(signal.SIGCONT)
    first.await_log(f"job={job_id} broken off, for the message is lost")
    eventually(lambda: not directory.exists(), "the first one's directory is gone")
    (second.directory(job_id) / "go").touch()
    result = cloud.result(job_id)
    assert (result.verdict, result.attempt, result.node) == (Verdict.SAT, 2, "10.0.1.7")
    assert len(cloud.announcements()) == 1
    assert len([line for line in first.log.splitlines() if job_id in line]) == 3  # received, starts, broken off


@pytest.mark.slow
def test_what_dead_attempts_have_left_is_removed_and_nothing_else(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud
) -> None:
    leader, other = make_node("leader", ADDRESS, abandoned=3), make_node("leader", "10.0.1.7", abandoned=3)
    names = {"dead": f"{uuid.uuid4()}.0123abcd", "fresh": f"{uuid.uuid4()}.0123abcd", "the team's": "portfolio"}
    paths = {what: leader.shared / name for what, name in names.items()}
    for what, path in paths.items():
        path.mkdir()
        (path / "file").touch()
        os.utime(path, (0, 0) if what != "fresh" else None)
    leader.program("solver", "touch $SATCOMP_COMPETITION_DIR/pid; sleep 60")
    leader.start(metadata)
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    running_solver_at = leader.competition / "pid"
    eventually(running_solver_at.exists, "a running solver")
    in_use = leader.directory(job_id)
    os.utime(paths["fresh"], (time.time() + 60,) * 2)
    other.program("solver", "exit 0")
    other.start(metadata)
    eventually(lambda: not paths["dead"].exists(), "the dead attempt's directory is gone")
    time.sleep(max(0.0, 4.5 - (time.time() - in_use.stat().st_ctime)))
    assert other.log.count("an attempt has left that was killed") == 1
    assert in_use.exists()
    assert paths["fresh"].exists()
    assert paths["the team's"].exists()


def test_a_node_without_its_environment_says_what_is_missing(make_node: MakeNode, metadata: Metadata) -> None:
    leader = make_node("leader")
    leader.start(metadata, SATCOMP_BUCKET_NAME="", SQS_QUEUE_NAME="")
    assert leader.wait() == 1
    (line,) = leader.log.splitlines()
    assert "SQS_QUEUE_NAME and SATCOMP_BUCKET_NAME" in line


def test_a_leader_without_its_queue_says_so(make_node: MakeNode, metadata: Metadata) -> None:
    leader = make_node("leader")
    leader.start(metadata, SQS_QUEUE_NAME="no-such-queue")
    assert leader.wait() == 1
    (line,) = leader.log.splitlines()
    assert "GetQueueUrl failed" in line
