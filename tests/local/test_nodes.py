"""From capacity that is asked for to nodes that run, and back to nothing: EC2, Auto Scaling, ECS and the processes."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ..waiting import eventually
from .clouds import CLUSTER, Solver, is_alive
from .conftest import fresh


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    """In a cloud of its own: what services and groups have told from their beginning on is looked at here."""
    with fresh() as solver:
        yield solver


@pytest.fixture(scope="module")
def up(solver: Solver) -> Solver:
    """A leader and two workers run."""
    solver.tasks(leaders=1, workers=2)
    eventually(lambda: solver.messages("Leaders"))  # that there are no machines
    solver.machines(3)
    eventually(lambda: solver.running(1, 2))
    eventually(lambda: len(facts(solver)) == 3)
    return solver


def facts(solver: Solver) -> dict[str, Any]:
    """What the nodes that run say of themselves, by role and task."""
    running = {f"{node.role}-{node.task}" for node in solver.cloud.nodes()}
    paths = solver.cloud.state_dir.glob("efs/*/*.json")
    return {path.stem: json.loads(path.read_text()) for path in paths if path.stem in running}


def test_machines_come_up_as_in_ec2(up: Solver) -> None:
    instances = up.instances("running")
    assert len(instances) == 3
    assert {instance["InstanceType"] for instance in instances} == {"m6i.4xlarge"}
    assert all(instance["PublicIpAddress"] for instance in instances)
    assert {instance["Placement"]["AvailabilityZone"] for instance in instances} == {"us-east-1a", "us-east-1b"}
    group = up.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    assert [member["LifecycleState"] for member in group["Instances"]] == ["InService"] * 3
    eventually(lambda: [a["StatusCode"] for a in up.activities()] == ["Successful"] * 3)


def test_every_machine_has_an_address_that_only_its_node_listens_on(up: Solver) -> None:
    addresses = {instance["InstanceId"]: instance["PrivateIpAddress"] for instance in up.instances()}
    assert len(set(addresses.values())) == 3
    assert all(address.startswith("127.") for address in addresses.values())
    assert "127.0.0.1" not in addresses.values()
    assert {fact["instance"]: fact["address"] for fact in facts(up).values()} == addresses


def test_machines_join_their_cluster_with_the_room_that_their_type_has(up: Solver) -> None:
    arns = up.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    joined = up.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]
    assert len(joined) == 3
    for entry in joined:
        registered = {r["name"]: r.get("integerValue") for r in entry["registeredResources"]}
        assert (registered["CPU"], registered["MEMORY"]) == (16384, 63266)
        remaining = {r["name"]: r.get("integerValue") for r in entry["remainingResources"]}
        assert (remaining["CPU"], remaining["MEMORY"]) == (0, 2266)
        assert (entry["status"], entry["agentConnected"], entry["runningTasksCount"]) == ("ACTIVE", True, 1)
    cluster = up.ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]
    assert (cluster["registeredContainerInstancesCount"], cluster["runningTasksCount"]) == (3, 3)


def test_services_tell_what_they_do(up: Solver) -> None:
    leaders = up.messages("Leaders")
    assert leaders[0].endswith("has reached a steady state.")
    assert any("has started 1 tasks: (task " in message for message in leaders)
    assert "No Container Instances were found in your cluster." in leaders[-1]
    assert up.service("Leaders")["deployments"][0]["rolloutState"] == "COMPLETED"


def test_tasks_are_listed_by_service_family_and_machine(up: Solver) -> None:
    workers = up.described_tasks("RUNNING", serviceName=up.outputs["Workers"])
    assert [task["lastStatus"] for task in workers] == ["RUNNING"] * 2
    assert {task["group"] for task in workers} == {f"service:{up.outputs['Workers']}"}
    assert len(up.described_tasks("RUNNING", family="solver-leader")) == 1
    machine = workers[0]["containerInstanceArn"]
    assert [t["taskArn"] for t in up.described_tasks("RUNNING", containerInstance=machine)] == [workers[0]["taskArn"]]
    missing = up.ecs.describe_tasks(cluster=CLUSTER, tasks=["unknown"])
    assert missing["failures"] == [{"arn": "unknown", "reason": "MISSING"}]


def test_looking_at_a_task_changes_nothing(up: Solver) -> None:
    for _ in range(3):
        assert {task["lastStatus"] for task in up.described_tasks("RUNNING")} == {"RUNNING"}


def test_a_node_gets_the_environment_of_its_task_and_nothing_of_the_users(up: Solver) -> None:
    leader = next(fact for name, fact in facts(up).items() if name.startswith("leader"))
    environment = leader["environment"]
    assert environment["SQS_QUEUE_NAME"] == "jobs"
    assert environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["AWS_ENDPOINT_URL"] == up.cloud.endpoint
    assert environment["AWS_CONFIG_FILE"] == "/dev/null"
    assert environment["HOME"].startswith(str(up.cloud.state_dir))
    assert "sage_wheels" in environment["PATH"].split(":")[0]
    assert "PYTEST_CURRENT_TEST" not in environment
    marks = {fact["environment"]["ECS_CONTAINER_METADATA_URI_V4"] for fact in facts(up).values()}
    assert len(marks) == 3


def test_a_file_system_is_one_directory_for_all_nodes(up: Solver) -> None:
    directories = {fact["environment"]["SATCOMP_SHARED_DIR"] for fact in facts(up).values()}
    assert len(directories) == 1
    own = {fact["environment"]["SATCOMP_COMPETITION_DIR"] for fact in facts(up).values()}
    assert len(own) == 3


def test_what_nodes_print_arrives_in_cloudwatch_logs(up: Solver) -> None:
    logs = up.client("logs")
    task = up.described_tasks("RUNNING", family="solver-leader")[0]["taskArn"].rsplit("/", 1)[-1]
    stream = f"ecs/leader/{task}"

    def printed() -> list[str]:
        events = logs.get_log_events(logGroupName="/ecs/solver", logStreamName=stream)["events"]
        return [event["message"] for event in events]

    assert eventually(printed) == ["I am a leader"]


def test_metadata_needs_a_token(up: Solver) -> None:
    address = f"{up.cloud.endpoint}/imds/{up.cloud.nodes()[0].instance}/latest/meta-data/instance-id"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address)
    with refused.value:
        assert refused.value.code == 401


def test_a_node_that_dies_is_replaced_with_all_that_it_had_started(up: Solver) -> None:
    said = facts(up)
    dead = up.cloud.kill_node("worker")
    children = said[f"worker-{dead.task}"]["children"]
    eventually(lambda: dead.task not in {node.task for node in up.cloud.nodes()} and up.running(1, 2))
    assert not any(is_alive(pid) for pid in children)
    stopped = next(t for t in up.described_tasks("STOPPED") if t["taskArn"].endswith(dead.task))
    assert stopped["stoppedReason"] == "Essential container in task exited"
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert stopped["containers"][0]["exitCode"] == 137


def test_a_machine_that_fails_is_replaced(up: Solver) -> None:
    lost = up.cloud.nodes("worker")[0]
    up.ec2.terminate_instances(InstanceIds=[lost.instance])
    other = up.cloud.terminate_machine("leader")
    gone = {lost.instance, other.instance}
    eventually(lambda: not gone & {i["InstanceId"] for i in up.instances()} and up.running(1, 2))
    assert any("taken out of service in response to an EC2 health check" in a["Cause"] for a in up.activities())
    stopped = next(t for t in up.described_tasks("STOPPED") if t["taskArn"].endswith(lost.task))
    assert stopped["stoppedReason"] == f"Host EC2 (instance {lost.instance}) terminated."


def test_a_new_deployment_replaces_every_task(up: Solver) -> None:
    before = {node.task for node in up.cloud.nodes("worker")}
    up.ecs.update_service(cluster=CLUSTER, service=up.outputs["Workers"], forceNewDeployment=True)
    eventually(lambda: up.running(1, 2) and not before & {node.task for node in up.cloud.nodes("worker")})
    assert len(up.service("Workers")["deployments"]) == 1


def test_a_stopped_task_is_replaced_and_tells_why_it_was_stopped(up: Solver) -> None:
    task = up.described_tasks("RUNNING", family="solver-leader")[0]["taskArn"]
    up.ecs.stop_task(cluster=CLUSTER, task=task, reason="for a test")
    stopped = eventually(lambda: [t for t in up.described_tasks("STOPPED") if t["taskArn"] == task])[0]
    assert (stopped["stoppedReason"], stopped["stopCode"]) == ("for a test", "UserInitiated")
    eventually(lambda: up.running(1, 2))


def test_scaling_down_asks_nodes_to_end_and_leaves_no_process(up: Solver) -> None:
    eventually(lambda: len(facts(up)) == 3)
    nodes, children = up.cloud.nodes(), [pid for fact in facts(up).values() for pid in fact["children"]]
    assert all(is_alive(pid) for pid in children)
    up.tasks(leaders=0, workers=0)
    eventually(lambda: not up.cloud.nodes())
    for node in nodes:
        assert (up.cloud.state_dir / "nodes" / node.task / "competition" / "terminated").exists()
        assert not is_alive(node.pid or 0)
    assert not any(is_alive(pid) for pid in children)
    assert up.cloud.node_processes() == []
    assert all(task["lastStatus"] == "STOPPED" for task in up.described_tasks("STOPPED"))
    up.machines(0)
    eventually(lambda: not up.instances())
    assert up.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"] == []
    assert eventually(lambda: up.activities()[0]["StatusCode"] == "Successful" and up.activities())
    assert up.activities()[0]["Description"].startswith("Terminating EC2 instance: i-")


def test_a_node_that_does_not_end_is_killed_when_its_machine_goes(solver: Solver) -> None:
    definition = solver.ecs.register_task_definition(
        family="deaf",
        networkMode="host",
        volumes=[{"name": "disk", "host": {"sourcePath": "/var/lib/disk"}}],
        containerDefinitions=[
            {
                "name": "worker",
                "image": "registry.example/any:worker",
                "memory": 61000,
                "stopTimeout": 60,
                "mountPoints": [{"sourceVolume": "disk", "containerPath": "/mount/efs"}],
            }
        ],
    )["taskDefinition"]["taskDefinitionArn"]
    solver.ecs.create_service(cluster=CLUSTER, serviceName="deaf", taskDefinition=definition, desiredCount=1)
    solver.machines(1)
    node = eventually(solver.cloud.nodes)[0]
    path = solver.cloud.state_dir / "machines" / node.instance / "disk" / f"worker-{node.task}.json"
    eventually(path.exists)  # a volume of the host is a directory of its own for each machine
    pid = node.pid or 0
    os.kill(pid, signal.SIGSTOP)  # so it can't hear
    started = time.monotonic()
    solver.machines(0)
    eventually(lambda: not solver.instances())
    assert 0.5 <= time.monotonic() - started < 10
    assert not is_alive(pid)
    solver.ecs.delete_service(cluster=CLUSTER, service="deaf", force=True)
    eventually(lambda: len(solver.ecs.list_services(cluster=CLUSTER)["serviceArns"]) == 2)
