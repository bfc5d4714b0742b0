"""Jobs, as a leader does them: one leader's process for all of these tests, with a new solver for each."""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from satcomp_infra.jobs import Job, S3Uri, Verdict
from satcomp_infra.node.outputs import CAPTURED_STDERR, CAPTURED_STDOUT

from ..waiting import AT_ONCE, eventually
from .cloud import BUCKET, SATISFIABLE, Cloud
from .nodes import Metadata, Node

ADDRESS = "10.0.1.5"
KILL_GRACE = 0.6


@pytest.fixture(scope="module")
def leader(module_cloud: Cloud, metadata: Metadata, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("leader")
    node = Node("leader", ADDRESS, home, home / "shared", {"kill_grace": KILL_GRACE, "workers": 1.0})
    node.program("solver", "exit 0")
    node.start(metadata, MARKER="from the task definition")
    node.await_log("ready, at")
    yield node
    node.end()


@pytest.fixture
def cloud(module_cloud: Cloud) -> Cloud:
    module_cloud.announcements()
    module_cloud.forget_workers()
    return module_cloud


@pytest.fixture
def problem(cloud: Cloud) -> S3Uri:
    return cloud.upload("problem.cnf", SATISFIABLE)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_the_solver_gets_what_the_contract_says(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    leader.program("solver", 'env > environment; pwd; readlink /proc/self/fd/0; echo "$@"; cat environment; exit 10')
    job = Job(problem, timeout_seconds=7, solver_options=("-p", "a b"), language="LANG", solver_name="fast one")
    job_id = cloud.send(job)
    assert cloud.result(job_id).verdict == Verdict.SAT
    given = json.loads(cloud.stored(job_id, "input.json") or "")
    directory = str(Path(given["formula_file"]).parent)
    assert Path(directory).parent == leader.shared
    assert given == {
        "formula_file": f"{directory}/problem.cnf",
        "formula_language": "LANG",
        "solver_argument_list": ["-p", "a b"],
        "timeout_seconds": 7,
        "worker_node_ips": [ADDRESS],
    }
    printed = (cloud.stored(job_id, "stdout") or b"").decode().splitlines()
    assert printed[:3] == [directory, "/dev/null", directory]
    assert f"SATCOMP_NODE_IP={ADDRESS}" in printed
    assert f"SATCOMP_COMPETITION_DIR={leader.competition}" in printed
    assert f"SATCOMP_SHARED_DIR={leader.shared}" in printed
    assert "SATCOMP_SOLVER_NAME=fast one" in printed
    assert "MARKER=from the task definition" in printed


def test_a_result_has_all_there_is_to_know(leader: Node, cloud: Cloud) -> None:
    problem = cloud.upload("big.cnf.gz", gzip.compress(SATISFIABLE))
    leader.program(
        "solver",
        """
        cd "$1"; cmp -s problem.cnf copy || sleep 0.2
        echo 's SATISFIABLE' > stdout.log; echo 'v -1 2 0' >> stdout.log; echo careful > stderr.log
        echo captured; echo also captured >&2
        echo '{"return_code": 10, "artifacts": {"stdout_path": "'$1'/stdout.log", "stderr_path": "'$1'/stderr.log"}}' \\
            > solver_out.json
        """,
    )
    before = time.time()
    job_id = cloud.send(Job(problem, timeout_seconds=30))
    result = cloud.result(job_id)
    assert (result.job_id, result.verdict, result.return_code, result.reason) == (job_id, Verdict.SAT, 10, "")
    assert result.problem == str(problem)
    assert result.model == "right"
    assert 0.2 <= result.wall_seconds < AT_ONCE
    assert before <= result.received_at <= result.started_at <= result.finished_at - result.wall_seconds <= time.time()
    assert (result.timeout_seconds, result.attempt, result.workers) == (30, 1, ())
    assert (result.node, result.instance) == (ADDRESS, f"i-{ADDRESS}")
    assert result.files == f"s3://{BUCKET}/results/{job_id}/"
    assert result.solver_output["return_code"] == 10
    assert cloud.stored(job_id, "stdout") == b"s SATISFIABLE\nv -1 2 0\n"
    assert cloud.stored(job_id, "stderr") == b"careful\n"
    assert cloud.stored(job_id, CAPTURED_STDOUT) == b"captured\n"
    assert cloud.stored(job_id, CAPTURED_STDERR) == b"also captured\n"
    assert json.loads(cloud.stored(job_id, "solver_out.json") or "") == result.solver_output
    (announced,) = cloud.announcements()
    directory = announced["solver"]["request_directory_path"]
    assert Path(directory).name.startswith(job_id)
    assert announced["task_id"] == job_id
    assert announced["verdict"] == "SAT"
    assert announced["driver"]["stdout"] == f"{directory}/stdout.log"
    assert announced["solver"] == {"output": result.solver_output, "request_directory_path": directory}
    eventually(lambda: not list(leader.shared.iterdir()), "an empty shared directory")


@pytest.mark.parametrize(
    "body",
    [
        '{"s3_uri": "s3://team-bucket/problems/problem.cnf", "num_workers": 0}',
        '{"formula": {"value": "s3://team-bucket/problems/problem.cnf"}, "solverConfig": {"taskTimeoutSeconds": 60}}',
        Job(S3Uri("team-bucket", "problems/problem.cnf")).to_message(),
    ],
    ids=["2022", "2023", "now"],
)
def test_messages_of_all_years_are_jobs(leader: Node, cloud: Cloud, problem: S3Uri, body: str) -> None:
    leader.program("solver", "exit 20")
    assert cloud.result(cloud.send(body)).verdict == Verdict.UNSAT


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("hello", "not JSON"),
        ('{"s3_uri": "x"}', "'x' is not an S3 location"),
        ('{"s3_uri": "s3://team-bucket/\\ud800"}', "is not text"),
        (f'{{"s3_uri": "s3://team-bucket/{"x" * 500_000}"}}', "500000 bytes"),
    ],
    ids=lambda text: text[:40],
)
def test_a_message_that_nobody_understands_gets_an_answer(leader: Node, cloud: Cloud, body: str, named: str) -> None:
    result = cloud.result(cloud.send(body))
    assert result.verdict == Verdict.ERROR
    assert named in result.reason
    assert cloud.announcements()[0]["reason"] == result.reason


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("missing.cnf", None, "does not exist"),
        ("half.cnf.gz", gzip.compress(SATISFIABLE)[:-4], "ends too soon"),
        ("empty.cnf", b"", "is empty"),
        ("nothing.cnf.gz", gzip.compress(b""), "is empty"),
    ],
    ids=["missing", "half", "empty", "nothing"],
)
def test_a_problem_that_can_not_be_had_is_an_error(
    leader: Node, cloud: Cloud, name: str, data: bytes | None, reason: str
) -> None:
    problem = S3Uri(BUCKET, f"problems/{name}") if data is None else cloud.upload(name, data)
    result = cloud.result(cloud.send(Job(problem, num_workers=3)))  # and it waits for no workers
    assert result.verdict == Verdict.ERROR
    assert str(problem) in result.reason
    assert reason in result.reason


