"""A project's infrastructure in a local cloud, whose nodes do what a test wants, for tests that look at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from satcomp_infra.aws import Aws
from satcomp_infra.finding import find
from satcomp_infra.fleet import Cluster
from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.faults import Faults
from satcomp_infra.local.walkthrough import register_images
from satcomp_infra.project import CLUSTER, Project

from .typing_commands import PROJECT, create
from .waiting import eventually

ROOT = Path(__file__).parent.parent
ZONES = ("us-east-1a", "us-east-1b")
SLEEP = "exec sleep 1000"
REAL = f"exec {sys.executable} -m satcomp_infra.node $1"


class LocalCluster:
    """The infrastructure of a project. Each node runs a shell script of its role, which may be changed at any time."""

    def __init__(self, local: LocalCloud, scripts: Path) -> None:
        self.local = local
        self._scripts = scripts
        self.aws = Aws.connect()
        self.infrastructure = find(self.aws, Project(PROJECT))
        self.cluster = Cluster.of(self.aws, self.infrastructure)
        self.started = datetime.now(UTC)

    def nodes_do(self, leader: str, worker: str = SLEEP) -> None:
        """What nodes that start from now on run."""
        for role, script in (("leader", leader), ("worker", worker)):
            unfinished = self._scripts / f"{role}.new"
            unfinished.write_text(script)
            unfinished.rename(self._scripts / role)

    def start(self, leaders: int = 1, workers: int = 0) -> None:
        """Ask for nodes, in the first zone alone."""
        self.cluster.move(self.infrastructure.subnets[0])
        self.cluster.resize(leaders, workers)

    def run(self, leaders: int = 1, workers: int = 0) -> None:
        """Start nodes, and wait until they run."""
        self.start(leaders, workers)
        eventually(lambda: self.cluster.look().is_complete(leaders, workers))

    def clear(self) -> None:
        """Nothing runs, nothing goes wrong, nothing is left in the manifest."""
        self.local.set_faults(**dict.fromkeys(field.name for field in fields(Faults)))
        self.cluster.stop()
        eventually(lambda: not self.cluster.instances() and not self.local.nodes())
        table = self.local.client("dynamodb")
        for item in table.scan(TableName="SatCompNodeManifest")["Items"]:
            table.delete_item(TableName="SatCompNodeManifest", Key={"nodeId": item["nodeId"]})
        self.nodes_do(SLEEP)
        self.started = datetime.now(UTC)

    def change_container(self, service: str, **changes: object) -> None:
        """Let a service run another task definition, which differs in its container, as after an edit by hand."""
        ecs = self.local.client("ecs")
        arn = ecs.describe_services(cluster=CLUSTER, services=[service])["services"][0]["taskDefinition"]
        definition = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        kept = {name: definition[name] for name in ("family", "networkMode", "volumes") if name in definition}
        containers = [{**definition["containerDefinitions"][0], **changes}]
        new = ecs.register_task_definition(**kept, containerDefinitions=containers)["taskDefinition"]
        ecs.update_service(cluster=CLUSTER, service=service, taskDefinition=new["taskDefinitionArn"])


@contextmanager
def running(directory: Path, track: str = "cloud", **options: Any) -> Iterator[LocalCluster]:
    """A local cloud with a complete infrastructure in it, and images; nothing runs. `options`: see `cloud.start`."""
    script = directory / "node.sh"
    script.write_text(f'. {directory}/"$1"\n')
    delays = {"stack_delay": 0.05, "boot_delay": 0.1, "retry_delay": 0.2, "shutdown_delay": 0.5}
    with (
        cloud.start(zones=ZONES, node_command=["/bin/sh", str(script)], **{**delays, **options}) as local,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in local.environment().items():
            patch.setenv(name, value)
        created = create(track)
        assert created.code == 0, created.err
        register_images(local)
        cluster = LocalCluster(local, directory)
        cluster.nodes_do(SLEEP)
        yield cluster
