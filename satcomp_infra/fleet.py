"""The cluster's machines and services: how many there should be, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from .aws import aws_time, error_code, error_message, together
from .listing import container_instances, machines
from .project import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef, InstanceTypeDef

    from .aws import Aws
    from .stack import Infrastructure

_GONE = ("ServiceNotFoundException", "ServiceNotActiveException", "ClusterNotFoundException")
_ENDED_AT_A_TIME = 20
"""Machines that are ended one by one between two looks: Auto Scaling has no call for several."""


@dataclass(frozen=True)
class Service:
    """How far an ECS service is: tasks wanted, being started, running."""

    desired: int
    pending: int
    running: int


@dataclass(frozen=True)
class Fleet:
    """What runs at a moment. `instances` counts the machines that EC2 has started or is starting."""

    desired_instances: int
    instances: int
    registered: int
    """Machines that have joined the cluster, so that tasks can be placed on them."""
    leaders: Service
    workers: Service
    zones: tuple[str, ...] = ()
    """Where the group may start machines."""

    @property
    def booting(self) -> int:
        """Machines that EC2 has started or is starting, and that have not joined the cluster yet."""
        return max(self.instances - self.registered, 0)

    @property
    def running(self) -> int:
        """Nodes that run."""
        return self.leaders.running + self.workers.running

    def is_complete(self, leaders: int, workers: int) -> bool:
        """Whether exactly the nodes that were asked for run."""
        return self.leaders == Service(leaders, 0, leaders) and self.workers == Service(workers, 0, workers)


class Cluster:
    """A project's Auto Scaling group and ECS services, by their names; an empty name is of something that isn't there.

    Group and cluster may have been deleted meanwhile: then there is nothing to stop, and nothing to be seen.
    """

    def __init__(self, aws: Aws, group: str, cluster: str, leader_service: str, worker_service: str) -> None:
        self._aws = aws
        self._group = group
        self._cluster = cluster
        self._leader_service = leader_service
        self._worker_service = worker_service

    @classmethod
    def of(cls, aws: Aws, infrastructure: Infrastructure) -> Self:
        """The cluster of a complete infrastructure."""
        return cls(
            aws,
            infrastructure.auto_scaling_group,
            infrastructure.cluster,
            infrastructure.leader_service,
            infrastructure.worker_service,
        )

    @classmethod
    def of_resources(cls, aws: Aws, resources: Mapping[str, str]) -> Self:
        """What there is of a cluster among the resources of a stack, whatever state that is in."""
        services = ("SolverLeaderService", "SolverWorkerService")
        return cls(
            aws, resources.get("EcsInstanceAsg", ""), CLUSTER, *(resources.get(service, "") for service in services)
        )

    def move(self, subnet: str, *, start_again_with: int = 0) -> None:
        """Let machines be started in the zone of `subnet` alone, of which nodes talk fast and without charge.

        Machines in other zones would be moved by Auto Scaling at a time of its own: so they are ended at once, and as
        many are asked for again.
        """
        client, group = self._aws.autoscaling, self._group
        if start_again_with:
            client.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=0, HonorCooldown=False)
        client.update_auto_scaling_group(AutoScalingGroupName=group, VPCZoneIdentifier=subnet)
        if start_again_with:
            self._set_group(start_again_with)

    def resize(self, leaders: int, workers: int, *, keep_machines: bool = False) -> None:
        """Ask for so many nodes, one machine each. Returns at once; the machines need minutes.

        With `keep_machines` their number stays, for Auto Scaling would end any of them, whatever they do: call
        end_idle_machines() when the services have ended the nodes that are too many.
        """
        if not keep_machines:
            self._set_group(leaders + workers)
        together(
            lambda: self._set_service(self._leader_service, leaders),
            lambda: self._set_service(self._worker_service, workers),
        )

    def want_no_more(self, wanted: int) -> None:
        """Ask for no machine beyond those that are there, or `wanted` where that is more: none is ended by this."""
        group = self._describe_group()
        if group is None:
            return
        there = sum(_stays(instance) for instance in group["Instances"])
        if group["DesiredCapacity"] > max(there, wanted):
            self._set_group(max(there, wanted))

    def end_idle_machines(self, wanted: int) -> None:
        """End machines on which no node runs, until `wanted` are left; at most a few at a time: call it again."""
        group = self._describe_group()
        surplus = group["DesiredCapacity"] - wanted if group else 0
        if group is None or surplus <= 0:
            return
        tasks = self._tasks_by_machine()
        idle = [i["InstanceId"] for i in group["Instances"] if _stays(i) and not tasks.get(i["InstanceId"])]
        idle.sort(key=tasks.__contains__)  # first those that have not even joined the cluster
        for machine in idle[: min(surplus, _ENDED_AT_A_TIME)]:
            self._aws.autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=machine, ShouldDecrementDesiredCapacity=True
            )

    def _tasks_by_machine(self) -> dict[str, int]:
        """How many tasks run or are being started on each machine that has joined the cluster."""
        joined = container_instances(self._aws, self._cluster)
        return {one["ec2InstanceId"]: one["runningTasksCount"] + one["pendingTasksCount"] for one in joined}

    def refusals(self) -> tuple[datetime, list[tuple[str, str]]]:
        """Id and message of the latest launches that EC2 refused (one page of at most 100), and AWS's time of now."""
        answer = self._aws.autoscaling.describe_scaling_activities(AutoScalingGroupName=self._group, MaxRecords=100)
        return aws_time(answer), [
            (activity["ActivityId"], activity.get("StatusMessage", ""))
            for activity in answer["Activities"]
            if activity["StatusCode"] == "Failed"
        ]

    def restart(self, *roles: str) -> None:
        """Let ECS end the nodes of these roles, and start new ones, which pull the image anew. Returns at once."""
        for role in roles:
            service = self._leader_service if role == "leader" else self._worker_service
            self._aws.ecs.update_service(cluster=self._cluster, service=service, forceNewDeployment=True)

    def stop(self) -> None:
        """Ask for no node at all; what isn't there needs no stopping. Returns at once."""
        together(
            lambda: _unless_gone(lambda: self._set_group(0), bool(self._group)),
            lambda: _unless_gone(lambda: self._set_service(self._leader_service, 0), bool(self._leader_service)),
            lambda: _unless_gone(lambda: self._set_service(self._worker_service, 0), bool(self._worker_service)),
        )

    def _set_group(self, machines: int) -> None:
        self._aws.autoscaling.set_desired_capacity(
            AutoScalingGroupName=self._group, DesiredCapacity=machines, HonorCooldown=False
        )

    def _set_service(self, service: str, count: int) -> None:
        self._aws.ecs.update_service(cluster=self._cluster, service=service, desiredCount=count)

    def look(self) -> Fleet:
        """What runs now (three calls, at the same time)."""
        group, (leaders, workers), registered = together(self._describe_group, self.services, self._registered)
        if group is None:
            return Fleet(0, 0, registered, leaders, workers)
        zones = tuple(group["AvailabilityZones"])
        return Fleet(group["DesiredCapacity"], len(group["Instances"]), registered, leaders, workers, zones)

    def instances(self) -> list[str]:
        """The ids of all machines of the group that EC2 has not terminated yet: those that can still cost money."""
        return [machine["InstanceId"] for machine in machines(self._aws, self._group)]

    def _describe_group(self) -> AutoScalingGroupTypeDef | None:
        answer = self._aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self._group])
        return next(iter(answer["AutoScalingGroups"]), None)

    def services(self) -> tuple[Service, Service]:
        """How far leaders and workers are."""
        names = [self._leader_service, self._worker_service]
        answer = self._aws.ecs.describe_services(cluster=self._cluster, services=names)
        counts = {
            name: Service(service["desiredCount"], service["pendingCount"], service["runningCount"])
            for service in answer["services"]
            for name in (service["serviceName"], service["serviceArn"])
        }
        nothing = Service(0, 0, 0)
        return counts.get(names[0], nothing), counts.get(names[1], nothing)

    def _registered(self) -> int:
        answer = self._aws.ecs.describe_clusters(clusters=[self._cluster])
        return sum(cluster["registeredContainerInstancesCount"] for cluster in answer["clusters"])


def _stays(instance: InstanceTypeDef) -> bool:
    """Whether a group's machine is not on its way out."""
    return not instance["LifecycleState"].startswith("Terminat")


def _unless_gone(change: Callable[[], None], there: bool) -> None:
    from botocore.exceptions import ClientError

    try:
        if there:
            change()
    except ClientError as error:
        gone = error_code(error) in _GONE or "not found" in error_message(error)  # Auto Scaling has no code for it
        if not gone:
            raise
