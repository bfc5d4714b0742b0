"""A node whose memory runs out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from satcomp_infra.jobs import Job, Verdict

from .cloud import Cloud
from .nodes import Metadata, Node
from .waiting import eventually

PYTHON = f"#!{sys.executable}\nimport os, sys\n"
GREEDY = "data = b'x' * 400_000_000"
VERSION_1 = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group with 200 MiB of memory, of either version; whoever may not make one skips the test."""
    limit = VERSION_1 if VERSION_1.exists() else Path("/sys/fs/cgroup/memory.max")
    group = limit.parent / f"satcomp-test-{os.getpid()}"
    if not (limit.parent / "cgroup.procs").exists():
        pytest.skip("there are no control groups that limit memory")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        if not (group / limit.name).exists():
            pytest.skip("control groups don't limit memory here")
        (group / limit.name).write_text(str(200 * 2**20))
        yield group
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text(), "the end of all in the control group")
        group.rmdir()


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
