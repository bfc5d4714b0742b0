"""Images of 2022 and 2023 on this infrastructure: their leaders and workers, with today's commands and nodes."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from satcomp_infra import earlier_years
from satcomp_infra.evidence import Evidence, Machine
from satcomp_infra.jobs import Job, S3Uri, Verdict
from satcomp_infra.node.manifest import Node

from .local_cluster import REAL, LocalCluster, running
from .typing_commands import run_in_time
from .waiting import eventually

JOB = Job(S3Uri("bucket", "problem.cnf"), timeout_seconds=20)
NODE = Path(__file__).with_name("earlier_years.py")
# What a team's image has, with notes of what it saw in the directory that all nodes share.
PROGRAMS = r"""
cat > solver <<'END'
#!/bin/sh
cp "$1/input.json" "$SATCOMP_SHARED_DIR/seen.json"
if grep -q -x 0 "$1/"*.cnf; then exit 1; fi
echo 's SATISFIABLE' > "$1/stdout.log"
echo 'v 1 0' >> "$1/stdout.log"
echo '{"return_code": 10, "artifacts": {"stdout_path": "'"$1"'/stdout.log", "stderr_path": ""}}' > "$1/solver_out.json"
END
cat > worker <<'END'
#!/bin/sh
cp leader_node_status.json "$SATCOMP_SHARED_DIR/seen-leader.json"
while :; do
    echo '{"status": "READY", "timestamp": '$(date +%s)'}' > status.new
    mv status.new worker_node_status.json
    sleep 1
