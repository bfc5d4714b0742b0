"""Worker nodes: real processes, with the worker programs that teams write, good and bad."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from satcomp_infra.node.manifest import NodeStatus
from satcomp_infra.node.showing import MOST_LINES
from satcomp_infra.node.worker_status import WorkerStatus

from ..waiting import AT_ONCE, eventually
from .cloud import Cloud
from .nodes import Metadata, Node

MakeNode = Callable[..., Node]
ADDRESS = "10.0.1.6"
SAYS = """
say() { echo "{\\"status\\": \\"$1\\", \\"timestamp\\": $(date +%s)}" > worker_node_status.json; }
"""
GOOD = f"{SAYS}while :; do say READY; sleep 0.1; done"


@pytest.fixture
def worker(make_node: MakeNode) -> Node:
    node = make_node("worker", ADDRESS, leader=0.1, kill_grace=60)
    node.program("worker", GOOD)
    return node


def item(cloud: Cloud) -> dict[str, Any]:
    (found,) = [node for node in cloud.nodes() if node["nodeIp"]["S"] == ADDRESS]
    return found


def cleaned(cloud: Cloud, leader: str = "10.0.1.5") -> str:
    return str(item(cloud)["lastCleanup"]["M"].get(leader, {}).get("S", ""))


def await_status(cloud: Cloud, status: str) -> None:
    eventually(lambda: cloud.status(ADDRESS) == status, f"a worker that is {status}")


def test_what_the_program_says_is_what_the_manifest_says(worker: Node, cloud: Cloud, metadata: Metadata) -> None:
    cloud.register_worker(ADDRESS, age=100)  # was killed, as was the one at another address
    cloud.register_worker("10.0.1.99", age=100)
    worker.program("worker", f"env > environment; pwd > where; {SAYS}while :; do say $(cat status); sleep 0.1; done")
    said = worker.competition / "status"
    said.write_text("BUSY")
    worker.start(metadata)
    for status in ("READY", "ERROR", "BUSY"):
        said.write_text(status)
        await_status(cloud, status)
    found = item(cloud)  # the only one with this address: its predecessor's is gone
    assert found["nodeType"] == {"S": "WORKER"}
    assert found["instanceId"] == {"S": f"i-{ADDRESS}"}
    assert set(found["lastModified"]) == {"N"}
    assert len(cloud.nodes()) == 2
    assert (worker.competition / "where").read_text().strip() == str(worker.competition)
    assert f"SATCOMP_NODE_IP={ADDRESS}\n" in (worker.competition / "environment").read_text()


def test_a_program_that_falls_silent_is_an_error(worker: Node, cloud: Cloud, metadata: Metadata) -> None:
    worker.program(
        "worker",
        'echo "{\\"status\\": \\"READY\\", \\"timestamp\\": $(($(date +%s) - 3))}" > worker_node_status.json; sleep 60',
    )
    worker.start(metadata)
    await_status(cloud, "READY")
    await_status(cloud, "ERROR")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\xff",
        '{"status": "READY"}',
        '{"status": "ASLEEP", "timestamp": NOW}',
        '{"status": "READY", "timestamp": 1e999}',
        '{"status": "READY", "timestamp": NOW000}',  # milliseconds: would never be too old
        '{"status": "READY", "timestamp": "soon"}',
        "[" * 10_000,
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_status_changes_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "status.json"
    path.write_text(text.replace("NOW", str(int(time.time()))))
    assert WorkerStatus(path).read() == NodeStatus.BUSY


def test_a_pipe_or_a_device_is_no_status_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "device", ".", "missing"):
        assert WorkerStatus(tmp_path / name).read() == NodeStatus.BUSY


def test_a_status_that_an_earlier_program_left_is_none(worker: Node, cloud: Cloud, metadata: Metadata) -> None:
    left = {"status": "READY", "timestamp": time.time() - 60}
    (worker.competition / "worker_node_status.json").write_text(json.dumps(left))
    worker.program("worker", "touch started; sleep 60")
    worker.start(metadata)
    eventually((worker.competition / "started").exists, "the worker program")
    await_status(cloud, "BUSY")


@pytest.mark.parametrize(
    ("text", "reason"), [("exit 3", "ended with exit code 3"), ("kill -SEGV $$", "was killed by SIGSEGV")]
)
def test_a_program_that_ends_ends_the_node_as_failed(
    worker: Node, cloud: Cloud, metadata: Metadata, text: str, reason: str
) -> None:
    worker.program("worker", f"sleep 60 & echo $! > stray; {text}")
    worker.start(metadata)
    assert worker.wait() == 1
    assert cloud.status(ADDRESS) == "ERROR"
    assert reason in worker.log.splitlines()[-1]
    assert "Traceback" not in worker.log
    assert not Path(f"/proc/{(worker.competition / 'stray').read_text().strip()}").exists()


def test_a_missing_program_is_one_sentence(worker: Node, cloud: Cloud, metadata: Metadata) -> None:
    (worker.competition / "worker").unlink()
    worker.start(metadata)
    assert worker.wait() == 1
    (line,) = worker.log.splitlines()
    assert f"There is no program {worker.competition}/worker" in line


def test_a_stop_ends_the_program_and_all_it_started_and_the_registration(
    worker: Node, cloud: Cloud, metadata: Metadata
) -> None:
    worker.program("worker", f"trap '' TERM; setsid sleep 60 & echo $! > stray; {GOOD}")
    worker.start(metadata)
    await_status(cloud, "READY")
    asked = time.monotonic()
    worker.signal()
    assert worker.wait() == 0
    assert time.monotonic() - asked < AT_ONCE
    assert cloud.nodes() == []
    assert not Path(f"/proc/{(worker.competition / 'stray').read_text().strip()}").exists()


def test_the_end_of_a_job_is_cleaned_up_for_and_that_is_said(worker: Node, cloud: Cloud, metadata: Metadata) -> None:
    worker.program("cleanup", "echo cleaned >> cleanups; while ! [ -e go ]; do sleep 0.02; done")
    cloud.notify("10.0.1.5", "before this worker was there")
    worker.start(metadata)
    await_status(cloud, "READY")
    assert cleaned(cloud) == "before this worker was there"
    cloud.notify("10.0.1.5", "now")
    await_status(cloud, "BUSY")
    assert cleaned(cloud) == "before this worker was there"
    (worker.competition / "go").touch()
    await_status(cloud, "READY")
    assert cleaned(cloud) == "now"
    cloud.notify("10.0.1.55", "another leader")
    eventually(lambda: cleaned(cloud, "10.0.1.55") == "another leader", "another cleanup")
    assert (worker.competition / "cleanups").read_text() == "cleaned\n" * 2
    (worker.competition / "cleanup").unlink()  # nothing to run is nothing to clean up
    cloud.notify("10.0.1.5", "last")
    eventually(lambda: cleaned(cloud) == "last", "the notification is seen")


def test_what_the_programs_print_is_in_the_log_within_bounds(worker: Node, cloud: Cloud, metadata: Metadata) -> None:
    worker.program("worker", f"echo working; echo careful >&2; {GOOD}")
    worker.program("cleanup", f"seq {2 * MOST_LINES}")
    worker.start(metadata, SATCOMP_LOG_FORMAT="json")
    await_status(cloud, "READY")
    cloud.notify("10.0.1.5", "now")
    worker.await_log("no more of what is printed is shown for the rest of this minute")
    worker.signal()
    assert worker.wait() == 0
    lines = [json.loads(line) for line in worker.log.splitlines()]
    shown = [(line["stream"], line["message"]) for line in lines if "stream" in line]
    assert set(shown[:2]) == {("stdout", "working"), ("stderr", "careful")}
    assert shown[2:] == [("stdout", str(number)) for number in range(1, MOST_LINES - 1)]


def test_the_last_words_of_a_program_that_ends_are_in_the_log(worker: Node, cloud: Cloud, metadata: Metadata) -> None:
    worker.program("worker", "printf 'no such library' >&2; exit 1")
    worker.start(metadata)
    assert worker.wait() == 1
    assert worker.log.splitlines()[-2].endswith(" worker stderr: no such library")


def test_a_cleanup_that_takes_too_long_is_killed(make_node: MakeNode, cloud: Cloud, metadata: Metadata) -> None:
    worker = make_node("worker", ADDRESS, leader=0.1, cleanup=0.3)
    worker.program("worker", GOOD)
    worker.program("cleanup", "trap '' TERM; sleep 60")
    worker.start(metadata)
    await_status(cloud, "READY")
    cloud.notify("10.0.1.5", "now")
    eventually(lambda: cleaned(cloud) == "now", "the end of the cleanup")
    assert f"{worker.competition}/cleanup was killed: it had not ended after 0.3 s" in worker.log
    await_status(cloud, "READY")


def test_the_program_starts_when_the_leaders_address_is_there(
    make_node: MakeNode, cloud: Cloud, metadata: Metadata
) -> None:
    worker = make_node("worker", ADDRESS, leader=30)
    worker.program("worker", f"cp leader_node_status.json seen.json; {GOOD}")
    worker.start(metadata)
    await_status(cloud, "BUSY")
    leader = make_node("leader", "10.0.1.5")
    leader.program("solver", "exit 0")
    leader.start(metadata)
    await_status(cloud, "READY")
    seen = json.loads((worker.competition / "seen.json").read_text())
    assert (seen["nodeIp"], seen["nodeType"]) == ("10.0.1.5", "LEADER")
    assert isinstance(seen["lastModified"], int)
