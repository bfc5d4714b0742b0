"""What AWS lists in pages: the machines of a group, the container instances and the tasks of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_ec2.type_defs import InstanceTypeDef
    from mypy_boto3_ecs.literals import DesiredStatusType
    from mypy_boto3_ecs.type_defs import ContainerInstanceTypeDef, DescribeTasksResponseTypeDef

    from .aws import Aws

_INSTANCES_PAGE = 250
"""Instances that one call describes: EC2 would take 1000, whose descriptions are then all in memory. Asked for without
a page size, calls are throttled sooner (EC2 Developer Guide, request throttling)."""
_MOST_DESCRIBED = 100
"""Tasks or container instances that one call of ECS describes (API reference)."""
_NOT_GONE = ["pending", "running", "shutting-down", "stopping", "stopped"]


def instances(aws: Aws, filters: Mapping[str, list[str]]) -> Iterator[InstanceTypeDef]:
    """The account's EC2 instances of which these filters hold, with the values that each may have."""
    pages = aws.ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": name, "Values": values} for name, values in filters.items()],
        PaginationConfig={"PageSize": _INSTANCES_PAGE},
    )
    return (instance for page in pages for r in page["Reservations"] for instance in r["Instances"])


def machines(aws: Aws, group: str) -> Iterator[InstanceTypeDef]:
    """All of the group that EC2 has not terminated yet: those that can still cost money."""
    return instances(aws, {"tag:aws:autoscaling:groupName": [group], "instance-state-name": _NOT_GONE})


def container_instances(aws: Aws, cluster: str) -> Iterator[ContainerInstanceTypeDef]:
    """The machines that have joined the cluster."""
    for page in aws.ecs.get_paginator("list_container_instances").paginate(cluster=cluster):
        for arns in _portions(page["containerInstanceArns"]):
            answer = aws.ecs.describe_container_instances(cluster=cluster, containerInstances=arns)
            yield from answer["containerInstances"]


def tasks(aws: Aws, cluster: str, status: DesiredStatusType) -> Iterator[DescribeTasksResponseTypeDef]:
    """The tasks that should be RUNNING or STOPPED (which ECS forgets after an hour), in answers of several."""
    for page in aws.ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus=status):
        for arns in _portions(page["taskArns"]):
            yield aws.ecs.describe_tasks(cluster=cluster, tasks=arns)


def _portions(arns: Sequence[str]) -> Iterator[Sequence[str]]:
    return (arns[start : start + _MOST_DESCRIBED] for start in range(0, len(arns), _MOST_DESCRIBED))
