"""Asking AWS for all that it can tell of a cluster, at once."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from . import listing
from .aws import aws_time, error_code
from .evidence import ROLES, Activity, Agent, Evidence, Machine, Role, StoppedTask, WaitingJob
from .fleet import Service
from .node import log as node_log
from .node import manifest
from .node.background import background
from .node.manifest import NodeStatus, NodeType

if TYPE_CHECKING:
    from .aws import Aws
    from .node.manifest import Node
    from .stack import Infrastructure

HORIZON = timedelta(hours=1)
"""How far back is looked where nothing else is said; ECS itself forgets stopped tasks after an hour."""
LAST_LINES = 5
_NEVER = datetime.min.replace(tzinfo=UTC)


def gather(aws: Aws, infrastructure: Infrastructure, since: datetime | None = None) -> Evidence:
    """Ask for all of it, at the same time. Of what has happened, only what is newer than `since` and than an hour.

    What was before all machines were shut down is left out, too. Raises AWS's errors.
    """
    ask = _Questions(aws, infrastructure, since)
    group, services, agents = background(ask.group), background(ask.services), background(ask.agents)
    activities, stopped, nodes = background(ask.activities), background(ask.stopped), background(ask.nodes)
    instances = background(ask.instances)
    desired, there, zones = group.result()
    now, roles = services.result()
    tasks, last_words = stopped.result()
    registered, (seen, waiting) = agents.result(), nodes.result()
    happened = activities.result()
    begin = _last_shutdown(happened)
    return Evidence(
        now=now,
        region=aws.region,
        desired_machines=desired,
        group_machines=there,
        group_zones=zones,
        machines=tuple(replace(machine, agent=registered.get(machine.id)) for machine in instances.result()),
        roles=roles,
        stopped=tuple(task for task in tasks if task.stopped >= begin),
        activities=tuple(activity for activity in happened if activity.start >= begin),
        nodes=seen,
        last_words=last_words,
        waiting=waiting,
    )


def _last_shutdown(activities: tuple[Activity, ...]) -> datetime:
    """When the group was without machines last: what went wrong before that is of another setup."""
    ends = [a.end or a.start for a in activities if re.search(r"shrinking the capacity from \d+ to 0\b", a.cause)]
    return max(ends, default=_NEVER)


def log_group(infrastructure: Infrastructure, role: str) -> str:
    """Where nodes of a role print to."""
    return infrastructure.leader_log_group if role == "leader" else infrastructure.worker_log_group


class _Questions:
    """Each method is a question to AWS, of one call or of several that need each other's answers."""

    def __init__(self, aws: Aws, infrastructure: Infrastructure, since: datetime | None) -> None:
        self._aws = aws
        self._infrastructure = infrastructure
        self._since = since
        self._services = {infrastructure.leader_service: "leader", infrastructure.worker_service: "worker"}

    def _start(self, response: Any) -> datetime:
        return max(self._since or _NEVER, aws_time(response) - HORIZON)

    def group(self) -> tuple[int, int, tuple[str, ...]]:
        name = self._infrastructure.auto_scaling_group
        answer = self._aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        zone_of = dict(zip(self._infrastructure.subnets, self._infrastructure.zones, strict=False))
        for group in answer["AutoScalingGroups"]:
            staying = [i for i in group["Instances"] if not i["LifecycleState"].startswith("Terminat")]
            zones = tuple(zone_of.get(subnet, "") for subnet in group.get("VPCZoneIdentifier", "").split(","))
            return group["DesiredCapacity"], len(staying), tuple(zone for zone in zones if zone)
        return 0, 0, ()

    def activities(self) -> tuple[Activity, ...]:
        name = self._infrastructure.auto_scaling_group
        pages = self._aws.autoscaling.get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=name)
        found: list[Activity] = []
        for page in pages:  # of the last six weeks, newest first
            for activity in page["Activities"]:
                if activity["StartTime"] < self._start(page):
                    return tuple(found)
                found.append(
                    Activity(
                        start=activity["StartTime"],
                        end=activity.get("EndTime"),
                        description=activity.get("Description", ""),
                        cause=activity.get("Cause", ""),
                        status=activity["StatusCode"],
                        message=activity.get("StatusMessage") or "",
                    )
                )
        return tuple(found)

    def services(self) -> tuple[datetime, dict[str, Role]]:
        ecs, cluster = self._aws.ecs, self._infrastructure.cluster
        answer = ecs.describe_services(cluster=cluster, services=list(self._services))
        start, roles = self._start(answer), {}
        for service in answer["services"]:
            name = self._services[service["serviceName"]]
            counts = Service(service["desiredCount"], service["pendingCount"], service["runningCount"])
            cpu = memory = 0
            if counts.running < counts.desired:
                definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
                containers = definition["containerDefinitions"]
                cpu = sum(container.get("cpu", 0) for container in containers)
                memory = sum(container.get("memory", 0) for container in containers)
            events = tuple((e["createdAt"], e["message"]) for e in service["events"] if e["createdAt"] >= start)
            roles[name] = Role(name, counts, events, cpu, memory)
        for name in ROLES:
            roles.setdefault(name, Role(name, Service(0, 0, 0), ()))
        return aws_time(answer), roles

    def stopped(self) -> tuple[tuple[StoppedTask, ...], dict[str, tuple[str, ...]]]:
        found = []
        for answer in listing.tasks(self._aws, self._infrastructure.cluster, "STOPPED"):
            tasks = [self._task(task) for task in answer["tasks"] if task.get("stoppedAt")]
            start = self._start(answer)
            found += [task for task in tasks if task.role and task.stopped >= start]
        found.sort(key=lambda task: task.stopped, reverse=True)
        words = {}
        for role in ROLES:
            last = next((t for t in found if t.role == role and t.code == "EssentialContainerExited"), None)
            if last:
                words[role] = self._last_lines(log_group(self._infrastructure, role), f"ecs/{role}/{last.id}")
        return tuple(found), words

    def _task(self, task: Any) -> StoppedTask:
        containers = task["containers"]
        stopped = task["stoppedAt"]
        return StoppedTask(
            id=task["taskArn"].rpartition("/")[2],
            role=self._services.get(task.get("group", "").removeprefix("service:"), ""),
            image=next((c["image"] for c in containers if c.get("image")), ""),
            code=task.get("stopCode", ""),
            reason=task.get("stoppedReason", ""),
            container_reason=next((c["reason"] for c in containers if c.get("reason")), ""),
            exit_code=next((c["exitCode"] for c in containers if "exitCode" in c), None),
            stopped=stopped,
            ran_seconds=(stopped - task.get("startedAt", stopped)).total_seconds(),
        )

    def _last_lines(self, group: str, stream: str) -> tuple[str, ...]:
        from botocore.exceptions import ClientError

        events: list[Any] = []
        token: Any = {}
        try:
            for _ in range(2):  # CloudWatch may answer with nothing where there is something further back
                answer = self._aws.logs.get_log_events(
                    logGroupName=group, logStreamName=stream, limit=LAST_LINES, startFromHead=False, **token
                )
                events = answer["events"]
                if events:
                    break
                token = {"nextToken": answer["nextBackwardToken"]}
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":  # it has not printed a line
                raise
        return tuple(event["message"].rstrip() for event in events)

    def agents(self) -> dict[str, Agent]:
        found = {}
        for one in listing.container_instances(self._aws, self._infrastructure.cluster):
            has = {r["name"]: r.get("integerValue", 0) for r in one["registeredResources"]}
            tasks = one["runningTasksCount"] + one["pendingTasksCount"]
            found[one["ec2InstanceId"]] = Agent(one["agentConnected"], has.get("CPU", 0), has.get("MEMORY", 0), tasks)
        return found

    def instances(self) -> list[Machine]:
        found = [_machine(one) for one in listing.machines(self._aws, self._infrastructure.auto_scaling_group)]
        return sorted(found, key=lambda machine: (machine.launched, machine.id))

    def nodes(self) -> tuple[tuple[Node, ...], WaitingJob | None]:
        nodes = tuple(manifest.nodes(self._aws.dynamodb))
        newest = max((n for n in nodes if n.kind == NodeType.LEADER), key=lambda n: n.last_modified, default=None)
        job_id = str(newest.item.get("jobId", "")) if newest and newest.status == NodeStatus.BUSY else ""
        return nodes, self._waiting(job_id, newest.last_modified) if newest and job_id else None

    def _waiting(self, job_id: str, now: float) -> WaitingJob | None:
        """What the job waits for, by what its leader has printed: the message itself is hidden while it is solved."""
        start = now - HORIZON.total_seconds()
        pages = self._aws.logs.get_paginator("filter_log_events").paginate(
            logGroupName=self._infrastructure.leader_log_group,
            startTime=int(start * 1000),
            filterPattern=f'"{job_id}"',
        )
        wanted = 0
        for page in pages:
            for event in page["events"]:
                message = node_log.event_of(event["message"], job_id)
                if received := re.match(r"received: .*, workers: (\d+),", message):
                    wanted = int(received[1])
                elif message.startswith("starts its solver"):
                    wanted = 0
        return WaitingJob(job_id, wanted) if wanted else None


def _machine(instance: Any) -> Machine:
    return Machine(
        id=instance["InstanceId"],
        type=instance["InstanceType"],
        zone=instance["Placement"]["AvailabilityZone"],
        state=instance["State"]["Name"],
        launched=instance["LaunchTime"],
        address=instance.get("PrivateIpAddress", ""),
        has_public_address=bool(instance.get("PublicIpAddress")),
        agent=None,
    )
