"""A node as the images of 2022 and 2023 have it, for tests: `earlier_years.py {2022,2023} {leader,worker}`.

It is written from the solver contract alone, and shares no code with the node runtime: so what that runtime has in
common with it is the contract. It is as simple as those nodes are: a job's message is deleted when it was received, the
job gets an id of the leader's own, a leader is always READY and takes all workers that are, and where something goes
wrong, nobody is told. Only three things are as in no image: the team's programs are not in `/competition` but where the
local cloud puts them, the shared directory likewise, and the waits are shorter.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

COMPETITION = Path(os.environ["SATCOMP_COMPETITION_DIR"])
SHARED = Path(os.environ["SATCOMP_SHARED_DIR"])
MANIFEST, NOTIFICATIONS = "SatCompNodeManifest", "TaskEndNotification"
FRESH, STATUS_FRESH = 120, 5
CLEANUP_SECONDS, GRACE_SECONDS = 10, 10
COMPETITION_SECONDS = 1000
WORKERS_SECONDS = 20.0


def own_address() -> str:
    service = urlsplit(os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"])

    def ask(method: str, path: str, headers: dict[str, str]) -> str:
        connection = http.client.HTTPConnection(service.netloc)
        connection.request(method, f"{service.path}/latest/{path}", headers=headers)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    token = ask("PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    return ask("GET", "meta-data/local-ipv4", {"X-aws-ec2-metadata-token": token})


class Node:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.address = own_address()
        self.id = str(uuid.uuid4())
        resource: Any = boto3.resource("dynamodb")
        self.manifest, self.notifications = resource.Table(MANIFEST), resource.Table(NOTIFICATIONS)

    def beat(self, status: str) -> None:
        self.manifest.put_item(
            Item={
                "nodeId": self.id,
                "nodeIp": self.address,
                "status": status,
                "nodeType": self.kind,
                "lastModified": int(time.time()),
            }
        )

    def ready(self, kind: str) -> list[dict[str, Any]]:
        items = self.manifest.scan(ConsistentRead=True)["Items"]
        young = [item for item in items if item["lastModified"] > time.time() - FRESH]
        return [item for item in young if item["nodeType"] == kind and item["status"] == "READY"]


class Leader(Node):
    def __init__(self, year: str) -> None:
        super().__init__("LEADER")
        self.year = year
        sqs: Any = boto3.resource("sqs")
        self.jobs = sqs.get_queue_by_name(QueueName=os.environ["SQS_QUEUE_NAME"])
        self.results = sqs.get_queue_by_name(QueueName=os.environ["SQS_OUTPUT_QUEUE_NAME"])
        self.s3: Any = boto3.client("s3")

    def run(self) -> None:
        threading.Thread(target=self.beat_always, daemon=True).start()
        while True:
            for message in self.jobs.receive_messages(MaxNumberOfMessages=1, WaitTimeSeconds=20):
                message.delete()
                self.solve(*self.read(json.loads(message.body)))

    def beat_always(self) -> None:
        while True:
            self.beat("READY")
            time.sleep(1)

    def read(self, body: dict[str, Any]) -> tuple[str, int, str, list[str], int]:
        """The problem, the number of workers, the formula's language, the solver's options, and its seconds."""
        if self.year == "2022":
            return body["s3_uri"], body["num_workers"], "", [], COMPETITION_SECONDS
        formula, config = body["formula"], body["solverConfig"]
        assert "solverName" in config
        return (
            formula["value"],
            body["num_workers"],
            formula["language"],
            config["solverOptions"],
            config["taskTimeoutSeconds"],
        )

    def solve(self, s3_uri: str, num_workers: int, language: str, options: list[str], seconds: int) -> None:
        deadline = time.monotonic() + WORKERS_SECONDS
        while len(workers := [item["nodeIp"] for item in self.ready("WORKER")]) < num_workers:
            assert time.monotonic() < deadline, "too few workers"
            time.sleep(0.2)
        task = str(uuid.uuid4())
        directory = SHARED / task
        directory.mkdir()
        bucket, key = s3_uri.removeprefix("s3://").split("/", 1)
        formula = directory / key.rsplit("/", 1)[-1]
        self.s3.download_file(bucket, key, str(formula))
        request = {
            "formula_file": str(formula),
            "formula_language": language,
            "solver_argument_list": options,
            "timeout_seconds": seconds,
            "worker_node_ips": [*(workers if num_workers else []), self.address],
        }
        (directory / "input.json").write_text(json.dumps(request))
        code, elapsed = run_solver(directory, seconds)
        report = directory / "solver_out.json"
        driver: dict[str, Any] = {
            "stdout": str(directory / "driver_stdout.log"),
            "stderr": str(directory / "driver_stderr.log"),
            "return_code": code,
            "solver_runtime_millis": round(elapsed * 1000),
            "s3_uri": s3_uri,
        }
        solver = {
            "output": json.loads(report.read_text()) if report.exists() else None,
            "request_directory_path": str(directory),
        }
        told = {"task_id": task, "driver": driver, "solver": solver, "task_state": None}
        self.results.send_message(MessageBody=json.dumps(told))
        self.notifications.put_item(
            Item={"leaderIp": self.address, "notificationId": str(uuid.uuid4()), "lastModified": int(time.time())}
        )


def run_solver(directory: Path, seconds: int) -> tuple[int, float]:
    started = time.monotonic()
    with (directory / "driver_stdout.log").open("w") as out, (directory / "driver_stderr.log").open("w") as err:
        solver = subprocess.Popen([COMPETITION / "solver", directory], stdout=out, stderr=err, start_new_session=True)
        try:
            return solver.wait(seconds), time.monotonic() - started
        except subprocess.TimeoutExpired:
            os.killpg(solver.pid, signal.SIGTERM)
        try:
            return solver.wait(GRACE_SECONDS), float(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(solver.pid, signal.SIGKILL)
            return solver.wait(), float(seconds)


class Worker(Node):
    def __init__(self) -> None:
        super().__init__("WORKER")
        self.seen = {item["notificationId"] for item in self.notifications.scan(ConsistentRead=True)["Items"]}

    def run(self) -> None:
        leaders = sorted(self.ready("LEADER"), key=lambda item: item["lastModified"])
        if leaders:
            (COMPETITION / "leader_node_status.json").write_text(json.dumps(leaders[-1], default=int))
        subprocess.Popen([COMPETITION / "worker"], cwd=COMPETITION)
        threading.Thread(target=self.beat_while_the_program_says_so, daemon=True).start()
        while True:
            found = {item["notificationId"] for item in self.notifications.scan(ConsistentRead=True)["Items"]}
            if found - self.seen:
                self.seen = found
                subprocess.run([COMPETITION / "cleanup"], cwd=COMPETITION, timeout=CLEANUP_SECONDS, check=False)
            time.sleep(0.2)

    def beat_while_the_program_says_so(self) -> None:
        while True:
            try:
                said = json.loads((COMPETITION / "worker_node_status.json").read_text())
            except (FileNotFoundError, ValueError):
                time.sleep(0.1)
                continue
            assert said["timestamp"] >= time.time() - STATUS_FRESH - 1, "the worker program has died"
            self.beat(said["status"])
            time.sleep(1)


if __name__ == "__main__":
    (Leader(sys.argv[1]) if sys.argv[2] == "leader" else Worker()).run()
