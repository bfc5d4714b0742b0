"""Every reason why a cluster doesn't start or stands still, produced in the local cloud, and what is said of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from satcomp_infra.diagnosis import KNOWN, Finding, diagnose, examine
from satcomp_infra.evidence import Evidence
from satcomp_infra.observation import gather

from .local_cluster import REAL, SLEEP, ZONES, LocalCluster, running
from .typing_commands import NAMES, PROJECT, plain, run_in_time
from .waiting import eventually

TYPE = "m6i.4xlarge"


@pytest.fixture(scope="module")
def module_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(module_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> LocalCluster:
    """The cluster with nothing in it, after whatever a test before has left."""
    for name, value in module_cluster.local.environment().items():
        monkeypatch.setenv(name, value)
    module_cluster.clear()
    return module_cluster


def look(cluster: LocalCluster) -> dict[str, Finding]:
    return {found.kind: found for found in diagnose(cluster.aws, cluster.infrastructure, cluster.started)}


def observe(cluster: LocalCluster) -> Evidence:
    return gather(cluster.aws, cluster.infrastructure, cluster.started)


def only(cluster: LocalCluster, kind: str) -> Finding:
    """The finding of this kind, as soon as it is there; there is no other."""
    found = eventually(lambda: found if kind in (found := look(cluster)) else None)
    assert list(found) == [kind]
    return found[kind]


def test_nothing_is_wrong_where_nothing_runs_and_while_all_starts(cluster: LocalCluster) -> None:
    assert look(cluster) == {}
    cluster.local.set_faults(slow_boot=1000)
    cluster.start(1, 2)

    def complains() -> bool:
        assert look(cluster) == {}
        events = cluster.local.client("ecs").describe_services(
            cluster=cluster.infrastructure.cluster, services=[cluster.infrastructure.leader_service]
        )["services"][0]["events"]
        return any("No Container Instances were found" in event["message"] for event in events)

    eventually(complains)
    assert look(cluster) == {}
    cluster.local.set_faults(slow_boot=None)
    for _ in range(1000):
        assert look(cluster) == {}
        if cluster.cluster.look().is_complete(1, 2):
            break
    assert look(cluster) == {}
    cluster.cluster.stop()
    assert look(cluster) == {}


def test_a_quota_that_is_too_small(cluster: LocalCluster) -> None:
    cluster.local.set_faults(vcpu_quota=32)
    cluster.start(1, 2)
    found = only(cluster, "quota-exceeded")
    assert found.message == (
        "The account may run 32 vCPU at once in us-east-1, machines of other uses included; 3 machines of type "
        "m6i.4xlarge need 48."
    )
    assert found.fatal
    assert "Service Quotas > Amazon EC2" in found.advice


def test_a_zone_without_capacity_and_then_all(cluster: LocalCluster) -> None:
    cluster.local.set_faults(zones_without_capacity=ZONES)
    cluster.start()
    found = only(cluster, "no-capacity-in-zone")
    assert found.message == f"AWS has no {TYPE} left in zone us-east-1a at the moment."
    assert not found.fatal
    cluster.cluster.move(cluster.infrastructure.subnets[1])
    found = eventually(lambda: look(cluster).get("no-capacity-anywhere"))
    assert found.message == f"AWS has no {TYPE} left in any zone of the infrastructure (us-east-1a, us-east-1b)."
    assert found.fatal
    cluster.local.set_faults(zones_without_capacity=None)
    eventually(lambda: not look(cluster))


def test_a_zone_without_such_machines(cluster: LocalCluster) -> None:
    cluster.local.set_faults(zones_without_type=ZONES[:1])
    cluster.start()
    assert only(cluster, "type-not-in-zone").message == f"Zone us-east-1a has no machines of type {TYPE}."
    cluster.cluster.move(cluster.infrastructure.subnets[1])
    eventually(lambda: not look(cluster))


VALIDATED = (
    "Your request for accessing resources in this region is being validated, and you will not be able to launch "
    "additional resources in this region until the validation is complete."
)


NO_CAPACITY_FOR_DISKS = (
    "We currently do not have sufficient m6i.4xlarge capacity in zones with support for 'gp3' volumes. Our system will "
    "be working on provisioning additional capacity."
)


@pytest.mark.parametrize(
    ("refusal", "kind", "fatal"),
    [
        (VALIDATED, "account-not-verified", True),
        ("The image id '[ami-1]' does not exist.", "launch-failed", False),
        (NO_CAPACITY_FOR_DISKS, "no-capacity-in-zone", False),
    ],
)
def test_ec2_refuses_to_start_machines(cluster: LocalCluster, refusal: str, kind: str, fatal: bool) -> None:
    cluster.local.set_faults(launch_refusal=refusal)
    cluster.start()
    found = only(cluster, kind)
    assert found.fatal is fatal
    if kind == "no-capacity-in-zone":
        assert found.message == f"AWS has no {TYPE} left in zone us-east-1a at the moment."
    if kind == "launch-failed":
        assert found.message.startswith(f"EC2 refuses to start a machine: {refusal}")


def test_a_machine_that_is_ended_from_outside(cluster: LocalCluster) -> None:
    cluster.run(1, 1)
    ended = cluster.local.terminate_machine("worker").instance
    found = only(cluster, "machine-terminated")
    assert found.message.startswith(f"Machine {ended} was ended from outside or failed at ")
    assert not found.fatal
    eventually(lambda: cluster.cluster.look().is_complete(1, 1))


def test_a_machine_that_does_not_join(cluster: LocalCluster) -> None:
    cluster.local.set_faults(slow_boot=1000)
    cluster.start()
    evidence = eventually(lambda: e if (e := observe(cluster)).machines else None)
    running = replace(evidence, machines=(replace(evidence.machines[0], state="running"),))
    assert examine(running, cluster.infrastructure) == []
    [found] = examine(replace(running, now=evidence.now + timedelta(minutes=7)), cluster.infrastructure)
    assert found.kind == "machine-not-joined"
    assert f"Machine {evidence.machines[0].id} has been running for " in found.message


def test_an_agent_without_a_connection(cluster: LocalCluster) -> None:
    cluster.run(1)
    cluster.local.set_faults(disconnected_agents=True)
    cluster.start(1, 1)
    found = eventually(lambda: look(cluster).get("agent-disconnected"))
    assert not found.fatal
    assert "has lost its connection" in found.message
    assert list(look(cluster)) == ["agent-disconnected"]


def test_fewer_machines_than_nodes(cluster: LocalCluster) -> None:
    cluster.run(1)
    cluster.cluster.resize(1, 2, keep_machines=True)
    found = only(cluster, "too-few-machines")
    assert found.message == "3 nodes are wanted and only 1 machine, each of which runs one node."
    assert found.advice.endswith("--workers 2")


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"memory": 248000}, "container-too-big", "needs 248000 MiB of memory, and the machines have 63266."),
        ({"cpu": 65536}, "too-little-cpu", "needs 65536 CPU units (1024 each vCPU), and the machines have 16384."),
        ({"portMappings": [{"hostPort": 22, "containerPort": 22}]}, "port-in-use", "a port that is taken"),
    ],
)
def test_a_container_that_fits_on_no_machine(
    cluster: LocalCluster, changes: dict[str, object], kind: str, said: str
) -> None:
    service = cluster.infrastructure.leader_service
    ecs = cluster.local.client("ecs")
    where = {"cluster": cluster.infrastructure.cluster, "services": [service]}
    before = ecs.describe_services(**where)["services"][0]["taskDefinition"]
    cluster.change_container(service, **changes)
    try:
        cluster.start()
        found = only(cluster, kind)
    finally:
        ecs.update_service(cluster=where["cluster"], service=service, taskDefinition=before)
    assert said in found.message
    assert found.fatal


def test_a_machine_that_lacks_something_else(cluster: LocalCluster) -> None:
    """The local cloud gives no other reason: the words come from ECS's documentation."""
    cluster.local.set_faults(missing_images=["leader"])
    cluster.start()
    evidence = eventually(lambda: e if (e := observe(cluster)).machines else None)
    agent = eventually(lambda: observe(cluster).machines[0].agent)
    message = (
        "(service leader) was unable to place a task because no container instance met all of its requirements. "
        "The closest matching container-instance 1234 is missing an attribute required by your task. For more ..."
    )
    role = replace(evidence.roles["leader"], events=((evidence.now, message),))
    evidence = replace(
        evidence,
        roles={**evidence.roles, "leader": role},
        machines=(replace(evidence.machines[0], agent=agent),),
        stopped=(),
    )
    [found] = examine(evidence, cluster.infrastructure)
    assert found.kind == "not-placed"
    assert "is missing an attribute required by your task" in found.message


def test_an_image_that_is_missing(cluster: LocalCluster) -> None:
    cluster.local.set_faults(missing_images=["worker"])
    cluster.start(1, 1)
    found = only(cluster, "image-missing")
    assert found.message == (
        f"The worker's image 123456789012.dkr.ecr.us-east-1.amazonaws.com/{PROJECT}:worker is not in the repository."
    )
    assert found.advice == f"Push it:\n./push-ecr --project {PROJECT} --worker WORKER_IMAGE"
    assert found.fatal
    cluster.local.set_faults(missing_images=None)
    eventually(lambda: cluster.cluster.look().is_complete(1, 1))
    assert look(cluster) == {}


MOUNT = (
    "Error response from daemon: create ecs-x: VolumeDriver.Create: mounting volume failed: Failed to resolve "
    '"fs-1.efs.us-east-1.amazonaws.com"'
)
PULL = "CannotPullContainerError: pull image manifest has been retried 7 time(s): "


@pytest.mark.parametrize(
    ("container", "stopped", "kind", "fatal"),
    [
        (PULL + "dial tcp: i/o timeout", "Task failed to start", "image-not-pullable", False),
        ("", PULL + "failed to resolve ref r:leader: r:leader: not found", "image-missing", True),
        ("CannotPullContainerError: write /var: no space left on device", "Task failed to start", "disk-full", True),
        (
            PULL + "image Manifest does not contain descriptor matching platform 'linux/amd64'",
            "Task failed to start",
            "wrong-architecture",
            True,
        ),
        ("", MOUNT, "mount-failed", False),
        (
            "OutOfMemoryError: Container killed due to memory usage",
            "Essential container in task exited",
            "out-of-memory",
            False,
        ),
        ("CannotStartContainerError: OCI runtime create failed", "Task failed to start", "start-failed", False),
    ],
)
def test_a_task_that_fails_to_start(
    cluster: LocalCluster, container: str, stopped: str, kind: str, fatal: bool
) -> None:
    cluster.local.set_faults(tasks=[{"role": "leader", "container": container, "stopped": stopped}])
    cluster.start()
    found = only(cluster, kind)
    assert found.fatal is fatal
    if kind in ("image-not-pullable", "mount-failed", "start-failed"):
        assert (container or stopped) in found.message


def test_a_node_that_crashes_is_shown_with_its_last_lines(cluster: LocalCluster) -> None:
    cluster.nodes_do("for n in 1 2 3 4 5 6; do echo line $n; done; sleep 0.1; exit 3")
    cluster.start()
    found = eventually(lambda: f if (f := look(cluster).get("node-crashes")) and f.lines and f.fatal else None)
    assert found.message.startswith("The leader ended after 0.")
    assert "with exit code 3, " in found.message
    assert found.lines == tuple(f"line {n}" for n in (2, 3, 4, 5, 6))
    assert found.advice == "See all that it said:\n./show_status --logs leader"
    cluster.nodes_do(SLEEP)
    eventually(lambda: cluster.cluster.look().is_complete(1, 0))
    assert "node-crashes" in look(cluster)  # it may do so again in a moment
    evidence = observe(cluster)
    later = replace(evidence, now=evidence.now + timedelta(minutes=2))
    assert examine(later, cluster.infrastructure) == []


@pytest.mark.usefixtures("nodes_settle")
def test_a_setup_is_not_complete_while_a_node_that_crashes_happens_to_run(cluster: LocalCluster) -> None:
    cluster.nodes_do("sleep 1; echo no solver here; exit 3")
    answer = run_in_time("instances", "--option", "setup", "--workers", "0")
    assert answer.code == 1
    assert "The leader ended after " in plain(answer.err)
    assert "with exit code 3" in plain(answer.err)
    assert "no solver here" in answer.err
    assert "No machine is running." in plain(answer.err)


