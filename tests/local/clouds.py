"""What the tests of the local cloud share: a stack in it, and waiting for what comes by itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from satcomp_infra.local.cloud import LocalCloud

from ..waiting import eventually

HERE = Path(__file__).parent
TEMPLATE = (HERE / "template.yaml").read_text()
NODE = (sys.executable, str(HERE / "node.py"))
CLUSTER = "TestCluster"
STACK = "solver"
REGION = "us-east-1"


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Solver:
    """The test template's stack in a local cloud."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.autoscaling, self.ecs, self.ec2 = (self.client(name) for name in ("autoscaling", "ecs", "ec2"))
        self.cloudformation = self.client("cloudformation")

    @cache  # noqa: B019  # a client takes a tenth of a second to make, and there are few of these objects
    def client(self, service: str) -> Any:
        """A client of the cloud."""
        return self.cloud.client(service)

    def create(self, template: str = TEMPLATE, **options: Any) -> str:
        """Create the stack; returns its id. It is not complete yet."""
        answer = self.cloudformation.create_stack(StackName=STACK, TemplateBody=template, **options)
        return str(answer["StackId"])

    def status(self, name: str = STACK) -> str:
        """The stack's."""
        return str(self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    def settled(self, name: str = STACK) -> str:
        """The stack's status once nothing is being done to it any more."""
        return eventually(lambda: "" if (status := self.status(name)).endswith("_IN_PROGRESS") else status)

    def events(self, name: str = STACK) -> list[tuple[str, str, str]]:
        """Logical id, status and reason of all events so far, oldest first."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
        events = [event for page in pages for event in page["StackEvents"]]
        return [(e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason", "")) for e in events][::-1]

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The stack's."""
        stack = self.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def push(self, *tags: str) -> None:
        """Put images into the repository."""
        for tag in tags:
            kind = "application/vnd.oci.image.manifest.v1+json"
            manifest = {"mediaType": kind, "schemaVersion": 2, "layers": [{"digest": tag}]}
            self.client("ecr").put_image(repositoryName="team/solver", imageTag=tag, imageManifest=json.dumps(manifest))

    def machines(self, number: int) -> None:
        """Ask for so many."""
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=self.outputs["Group"], DesiredCapacity=number)

    def tasks(self, leaders: int | None = None, workers: int | None = None) -> None:
        """Ask for so many."""
        for name, number in (("Leaders", leaders), ("Workers", workers)):
            if number is not None:
                self.ecs.update_service(cluster=CLUSTER, service=self.outputs[name], desiredCount=number)

    def service(self, name: str) -> Any:
        """Leaders or Workers, as ECS describes them."""
        return self.ecs.describe_services(cluster=CLUSTER, services=[self.outputs[name]])["services"][0]

    def counts(self, name: str) -> tuple[int, int, int]:
        """Running, pending and desired tasks of a service."""
        service = self.service(name)
        return service["runningCount"], service["pendingCount"], service["desiredCount"]

    def running(self, leaders: int, workers: int) -> bool:
        """Whether that is exactly what runs and what is wanted."""
        return (self.counts("Leaders"), self.counts("Workers")) == ((leaders, 0, leaders), (workers, 0, workers))

    def messages(self, name: str) -> list[str]:
        """The events of a service, newest first."""
        return [event["message"] for event in self.service(name)["events"]]

    def activities(self) -> list[Any]:
        """The group's, newest first."""
        pages = self.autoscaling.get_paginator("describe_scaling_activities")
        found = pages.paginate(AutoScalingGroupName=self.outputs["Group"])
        return [activity for page in found for activity in page["Activities"]]

    def instances(self, *states: str) -> list[Any]:
        """EC2's, in these states; none given: all that are not gone."""
        wanted = states or ("pending", "running", "shutting-down")
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "instance-state-name", "Values": list(wanted)}]
        )
        return [instance for page in pages for r in page["Reservations"] for instance in r["Instances"]]

    def described_tasks(self, status: str, **where: str) -> list[Any]:
        """The cluster's tasks whose desired status this is."""
        arns = self.ecs.list_tasks(cluster=CLUSTER, desiredStatus=status, **where)["taskArns"]
        return self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []
