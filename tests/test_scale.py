"""Lists longer than the hundred entries of a page: of machines, nodes, tasks, images, log lines and refusals."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from satcomp_infra import images, listing, node_logs
from satcomp_infra.aws import Aws
from satcomp_infra.finding import find
from satcomp_infra.fleet import Cluster
from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.walkthrough import register_images
from satcomp_infra.observation import gather
from satcomp_infra.project import CLUSTER, Project

from .typing_commands import PROJECT, Answer, run
from .waiting import eventually

NODES = 130


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCloud]:
    delays = {"stack_delay": 0.1, "boot_delay": 0.1, "shutdown_delay": 0.1}
    with cloud.start(simulate_nodes=True, zones=["us-east-1a"], vcpu_quota=100_000, **delays) as local:
        yield local


@pytest.fixture
def local(running: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    return running


def instances(option: str, *words: str) -> Answer:
    return run("instances", "--option", option, *words)


def test_a_large_cluster_is_started_seen_and_stopped(local: LocalCloud) -> None:
    assert run("create", "--project", PROJECT, "--solver-type", "cloud").code == 0
    register_images(local)
    local.forget_calls()
    answer = instances("setup", "--workers", str(NODES - 1))
    assert answer.code == 0, answer.err
    calls = local.calls()
    looks = calls["ecs.DescribeServices"]
    assert sum(calls.values()) < 30 + 30 * looks  # for each look, not for each node
    assert calls["ecs.UpdateService"] == 2

    machines = [node.instance for node in local.nodes()]
    manifest = local.client("dynamodb")
    for number, machine in enumerate(machines):
        item = {"nodeId": f"{number:0400}", "nodeIp": f"10.0.0.{number}", "nodeType": "WORKER", "status": "READY"}
        item |= {"instanceId": machine}
        attributes = {name: {"S": value} for name, value in item.items()}
        attributes["lastModified"] = {"N": str(int(time.time()) + 600)}
        manifest.put_item(TableName="SatCompNodeManifest", Item=attributes)
    shown = json.loads(run("status", "--json").out)
    assert len({machine["id"] for machine in shown["machines"] if machine["joined"]}) == NODES
    assert len({node["machine"] for node in shown["nodes"]}) == NODES
    assert f"{NODES} of {NODES} wanted" in run("status").out
    assert f"  and {NODES - 8} more, {NODES - 8} of them READY\n" in run("status").out

    aws = Aws.connect()
    infrastructure = find(aws, None)
    evidence = gather(aws, infrastructure)
    assert len({activity.description for activity in evidence.activities}) == NODES
    assert evidence.stopped == ()
    Cluster.of(aws, infrastructure).resize(0, 0, keep_machines=True)
    eventually(lambda: not local.nodes(), within=60)
    assert len({task.id for task in gather(aws, infrastructure).stopped}) == NODES

    local.forget_calls()
    answer = instances("shutdown")
    assert answer.code == 0, answer.err
    calls = local.calls()
    assert sum(calls.values()) < 20 + 2 * calls["ec2.DescribeInstances"]
    assert "130 of 130 machines stopped" in answer.err


def test_many_stopped_tasks_and_refusals_are_all_seen(local: LocalCloud) -> None:
    aws = Aws.connect()
    infrastructure = find(aws, Project(PROJECT))
    [*answers] = listing.tasks(aws, CLUSTER, "STOPPED")
    assert sum(len(answer["tasks"]) for answer in answers) == NODES
    evidence = gather(aws, infrastructure)
    assert len(evidence.stopped) == 0  # of before the shutdown
    local.set_faults(launch_refusal="No.")
    group = infrastructure.auto_scaling_group
    local.client("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=1)
    deadline = time.monotonic() + 10
    while not gather(aws, infrastructure).activities and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gather(aws, infrastructure).activities[0].message.startswith("No.")
    local.set_faults(launch_refusal=None)
    assert instances("shutdown").code == 0


def test_images_and_log_lines_beyond_a_page_are_seen(local: LocalCloud) -> None:
    aws = Aws.connect()
    infrastructure = find(aws, Project(PROJECT))
    ecr = local.client("ecr")
    kind = "application/vnd.oci.image.manifest.v1+json"
    for number in range(110):
        manifest = json.dumps({"mediaType": kind, "schemaVersion": 2, "layers": [{"digest": f"sha256:{number}"}]})
        ecr.put_image(repositoryName=PROJECT, imageTag=f"tag-{number}", imageManifest=manifest)
    assert len(images.tags(aws, PROJECT)) == 112

    logs, group = local.client("logs"), infrastructure.leader_log_group
    now = int(time.time() * 1000)
    for stream in ("ecs/leader/a", "ecs/leader/b"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        lines = [{"timestamp": now - 9000 + number, "message": f"{stream} {number}"} for number in range(6000)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=lines)
    seen = [line.text for line in node_logs.lines(aws, group, now - 10_000)]
    assert len(set(seen)) == len(seen) == 12_000
