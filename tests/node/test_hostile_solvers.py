"""Solvers that do what none should: there is a verdict, nothing is left of them, and the next job is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from satcomp_infra.jobs import Job, Verdict
from satcomp_infra.node.outputs import CAPTURED_STDOUT

from ..waiting import AT_ONCE, PATIENCE, eventually
from .cloud import Cloud
from .nodes import Metadata, Node

PYTHON = f"#!{sys.executable}\nimport os, sys, time\n"
REPORT = """echo '{"return_code": 10, "artifacts": {"stdout_path": "'$1'/stdout.log"}}' > solver_out.json; exit 10"""


@pytest.fixture(scope="module")
def leader(module_cloud: Cloud, metadata: Metadata, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("leader")
    node = Node("leader", "10.0.1.5", home, home / "shared", {"kill_grace": 0.5, "killing": PATIENCE})
    (node.competition / "secret").write_text("s UNSATISFIABLE\ndo not tell\n")
    node.program("solver", "exit 0")
    node.start(metadata)
    node.await_log("ready, at")
    yield node
    print(f"--- log:\n{node.log}")
    node.end()


@pytest.fixture
def cloud(module_cloud: Cloud) -> Cloud:
    return module_cloud


@pytest.fixture
def solve(leader: Node, cloud: Cloud) -> Callable[..., str]:
    """Runs a solver on a problem, and sees to it that nothing is left afterwards; returns the job's id."""

    def solve(program: str, timeout_seconds: int = 20) -> str:
        leader.program("solver", program)
        job_id = cloud.send(Job(cloud.upload("a.cnf"), timeout_seconds=timeout_seconds))
        cloud.result(job_id)
        eventually(lambda: not list(leader.shared.iterdir()), "an empty shared directory")
        eventually(lambda: processes_in(leader.competition) == {leader.pid}, "the end of all but the leader", AT_ONCE)
        assert "Traceback" not in leader.log
        return job_id

    return solve


def processes_in(competition: Path) -> set[int]:
    """The processes with the environment of a node."""
    mark = f"SATCOMP_COMPETITION_DIR={competition}".encode()
    found = set()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in environment.read_bytes().split(b"\0"):
                found.add(int(environment.parent.name))
    return found


@pytest.mark.parametrize(
    ("program", "verdict", "reason"),
    [
        pytest.param("exec 1>&- 2>&-; cat; read word; exit 10", "SAT", "", id="closes its outputs, reads its input"),
        pytest.param('cd /; rm -rf "$1"; exit 10', "SAT", "", id="removes its directory"),
        pytest.param('rm -rf "$1"; echo x > "$1"; exit 10', "SAT", "", id="makes a file of its directory"),
        pytest.param("mkfifo solver_out.json; exit 20", "UNSAT", "it is not a file", id="pipe as report"),
        pytest.param(f"rm {CAPTURED_STDOUT}; mkfifo {CAPTURED_STDOUT} stdout.log; {REPORT}", "SAT", "", id="pipes"),
        pytest.param(
            f"{PYTHON}open('solver_out.json', 'w').write('{{\"a\":' * 300 + '1' + '}}' * 300)\nsys.exit(20)",
            "UNSAT",
            "nested more than",
            id="deep report",
        ),
        pytest.param(
            f"{PYTHON}for _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nsys.exit(10)", "SAT", "", id="digs"
        ),
    ],
)
def test_whatever_a_solver_leaves_there_is_a_verdict(
    solve: Callable[..., str], cloud: Cloud, program: str, verdict: str, reason: str
) -> None:
    result = cloud.result(solve(program))
    assert (result.verdict, reason in result.reason) == (verdict, True), result.reason


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(f"ln -s ../../competition/secret stdout.log; {REPORT}", id="link"),
        pytest.param(
            'cd ..; mkdir ../other; cp ../competition/secret ../other/captured_stdout.log; rm -rf "$1"; '
            'ln -s ../other "$1"; exit 10',
            id="directory",
        ),
    ],
)
def test_what_lies_elsewhere_is_neither_read_nor_published(
    leader: Node, solve: Callable[..., str], cloud: Cloud, program: str
) -> None:
    job_id = solve(program)
    assert cloud.result(job_id).verdict == Verdict.SAT  # the secret says something else
    kept = [cloud.stored(job_id, name) for name in ("stdout", "stderr", CAPTURED_STDOUT)]
    assert not [text for text in kept if text and b"do not tell" in text]
    assert (leader.competition / "secret").exists()


