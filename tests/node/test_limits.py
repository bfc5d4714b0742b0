"""A node whose memory or processes run out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from satcomp_infra.jobs import Job, Verdict

from .cloud import Cloud
from .control_groups import limited
from .nodes import Metadata, Node

PYTHON = f"#!{sys.executable}\nimport os, sys\n"
FILLS_THE_TABLE = f"""{PYTHON}
import time
while True:
    try:
        if os.fork() == 0:
            time.sleep(60)
    except OSError:
        time.sleep(0.01)
"""
GREEDY = "data = b'x' * 400_000_000"


@pytest.fixture
def small_group() -> Iterator[Path]:
    """200 MiB of memory."""
    with limited("memory", ("memory.limit_in_bytes", "memory.max"), 200 * 2**20) as group:
        yield group


@pytest.fixture
def leader(make_node: Callable[..., Node], metadata: Metadata, small_group: Path) -> Iterator[Node]:
    node = make_node("leader").start(metadata)
    (small_group / "cgroup.procs").write_text(str(node.pid))
    yield node
    node.end()


def test_a_solver_that_takes_too_much_is_an_error_that_says_so(leader: Node, cloud: Cloud) -> None:
    problem = cloud.upload("a.cnf")
    for program, said in ((GREEDY, "SIGKILL"), (f"if os.fork() == 0: {GREEDY}\nos.wait()\nsys.exit(3)", "exit code 3")):
        leader.program("solver", PYTHON + program)
        result = cloud.result(cloud.send(Job(problem)))
        assert result.verdict == Verdict.ERROR
        assert result.reason.startswith("Out of memory: the kernel killed a process of the solver's, which had used up")
        assert said in result.reason
        assert 100 < result.peak_memory_mib <= 200
    leader.program("solver", "exit 10")
    result = cloud.result(cloud.send(Job(problem)))
    assert (result.verdict, result.reason) == (Verdict.SAT, "")
    assert leader.log.count("ready, at") == 1  # and the leader is the same


@pytest.mark.slow
def test_a_solver_that_starts_all_processes_that_there_can_be_does_not_cost_the_job(
    make_node: Callable[..., Node], metadata: Metadata, cloud: Cloud
) -> None:
    """There is no room for another process or thread, and the message is extended all the same."""
    with limited("pids", ("pids.max", "pids.max"), 80) as group:
        leader = make_node("leader", visibility=2, extension=0.4, kill_grace=0.5)
        leader.program("solver", FILLS_THE_TABLE)
        leader.start(metadata)
        leader.await_log("ready, at")
        (group / "cgroup.procs").write_text(str(leader.pid))
        result = cloud.result(cloud.send(Job(cloud.upload("a.cnf"), timeout_seconds=4)), within=20)
        refused = (group / "pids.events").read_text()
        leader.end()
    assert (result.verdict, result.attempt) == (Verdict.TIMEOUT, 1)
    assert refused != "max 0\n"
    assert "the message is lost" not in leader.log