def test_an_image_for_another_architecture(cluster: LocalCluster) -> None:
    cluster.nodes_do(SLEEP, worker="echo exec /competition/worker: exec format error; sleep 0.3; exit 255")
    cluster.start(1, 1)
    found = eventually(lambda: look(cluster).get("wrong-architecture"))
    assert found.message.startswith("The worker's image is not for linux/amd64")
    assert found.fatal


def put_node(cluster: LocalCluster, kind: str, status: str, *, age: float, address: str = "10.0.0.1") -> None:
    """A node's item in the manifest, as the node itself writes it."""
    machine = cluster.cluster.instances()[0]
    values = {"nodeId": kind, "nodeIp": address, "nodeType": kind, "status": status, "instanceId": machine}
    item = {name: {"S": value} for name, value in values.items()}
    item["lastModified"] = {"N": str(int(time.time() - age))}
    cluster.local.client("dynamodb").put_item(TableName="SatCompNodeManifest", Item=item)


def test_a_node_that_is_not_heard_of(cluster: LocalCluster) -> None:
    cluster.run(1)
    put_node(cluster, "LEADER", "READY", age=0)
    assert look(cluster) == {}
    put_node(cluster, "LEADER", "READY", age=30)
    assert only(cluster, "node-silent").message.startswith("The leader at 10.0.0.1 has not been heard of for 3")


def test_a_leader_without_a_solver_says_so_itself(cluster: LocalCluster) -> None:
    cluster.nodes_do('rm "$SATCOMP_COMPETITION_DIR/solver"; ' + REAL)
    cluster.start(1)
    found = only(cluster, "node-in-error")
    assert "says of itself that it can't work (status ERROR)" in found.message


def test_a_job_that_waits_for_workers_nobody_has_started(cluster: LocalCluster) -> None:
    cluster.nodes_do(REAL)
    cluster.local.client("s3").put_object(Bucket=NAMES.bucket, Key="p.cnf", Body=b"p cnf 1 1\n1 0\n")
    body = json.dumps({"s3_uri": f"s3://{NAMES.bucket}/p.cnf", "num_workers": 3})
    queue = cluster.infrastructure.job_queue
    job = cluster.local.client("sqs").send_message(QueueUrl=queue, MessageBody=body)["MessageId"]
    cluster.start(1)
    found = only(cluster, "too-few-workers")
    assert found.message == f"Job {job} asks for 3 workers, and the cluster has 0: its leader waits."
    assert "--workers 3" in found.advice
    assert not found.fatal
    cluster.clear()  # and the job goes back to the queue
    cluster.nodes_do(f"export SATCOMP_LOG_FORMAT=json; {REAL}")
    cluster.start(1)
    assert only(cluster, "too-few-workers") == found
    cluster.local.client("sqs").purge_queue(QueueUrl=queue)


def test_what_was_before_is_not_told_of(cluster: LocalCluster) -> None:
    cluster.local.set_faults(missing_images=["leader"])
    cluster.start()
    only(cluster, "image-missing")
    now: datetime = gather(cluster.aws, cluster.infrastructure).now + timedelta(minutes=1)
    assert diagnose(cluster.aws, cluster.infrastructure, now) == []


def test_what_was_before_a_shutdown_is_not_told_of(cluster: LocalCluster) -> None:
    cluster.nodes_do("exit 3")
    cluster.start()
    only(cluster, "node-crashes")
    cluster.cluster.stop()
    eventually(lambda: not cluster.cluster.instances())
    cluster.local.set_faults(slow_boot=1000)
    cluster.start()
    eventually(cluster.cluster.instances)
    assert look(cluster) == {}


def test_many_stopped_tasks_are_asked_for_in_portions(cluster: LocalCluster) -> None:
    cluster.local.forget_calls()
    look(cluster)
    calls = cluster.local.calls()
    assert calls["ecs.ListTasks"] == 1
    assert sum(calls.values()) < 15


def test_every_cause_can_be_told_of() -> None:
    kinds = [cause.kind for cause in KNOWN]
    assert len(kinds) == len(set(kinds))
    for cause in KNOWN:
        assert cause.sign
        assert cause.message.endswith(".")


def test_a_node_that_a_signal_has_ended_names_it(cluster: LocalCluster) -> None:
    cluster.run(1)
    cluster.local.kill_node("leader")
    found = eventually(lambda: look(cluster).get("node-crashes"))
    assert found.message.endswith("with exit code 137 (SIGKILL).")
