"""The base images and the sample solver's, as they were built."""

from __future__ import annotations

import time
from collections.abc import Sequence

import docker.client
from docker.models.containers import Container

NOWHERE = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9",
    "SQS_QUEUE_NAME": "jobs",
    "SQS_OUTPUT_QUEUE_NAME": "results",
    "SATCOMP_BUCKET_NAME": "bucket",
}


def run(engine: docker.client.DockerClient, image: str, script: str, entry: Sequence[str] = ("sh", "-c")) -> str:
    """What a shell script prints in a container, without a network but its own loopback."""
    said: bytes = engine.containers.run(image, [script], entrypoint=list(entry), network_mode="none", remove=True)
    return said.decode()


def test_solvers_run_as_ecs_user_who_owns_what_they_write_to(docker_engine: docker.client.DockerClient) -> None:
    said = run(docker_engine, "satcomp-infrastructure:leader", "id -un; id -u; touch /competition/x /mount/efs/x")
    assert said.split() == ["ecs-user", "1000"]


def test_a_leader_reaches_its_workers_by_the_key_pair_that_both_images_have(
    docker_engine: docker.client.DockerClient,
) -> None:
    keys = [run(docker_engine, f"satcomp-infrastructure:{role}", "cat ~/.ssh/*") for role in ("leader", "worker")]
    assert keys[0] == keys[1]
    said = run(
        docker_engine,
        "satcomp-infrastructure:worker",
        "/usr/sbin/sshd -f /etc/satcomp/sshd_config && sleep 0.2 && ssh 127.0.0.1 whoami",
    )
    assert said == "ecs-user\n"


def test_mpi_starts_processes(docker_engine: docker.client.DockerClient) -> None:
    script = "mpirun -np 2 --oversubscribe sh -c 'echo $OMPI_COMM_WORLD_RANK'"
    assert sorted(run(docker_engine, "satcomp-infrastructure:leader", script).split()) == ["0", "1"]


def test_the_runtime_has_what_it_needs_and_nothing_of_the_commands(docker_engine: docker.client.DockerClient) -> None:
    script = (
        "/opt/satcomp/bin/python -c 'import botocore, zstandard, satcomp_infra.node.leader, importlib.util as u; "
        'print([n for n in ("boto3", "docker", "rich", "jinja2", "pip", "moto") if u.find_spec(n)])\''
    )
    assert run(docker_engine, "satcomp-infrastructure:leader", script) == "[]\n"


def test_the_sample_has_its_solver(docker_engine: docker.client.DockerClient) -> None:
    assert run(docker_engine, "sample-solver:worker", "kissat --version; ls /competition").split() == [
        "4.0.4",
        "cleanup",
        "solver",
        "worker",
    ]


def start(engine: docker.client.DockerClient, role: str) -> Container:
    """A node that doesn't reach AWS, started as ECS does it: with an init process of its own."""
    return engine.containers.run(
        f"sample-solver:{role}", environment=NOWHERE, network_mode="none", init=True, detach=True
    )


def test_sigterm_reaches_the_runtime(docker_engine: docker.client.DockerClient) -> None:
    node = start(docker_engine, "leader")
    until(node, "python")
    node.kill("SIGTERM")
    assert node.wait(timeout=20)["StatusCode"] == 0
    assert b"asked to stop by SIGTERM" in node.logs()
    node.remove()


def test_a_node_is_healthy_once_its_heartbeat_beats(docker_engine: docker.client.DockerClient) -> None:
    beat = "/opt/satcomp/bin/python -c 'from satcomp_infra.node.health import beat; beat()'"
    said = run(docker_engine, "sample-solver:worker", f"healthy; echo $?; {beat}; healthy; echo $?")
    assert said == "The node runtime has not begun to work yet.\n1\n0\n"
    image = docker_engine.images.get("sample-solver:worker")
    assert image.attrs["Config"]["Healthcheck"]["Test"] == ["CMD", "healthy"]


def until(node: Container, program: str) -> None:
    """Wait until the program runs there and can take a signal."""
    deadline = time.monotonic() + 20
    while not node.logs() and not any(program in " ".join(words) for words in node.top()["Processes"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