def test_a_fork_bomb_is_put_out(solve: Callable[..., str], cloud: Cloud) -> None:
    """Processes that leave group and session, ignore SIGTERM, and are replaced by others faster than one can look."""
    job_id = solve(
        f"""{PYTHON}
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def spread(until):
    while time.monotonic() < until:
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
        else:
            os.wait()
        time.sleep(0.02)
    time.sleep(60)
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        spread(time.monotonic() + 0.12)
time.sleep(60)
""",
        timeout_seconds=1,
    )
    assert cloud.result(job_id).verdict == Verdict.TIMEOUT


def test_processes_that_flee_all_the_time_are_caught(leader: Node, solve: Callable[..., str], cloud: Cloud) -> None:
    """Thirty that make a session, fork and end, again and again: each lives for a moment only.

    They do so for twenty seconds unless they are killed, after a while more slowly: they must not fill the machine.
    """
    job_id = solve(
        f"""{PYTHON}
import gc, signal
gc.freeze()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end = time.monotonic() + 20
time.sleep(0.8)
for _ in range(30):
    if os.fork() == 0:
        steps = 0
        while time.monotonic() < end:
            os.setsid()
            if os.fork():
                os._exit(0)
            steps += 1
            if steps > 300:
                time.sleep(0.02)
        open({str(leader.competition / "survived")!r}, "w").close()
        os._exit(0)
time.sleep(60)
""",
        timeout_seconds=1,
    )
    result = cloud.result(job_id)
    assert result.verdict == Verdict.TIMEOUT
    assert "are still there" not in leader.log
    assert not (leader.competition / "survived").exists()


def test_orphans_that_have_ended_take_up_no_process_ids(solve: Callable[..., str], cloud: Cloud) -> None:
    job_id = solve(
        f"""{PYTHON}
leader = os.getppid()
def zombies():
    stats = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stats.append(open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split())
        except OSError:
            pass
    return sum(fields[0] == "Z" and int(fields[1]) == leader for fields in stats)
for _ in range(20):
    if os.fork() == 0:
        os._exit(0 if os.fork() else time.sleep(0.1) or 0)
    os.wait()
seen = 0
while (now := zombies()) or not seen:
    seen = max(now, seen)
    time.sleep(0.05)
sys.exit(10)
"""
    )
    assert cloud.result(job_id).verdict == Verdict.SAT


def test_all_processes_are_measured_together(leader: Node, solve: Callable[..., str], cloud: Cloud) -> None:
    before = time.monotonic()
    job_id = solve(
        f"""{PYTHON}
for _ in range(2):
    if os.fork() == 0:
        if os.fork():
            os._exit(0)
        os.setsid()
        data = b"x" * 150_000_000
        while time.process_time() < 0.4:
            pass
        open(f"done{{os.getpid()}}", "w").close()
        time.sleep(60)
while sum(name.startswith("done") for name in os.listdir()) < 2:
    time.sleep(0.05)
time.sleep(2.5)
sys.exit(10)
"""
    )
    result = cloud.result(job_id)
    assert 0.8 <= result.cpu_seconds <= 2 * (time.monotonic() - before)
    assert 286 <= result.peak_memory_mib <= 400
    assert result.wall_seconds > 1
    small = cloud.result(solve("exit 10"))
    assert small.cpu_seconds < 0.5
    assert small.peak_memory_mib < 150  # not the one before's


def test_the_kernel_is_told_whom_to_kill_first(leader: Node, solve: Callable[..., str], cloud: Cloud) -> None:
    job_id = solve("cat /proc/self/oom_score_adj; ulimit -c; exit 10")
    assert cloud.stored(job_id, "stdout") == b"1000\n0\n"
    assert Path(f"/proc/{leader.pid}/oom_score_adj").read_text() == Path("/proc/self/oom_score_adj").read_text()