done
END
cat > cleanup <<'END'
#!/bin/sh
echo cleaned >> "$SATCOMP_SHARED_DIR/cleanups"
END
chmod +x solver worker cleanup
"""


def of(year: str) -> str:
    """What a node of this year runs."""
    return PROGRAMS + (REAL if year == "today" else f"exec {sys.executable} {NODE} {year} $1")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with running(tmp_path_factory.mktemp("earlier")) as cluster:
        s3 = boto3.client("s3")
        for name, clauses in {"easy": "1 0\n", "crash": "0\n"}.items():
            s3.put_object(
                Bucket=cluster.infrastructure.bucket, Key=f"{name}.cnf", Body=f"p cnf 1 1\n{clauses}".encode()
            )
        yield cluster


@pytest.fixture
def cluster(there: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> LocalCluster:
    for name, value in there.local.environment().items():
        monkeypatch.setenv(name, value)
    there.clear()
    return there


def messages(queue: str) -> list[str]:
    sqs, found = boto3.client("sqs"), []
    while received := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in received:
            found.append(json.loads(message["Body"])["task_id"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return sorted(found)


def of_2023(task: str, problem: str, code: int = 20) -> dict[str, Any]:
    driver = {"return_code": 0, "solver_runtime_millis": 5, "s3_uri": problem}
    return {"task_id": task, "driver": driver, "solver": {"output": {"return_code": code}}, "task_state": None}


def shared(cluster: LocalCluster, name: str) -> str:
    (path,) = cluster.local.state_dir.glob(f"efs/*/{name}")
    return path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leader", "worker"), [("2022", "2022"), ("2023", "2023"), ("2023", "today"), ("today", "2023")]
)
def test_a_job_is_solved_by_leader_and_worker_of_these_years(cluster: LocalCluster, leader: str, worker: str) -> None:
    bucket, queue = cluster.infrastructure.bucket, cluster.infrastructure.result_queue
    sqs = boto3.client("sqs")
    for path in cluster.local.state_dir.glob("efs/*/*"):
        path.unlink() if path.is_file() else None
    others = {
        "of yesterday": of_2023("of yesterday", f"s3://{bucket}/easy.cnf"),
        "another's": of_2023("another's", f"s3://{bucket}/other.cnf"),
        "of today": {**of_2023("of today", f"s3://{bucket}/easy.cnf"), "verdict": "UNSAT"},
    }
    for message in others.values():
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(message))
    time.sleep(1 - time.time() % 1)  # a message of the second in which the job is sent could be its own
    cluster.nodes_do(of(leader), of(worker))
    cluster.start(1, 1)

    words = ("--location", f"s3://{bucket}/easy.cnf", "--workers", "1", "--timeout", "20", "--await-response")
    answer = run_in_time("send", *words)
    assert answer.code == 0, answer.out + answer.err
    assert re.search(r"^SAT in \d\.\d\d s$", answer.out, re.MULTILINE)
    assert ("Its model satisfies the formula." in answer.out) == (leader == "today")
    assert messages(queue) == sorted(others)
    for name in (cluster.infrastructure.job_queue, cluster.infrastructure.dead_letter_queue):
        attributes = sqs.get_queue_attributes(QueueUrl=name, AttributeNames=["All"])["Attributes"]
        assert {attributes[f"ApproximateNumberOfMessages{which}"] for which in ("", "NotVisible")} == {"0"}

    shown = eventually(both_ready)
    nodes = {node["type"]: node for node in shown["nodes"]}
    assert set(nodes) == {"LEADER", "WORKER"}
    assert {node["machine"] for node in nodes.values()} == {machine["id"] for machine in shown["machines"]}
    lines = r"^  leader +127\S+ +READY\n  worker +127\S+ +READY\n(.*\n)+All is well\.$"
    eventually(lambda: re.search(lines, run_in_time("status").out, re.MULTILINE))

    given = json.loads(shared(cluster, "seen.json"))
    assert given["worker_node_ips"] == [nodes["WORKER"]["address"], nodes["LEADER"]["address"]]
    assert given["timeout_seconds"] == (1000 if leader == "2022" else 20)
    eventually(lambda: "cleaned" in shared(cluster, "cleanups"))


def both_ready() -> dict[str, Any] | None:
    shown: dict[str, Any] = json.loads(run_in_time("status", "--json").out)
    said = [(node["status"], node["silent_for"] <= 5) for node in shown["nodes"]]
    return shown if said == [("READY", True)] * 2 and shown["well"] else None


@pytest.mark.slow
def test_a_solver_that_fails_under_a_leader_of_2023_is_an_error(cluster: LocalCluster) -> None:
    cluster.nodes_do(of("2023"))
    cluster.start(1)
    problem = f"s3://{cluster.infrastructure.bucket}/crash.cnf"
    answer = run_in_time("send", "--location", problem, "--workers", "0", "--await-response")
    assert answer.code == 1
    assert "\nERROR in " in answer.out
    assert "The solver wrote no usable solver_out.json. Its process ended with 1." in answer.out
    assert messages(cluster.infrastructure.result_queue) == []


@pytest.mark.parametrize(
    ("change", "verdict", "reason"),
    [
        ({"solver": {"output": {"return_code": 10}}}, Verdict.SAT, ""),
        ({"solver": {"output": {"return_code": 0}}}, Verdict.UNKNOWN, ""),
        ({"solver": {"output": {"return_code": 7}}}, Verdict.ERROR, "The solver's return code was 7."),
        ({"solver": {"output": {"return_code": None}}}, Verdict.ERROR, "The solver's return code was null."),
        ({"solver": {"output": None}, "driver": {"return_code": 20}}, Verdict.UNSAT, ""),
        (
            {"solver": {"output": None}, "driver": {"return_code": -15, "solver_runtime_millis": 20_000}},
            Verdict.TIMEOUT,
            "",
        ),
        (
            {"solver": {"output": None}, "driver": {"return_code": -15, "solver_runtime_millis": None}},
            Verdict.ERROR,
            (
                "The solver wrote no usable solver_out.json. Its process ended with -15. "
                "A negative number is a signal's: leaders of earlier years send one at the timeout."
            ),
        ),
        (
            {"solver": None, "driver": None},
            Verdict.ERROR,
            "The solver wrote no usable solver_out.json. Its process ended with None.",
        ),
    ],
)
def test_what_an_earlier_year_tells_is_a_result(change: dict[str, Any], verdict: Verdict, reason: str) -> None:
    result = earlier_years.result("id", JOB, {**of_2023("another id", str(JOB.problem)), **change})
    assert (result.job_id, result.problem, result.timeout_seconds) == ("id", "s3://bucket/problem.cnf", 20)
    assert (result.verdict, result.reason) == (verdict, reason)


def test_a_message_is_a_job_s_by_its_problem_unless_it_is_of_today() -> None:
    message = of_2023("any", str(JOB.problem))
    assert earlier_years.is_result_of(message, JOB)
    assert not earlier_years.is_result_of({**message, "verdict": "SAT"}, JOB)
    for driver in (None, [], {}, {"s3_uri": "s3://bucket/other.cnf"}):
        assert not earlier_years.is_result_of({**message, "driver": driver}, JOB)


def test_a_node_that_does_not_tell_its_machine_has_the_one_with_its_address() -> None:
    now = datetime.now(UTC)
    second = now.timestamp()
    machine = Machine("i-1", "m6i.4xlarge", "us-east-1a", "running", now, "10.0.1.5", True, None)
    evidence = Evidence(now, "us-east-1", 1, 1, (), (machine,), {}, (), (), (), {}, None)

    def found(address: str, heard: float, **item: str) -> Machine | None:
        return evidence.machine_of(Node("id", address, "READY", "WORKER", heard, item=item))

    assert found("10.0.1.5", second + 1) is machine
    assert found("10.0.1.5", second - 1) is None  # left behind by one that had this address before
    assert found("10.0.1.6", second + 1) is None
    assert found("10.0.1.6", second + 1, instanceId="i-1") is machine
    assert found("10.0.1.5", second + 1, instanceId="i-2") is None
