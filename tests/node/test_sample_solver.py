"""The sample solver: a Kissat portfolio on one machine, and on a leader and its worker, with the real runtime."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from satcomp_infra.jobs import Job, Verdict

from ..waiting import eventually
from .cloud import Cloud
from .nodes import CLONE, Metadata, Node

SAMPLE = CLONE / "docker" / "sample-solver"
KISSAT = shutil.which("kissat") or str(next(Path(sys.prefix).glob("lib/*/site-packages/sage_wheels/bin/kissat")))
RUN_KISSAT = f'exec {KISSAT} "$@"'
LEADER, WORKER = "10.0.1.5", "10.0.1.6"
Clauses = list[list[int]]


def pigeons(count: int, holes: int) -> Clauses:
    """Each pigeon has a hole, no two have the same: satisfiable for as many holes as pigeons."""
    each = [[pigeon * holes + hole + 1 for hole in range(holes)] for pigeon in range(count)]
    return each + [[-a[hole], -b[hole]] for a, b in combinations(each, 2) for hole in range(holes)]


def dimacs(clauses: Clauses) -> bytes:
    variables = max(abs(literal) for clause in clauses for literal in clause)
    lines = [f"p cnf {variables} {len(clauses)}", *(" ".join(map(str, [*clause, 0])) for clause in clauses)]
    return "\n".join(lines).encode() + b"\n"


def satisfies(output: str, clauses: Clauses) -> bool:
    values = {int(word) for line in output.splitlines() if line.startswith("v ") for word in line[2:].split()}
    return all(values.intersection(clause) for clause in clauses)


def path_with(directory: Path, kissat: str = "") -> str:
    """A PATH with Kissat, or with a script of this name."""
    directory.mkdir(exist_ok=True)
    (directory / "kissat").write_text(f"#!/bin/sh\n{kissat or RUN_KISSAT}\n")
    (directory / "kissat").chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


def run(directory: Path, path: str, arguments: Iterable[str] = (), clauses: Clauses | None = None) -> Any:
    """The sample solver in the parallel track, without a node."""
    directory.mkdir()
    (directory / "problem.cnf").write_bytes(dimacs(clauses or pigeons(3, 3)))
    given = {
        "formula_file": f"{directory}/problem.cnf",
        "solver_argument_list": [*arguments],
        "worker_node_ips": ["me"],
    }
    (directory / "input.json").write_text(json.dumps(given))
    environment = {"PATH": path, "SATCOMP_SHARED_DIR": str(directory.parent)}
    command = [SAMPLE / "solver", directory]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("holes", "code", "says"), [(5, 10, "s SATISFIABLE"), (4, 20, "s UNSATISFIABLE")])
def test_on_one_machine_several_configurations_race(tmp_path: Path, holes: int, code: int, says: str) -> None:
    clauses = pigeons(5, holes)
    assert run(tmp_path / "job", path_with(tmp_path / "bin"), clauses=clauses).returncode == code
    report = json.loads((tmp_path / "job" / "solver_out.json").read_text())
    assert report["return_code"] == code
    stdout = Path(report["artifacts"]["stdout_path"]).read_text()
    assert [line for line in stdout.splitlines() if line.startswith("s ")] == [says]
    assert stdout.startswith("c ")
    assert int(stdout.split()[1]) >= 2
    assert code == 20 or satisfies(stdout, clauses)


def test_the_jobs_options_go_to_every_kissat(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    path = path_with(tmp_path / "bin", f'echo "$@" >> {calls}; [ $(wc -l < {calls}) -ge 2 ] && exit 20')
    run(tmp_path / "job", path, ["--conflicts=9", "--quiet"])
    lines = calls.read_text().splitlines()
    assert len(lines) >= 2
    assert all(f"--conflicts=9 --quiet {tmp_path}/job/problem.cnf" in line for line in lines)
    assert len(set(lines)) == len(lines)  # each with its own configuration


def test_giving_up_is_unknown(tmp_path: Path) -> None:
    assert run(tmp_path / "job", path_with(tmp_path / "bin"), ["--conflicts=1"], pigeons(9, 8)).returncode == 0
    assert (tmp_path / "job" / "stdout.log").read_text().count("s UNKNOWN\n") == 1


def test_a_wrong_option_is_an_error_in_kissats_words(tmp_path: Path) -> None:
    assert run(tmp_path / "job", path_with(tmp_path / "bin"), ["--no-such-option"]).returncode == 1
    assert json.loads((tmp_path / "job" / "solver_out.json").read_text())["return_code"] == 1
    assert "--no-such-option" in (tmp_path / "job" / "stderr.log").read_text()


def test_without_kissat_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    (tmp_path / "bin" / "env").symlink_to("/usr/bin/env")
    ended = run(tmp_path / "job", str(tmp_path / "bin"))
    assert (ended.returncode, ended.stderr) == (1, "kissat is not on the PATH.\n")


@pytest.fixture
def cluster(make_node: Callable[..., Node], metadata: Metadata, tmp_path: Path) -> Callable[..., tuple[Node, Node]]:
    """Starts a leader and a worker with the sample solver, and `kissat` as given."""

    def start(kissat: str = "") -> tuple[Node, Node]:
        leader, worker = make_node("leader", LEADER), make_node("worker", WORKER)
        for node in (leader, worker):
            shutil.copytree(SAMPLE, node.competition, dirs_exist_ok=True)
            node.start(metadata, PATH=path_with(tmp_path / "bin", kissat), TMPDIR=str(tmp_path))
        return leader, worker

    return start


def test_a_leader_and_a_worker_solve_what_the_walkthrough_sends(
    cluster: Callable[..., tuple[Node, Node]], cloud: Cloud
) -> None:
    cluster()
    satisfiable, unsatisfiable = pigeons(6, 6), pigeons(6, 5)
    jobs = [
        cloud.send(Job(cloud.upload(f"{name}.cnf", dimacs(clauses)), num_workers=1))
        for name, clauses in (("sat", satisfiable), ("unsat", unsatisfiable))
    ]
    for job_id, verdict in zip(jobs, (Verdict.SAT, Verdict.UNSAT), strict=True):
        eventually(lambda job_id=job_id: cloud.stored(job_id), "the result")  # type: ignore[misc]
        result = cloud.result(job_id)
        assert (result.verdict, result.reason, result.workers) == (verdict, "", (WORKER,))
    stdout = (cloud.stored(jobs[0], "stdout") or b"").decode()
    assert stdout.startswith("c 2 Kissats; this is ")
    assert satisfies(stdout, satisfiable)
    eventually(lambda: cloud.status(WORKER) == "READY", "a worker that is ready again")


def test_a_workers_answer_wins_when_it_is_first(cluster: Callable[..., tuple[Node, Node]], cloud: Cloud) -> None:
    leader, _ = cluster(f"[ $SATCOMP_NODE_IP = {LEADER} ] && exec sleep 60\n{RUN_KISSAT}")
    job_id = cloud.send(Job(cloud.upload("a.cnf", dimacs(pigeons(5, 5))), num_workers=1))
    assert cloud.result(job_id).verdict == Verdict.SAT
    stdout = (cloud.stored(job_id, "stdout") or b"").decode()
    assert f"on {WORKER}" in stdout.splitlines()[0]
    assert satisfies(stdout, pigeons(5, 5))
    assert "Traceback" not in leader.log


def test_a_worker_that_loses_is_stopped_and_ready_again(
    cluster: Callable[..., tuple[Node, Node]], cloud: Cloud, tmp_path: Path
) -> None:
    """Also if the solver can't tell it any more, because it was killed itself: then the cleanup does."""
    _, worker = cluster(f"[ $SATCOMP_NODE_IP = {WORKER} ] && echo $$ >> {tmp_path}/pids\nexec sleep 60")
    pids = tmp_path / "pids"
    job_id = cloud.send(Job(cloud.upload("a.cnf"), num_workers=1))
    eventually(pids.exists, "a Kissat on the worker")
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"{worker.shared}/{job_id}.".encode() in line.read_bytes():
                os.kill(int(line.parent.name), signal.SIGKILL)
    assert cloud.result(job_id).verdict == Verdict.ERROR
    eventually(lambda: not Path(f"/proc/{pids.read_text().strip()}").exists(), "the end of the worker's Kissat")
    eventually(lambda: cloud.status(WORKER) == "READY", "a worker that is ready again")
    worker.await_log("cleaned up")