@pytest.mark.parametrize(
    "name",
    ["a b+c%20&=.cnf", "../../up.cnf", "folder/", "größe – 大きい.cnf", "x" * 300 + ".cnf.gz"],
    ids=lambda name: name[:10],
)
def test_a_problem_may_have_any_name(leader: Node, cloud: Cloud, name: str) -> None:
    problem = cloud.upload(name, gzip.compress(SATISFIABLE) if name.endswith(".gz") else SATISFIABLE)
    leader.program("solver", 'cat "$1/problem.cnf"; exit 10')
    job_id = cloud.send(Job(problem))
    result = cloud.result(job_id)
    assert (result.verdict, result.problem) == (Verdict.SAT, str(problem))
    assert cloud.stored(job_id, "stdout") == SATISFIABLE


def test_a_wrong_model_is_an_error_unless_it_is_not_to_be_checked(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    leader.program("solver", "echo 's SATISFIABLE'; echo 'v 1 2 0'; exit 10")
    unchecked = cloud.send(Job(problem, check_models=False))
    assert (cloud.result(unchecked).verdict, cloud.result(unchecked).model) == (
        Verdict.SAT,
        "not checked: --check-models off",
    )
    result = cloud.result(cloud.send(Job(problem)))
    assert (result.verdict, result.return_code, result.model) == (Verdict.ERROR, 10, "wrong")
    assert result.reason == "The solver's model does not satisfy clause 2 of the formula: -1 0."
    leader.program("solver", "echo 's SATISFIABLE'; echo 'v -1 2 0'; exit 10")
    result = cloud.result(cloud.send(Job(problem)))
    assert (result.verdict, result.reason, result.model) == (Verdict.SAT, "", "right")


def test_a_large_model_is_checked_before_the_result_is_stored(leader: Node, cloud: Cloud) -> None:
    problem = cloud.upload(
        "large.cnf.gz", gzip.compress(b"p cnf 6 80001\n" + b"1 2 -3 4 -5 6 0\n" * 80_000 + b"-6 0\n")
    )
    leader.program("solver", "echo 's SATISFIABLE'; echo 'v 1 -6 0'; exit 10")
    job_id = cloud.send(Job(problem))
    assert cloud.result(job_id).model == "right"
    assert f"job={job_id} its model is right (the check took" in leader.log
    leader.program("solver", "echo 's SATISFIABLE'; echo 'v 1 6 0'; exit 10")
    assert cloud.result(cloud.send(Job(problem))).reason.endswith("does not satisfy clause 80001 of the formula: -6 0.")


def test_too_few_workers_are_an_error_that_says_how_they_are(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    cloud.register_worker("10.0.1.9", age=-60, status="BUSY")  # a heartbeat of the future lasts
    cloud.register_worker("10.0.1.10", age=-60)
    cloud.register_worker("10.0.1.11", age=100)
    result = cloud.result(cloud.send(Job(problem, num_workers=2)))
    assert result.verdict == Verdict.ERROR
    assert "asks for 2 workers; 1 was ready within 1 seconds" in result.reason
    assert "10.0.1.10 READY, 10.0.1.9 BUSY, 10.0.1.11 not heard of for 10" in result.reason
    assert "update_instances" in result.reason


def test_a_job_waits_for_a_late_worker_and_tells_it_the_end(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    leader.program("solver", "exit 10")
    cloud.register_worker("10.0.1.10", age=-60)
    before = cloud.notifications()
    job_id = cloud.send(Job(problem, num_workers=2))
    eventually(lambda: job_id in leader.log, "the job is received")
    cloud.register_worker("10.0.1.12", age=-60)
    result = cloud.result(job_id)
    assert (result.verdict, result.workers) == (Verdict.SAT, ("10.0.1.10", "10.0.1.12"))
    assert json.loads(cloud.stored(job_id, "input.json") or "")["worker_node_ips"] == [
        "10.0.1.10",
        "10.0.1.12",
        ADDRESS,
    ]
    assert cloud.notifications()[ADDRESS] != before[ADDRESS]


def test_a_job_without_workers_tells_none(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    before = cloud.notifications()
    cloud.result(cloud.send(Job(problem)))
    assert cloud.notifications() == before


def test_a_solver_that_takes_too_long_is_ended(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    leader.program("solver", "trap 'echo ending; exit 0' TERM; sleep 60 & wait")
    job_id = cloud.send(Job(problem, timeout_seconds=1))
    result = cloud.result(job_id)
    assert (result.verdict, result.reason) == (Verdict.TIMEOUT, "")  # no word of SIGKILL: SIGTERM was enough
    assert 1 <= result.wall_seconds < AT_ONCE
    assert cloud.stored(job_id, "stdout") == b"ending\n"


def test_nothing_that_a_solver_started_survives(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    """One that ignores SIGTERM, a child in its group, and a daemon that has left group, session and parent."""
    leader.program(
        "solver",
        f"""#!{sys.executable}
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def note(name):
    pathlib.Path("{leader.competition}", name + ".pid").write_text(str(os.getpid()))
note("solver")
if os.fork() == 0:
    note("child")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note("daemon")
        else:
            os._exit(0)
time.sleep(60)
""",
    )
    result = cloud.result(cloud.send(Job(problem, timeout_seconds=1)))
    assert result.verdict == Verdict.TIMEOUT
    assert f"{KILL_GRACE} s after SIGTERM" in result.reason
    pids = {name: int((leader.competition / f"{name}.pid").read_text()) for name in ("solver", "child", "daemon")}
    assert len(set(pids.values())) == 3
    assert not [name for name, pid in pids.items() if alive(pid)]


def test_a_daemon_does_not_survive_an_answer_either(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    pid_file = leader.competition / "stray.pid"
    leader.program(
        "solver",
        f"""
        setsid sh -c 'sleep 60 & echo $! > {pid_file}; wait' &
        while ! [ -s {pid_file} ]; do sleep 0.02; done
        exit 10
        """,
    )
    assert cloud.result(cloud.send(Job(problem))).verdict == Verdict.SAT
    assert not alive(int(pid_file.read_text()))


def test_a_killed_solver_is_an_error_and_its_workers_know(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    before = cloud.notifications()
    leader.program("solver", "echo 'no memory left' >&2; kill -KILL $$")
    with cloud.beating_worker("10.0.1.10"):
        result = cloud.result(cloud.send(Job(problem, num_workers=1)))
    assert result.verdict == Verdict.ERROR
    assert "SIGKILL" in result.reason
    assert result.reason.endswith("no memory left")
    assert cloud.notifications() != before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "There is no program"),
        ("#!/no/such/interpreter\n", "its interpreter is missing"),
        ("#!/bin/sh\r\nexit 10\r\n", "its interpreter is missing"),
        ("#!", "exec format error"),
        ("directory", "is a directory"),
    ],
)
def test_a_solver_that_can_not_be_started_is_an_error(
    leader: Node, cloud: Cloud, problem: S3Uri, text: str, reason: str
) -> None:
    path = leader.program("solver", text)
    if text in {"", "directory"}:
        path.unlink()
        if text:
            path.mkdir()
    elif text == "#!":
        path.write_bytes(b"\x7fELF built for another machine")
    result = cloud.result(cloud.send(Job(problem)))
    if path.is_dir():
        path.rmdir()
    assert result.verdict == Verdict.ERROR
    assert str(path) in result.reason
    assert reason in result.reason


def test_the_leader_is_in_the_manifest_all_the_time(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    leader.program("solver", "while ! [ -e $SATCOMP_COMPETITION_DIR/go ]; do sleep 0.02; done")
    job_id = cloud.send(Job(problem))
    eventually(lambda: cloud.status(ADDRESS) == "BUSY", "a busy leader")
    (item,) = [node for node in cloud.nodes() if node["nodeIp"]["S"] == ADDRESS]
    assert item["nodeType"] == {"S": "LEADER"}
    assert item["instanceId"] == {"S": f"i-{ADDRESS}"}
    assert item["jobId"] == {"S": job_id}
    said = int(item["lastModified"]["N"])
    assert abs(said - time.time()) < AT_ONCE
    eventually(
        lambda: max(int(node["lastModified"]["N"]) for node in cloud.nodes() if node["nodeIp"]["S"] == ADDRESS) > said,
        "another heartbeat",
    )
    (leader.competition / "go").touch()
    cloud.result(job_id)
    eventually(lambda: cloud.status(ADDRESS) == "READY", "a leader that is ready again")


def test_neither_threads_nor_open_files_pile_up(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    def held() -> tuple[int, int]:
        return tuple(len(list(Path(f"/proc/{leader.pid}/{what}").iterdir())) for what in ("task", "fd"))  # type: ignore[return-value]

    cloud.result(cloud.send(Job(problem)))
    eventually(lambda: cloud.status(ADDRESS) == "READY", "a leader that is ready again")
    threads, files = held()
    for _ in range(4):
        cloud.result(cloud.send(Job(problem)))
    eventually(lambda: held()[0] <= threads and held()[1] <= files, "the end of all threads")


def test_the_log_tells_a_job_in_a_few_lines_and_no_tracebacks(leader: Node, cloud: Cloud, problem: S3Uri) -> None:
    leader.program("solver", "exit 10")
    job_id = cloud.send(Job(problem))
    cloud.result(job_id)
    odd_id = cloud.send(Job(S3Uri(BUCKET, "new\nline.cnf")))
    cloud.result(odd_id)
    lines = [line for line in leader.log.splitlines() if job_id in line]
    assert len(lines) == 3
    assert all(f"Z leader job={job_id} " in line for line in lines)
    assert "SAT after 0.0" in lines[-1]
    assert all(" leader " in line for line in leader.log.splitlines())
    assert "new | line.cnf does not exist" in leader.log.splitlines()[-1]
    assert "Traceback" not in leader.log
