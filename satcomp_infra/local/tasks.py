"""ECS tasks: from their placement on a machine, through a node that runs, to their end."""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.ecr.models import ecr_backends
from moto.ecs.models import Task, ecs_backends

from .processes import Container, Node
from .scheduler import NEVER
from .settings import ACCOUNT

if TYPE_CHECKING:
    from moto.ecs.models import ContainerInstance, Service, TaskDefinition

    from .logs import NodeLogs
    from .machines import Machine
    from .world import World

_STARTS_PER_STEP = 8
"""A process takes some milliseconds to start, during which no call is answered."""
_PENDING = 0.08
"""Seconds that pulling an image takes, so that it can be seen."""
_STOP_SECONDS = 30.0
"""ECS's default between SIGTERM and SIGKILL (API reference, ContainerDefinition.stopTimeout)."""
_STOPPED_KEPT = 500
"""ECS tells of stopped tasks for an hour, the local cloud of so many in a cluster."""
_SHARED_MOUNT = "/mount/efs"
_IMAGE = re.compile(r"(?P<registry>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.[^/]+/(?P<repository>[^:@]+)(:(?P<tag>.+))?")


class ServiceTask(Task):
    """A task of a service. moto's own moves on when someone looks at it; this one when something happens to it."""

    def __init__(
        self, service: Service, definition: TaskDefinition, machine: Machine, placed_on: ContainerInstance, needs: Any
    ) -> None:
        backend = ecs_backends[ACCOUNT][service.region_name]
        super().__init__(
            cluster=backend.clusters[service.cluster_name],
            task_definition=definition,
            container_instance_arn=placed_on.container_instance_arn,
            resource_requirements=needs,
            backend=backend,
            group=f"service:{service.name}",
            launch_type="EC2",
            started_by=str(service.deployments[0]["id"]),
        )
        self.service, self.machine, self.placed_on = service, machine, placed_on
        self.definition: dict[str, Any] = definition.container_definitions[0]
        self.node: Node | None = None
        self.role = role_of(self.definition)
        self.ordinal = -1
        """How many nodes of its role were started before it; -1 until it is started itself."""
        self.due = 0.0
        """When it goes on by itself (pending), has been running since (running), is killed (stopping)."""

        self._status = "PROVISIONING"
        self.availability_zone = machine.zone
        self.connectivity = "CONNECTED"
        self.cpu, self.memory = str(needs["CPU"]), str(needs["MEMORY"])
        self.created_at = datetime.now(UTC)
        self.pull_started_at: datetime | None = None
        self.started_at: datetime | None = None
        self.stopping_at: datetime | None = None
        self.stopped_at: datetime | None = None
        self.stop_code: str | None = None
        self.stopped_reason: str | None = None  # type: ignore[assignment]  # moto has "" where ECS says nothing
        self.container: dict[str, Any] = {
            "containerArn": f"{self.task_arn.replace(':task/', ':container/')}/{self.id}",
            "taskArn": self.task_arn,
            "name": self.definition["name"],
            "image": self.definition["image"],
            "lastStatus": "PENDING",
            "networkInterfaces": [],
            "networkBindings": [],
            "healthStatus": "UNKNOWN",
            "cpu": str(self.definition.get("cpu", 0)),
        }
        self.containers = [self.container]  # type: ignore[list-item]  # as ECS describes it, and moto passes it on

    @property
    def status(self) -> str | None:
        """ECS's lastStatus."""
        return self._status

    @status.setter
    def status(self, value: str) -> None:
        self._status = value
        self.container["lastStatus"] = "RUNNING" if value == "STOPPING" else value

    def advance(self) -> None:
        """Being looked at changes nothing."""

    @property
    def is_wanted(self) -> bool:
        """Not stopped, and not being stopped."""
        return self.desired_status == "RUNNING"


class Tasks:
    """All tasks of the cloud that have not stopped yet, in the order of their placement."""

    def __init__(self, world: World, logs: NodeLogs) -> None:
        self._world = world
        self._logs = logs
        self._started: Counter[str] = Counter()
        self._stopped: defaultdict[str, deque[str]] = defaultdict(deque)
        self.live: list[ServiceTask] = []
        self.ended: list[ServiceTask] = []
        """Those that stopped since the services were looked at last."""

    def place(self, service: Service, definition: TaskDefinition, machine: Machine, needs: Any) -> ServiceTask:
        """A new task on a machine that has room for it."""
        placed_on = machine.container_instance
        assert placed_on is not None
        task = ServiceTask(service, definition, machine, placed_on, needs)
        ecs = ecs_backends[ACCOUNT][service.region_name]
        ecs.tasks.setdefault(task.cluster_name, {})[task.task_arn] = task
        ecs.update_container_instance_resources(placed_on, needs)
        machine.tasks.add(task)
        self.live.append(task)
        return task

    def stop(self, task: ServiceTask, now: float, reason: str, code: str) -> None:
        """Ask a task to stop; it is killed if it doesn't in time. One that is being stopped stays so."""
        if not task.is_wanted:
            return
        task.desired_status = "STOPPED"
        task.stopping_at = datetime.now(UTC)
        task.stopped_reason, task.stop_code = reason, code
        if task.node is None:
            self._end(task)
            return
        task.status = "STOPPING"
        seconds = self._world.settings.stop_seconds
        if seconds is None:
            seconds = float(task.definition.get("stopTimeout") or _STOP_SECONDS)
        task.due = now + seconds
        task.node.terminate()

    def step(self, now: float) -> float:
        """Start what is pending, end what was stopped or has ended by itself."""
        due = NEVER
        starts = 0
        for task in list(self.live):
            if task.machine.ending_since is not None:
                self.stop(task, now, f"Host EC2 (instance {task.machine.id}) terminated.", "TerminationNotice")
                task.due = min(task.due, task.machine.ending_since + self._world.settings.shutdown_seconds)
            if task.status == "PROVISIONING":
                task.status, task.due, task.pull_started_at = "PENDING", now + _PENDING, datetime.now(UTC)
            if task.status == "PENDING":
                if now < task.due or starts >= _STARTS_PER_STEP:
                    due = min(due, max(task.due, now))
                    continue
                starts += 1
                self._start(task, now)
            if task.node:
                due = min(due, self._watch(task, task.node, now))
        return due

    def _watch(self, task: ServiceTask, node: Node, now: float) -> float:
        code = node.exit_code()
        if code is not None:
            if task.is_wanted:
                task.desired_status = "STOPPED"
                task.stopping_at = datetime.now(UTC)
                task.stopped_reason, task.stop_code = "Essential container in task exited", "EssentialContainerExited"
            task.container["exitCode"] = code
            self._end(task)
            return NEVER
        if not task.is_wanted:
            if now >= task.due:
                node.kill()
                return NEVER
            return task.due
        for death in self._world.faults.deaths:
            if (death.role, death.index) == (task.role, task.ordinal):
                if now < task.due + death.after:
                    return task.due + death.after
                node.kill()
                if death.machine:
                    task.machine.instance.terminate()
        return NEVER

    def _start(self, task: ServiceTask, now: float) -> None:
        fault = next((fault for fault in self._world.faults.tasks if fault.role == task.role), None)
        failure = fault.container if fault else self._image_failure(str(task.container["image"]))
        if not failure and not fault:
            try:
                task.node = self._world.runner.start(self._container(task))
            except OSError as error:
                failure = f"CannotStartContainerError: Error response from daemon: {error}"
        if failure or task.node is None:
            task.desired_status = "STOPPED"
            task.stop_code = "TaskFailedToStart"
            task.stopped_reason = fault.stopped if fault else "Task failed to start"
            if failure:
                task.container["reason"] = failure
            self._end(task)
            return
        task.ordinal = self._started[task.role]
        self._started[task.role] += 1
        task.status, task.started_at, task.due = "RUNNING", datetime.now(UTC), now
        options = (task.definition.get("logConfiguration") or {}).get("options") or {}
        if task.node.output and "awslogs-group" in options:
            prefix = options.get("awslogs-stream-prefix", "ecs")
            stream = f"{prefix}/{task.definition['name']}/{task.id}"
            region = options.get("awslogs-region", task.machine.region)
            self._logs.follow(task.node.output, region, options["awslogs-group"], stream)

    def _container(self, task: ServiceTask) -> Container:
        environment = {str(entry["name"]): str(entry["value"]) for entry in task.definition.get("environment") or ()}
        return Container(
            task=task.id,
            role=task.role,
            environment=environment,
            mark=f"{self._world.mark_prefix}{task.id}",
            shared_directory=_shared_directory(task),
            metadata_endpoint=f"{self._world.endpoint}/imds/{task.machine.id}",
        )

    def _image_failure(self, image: str) -> str:
        """Why the image can't be pulled; empty if it can. Images of other registries always can."""
        match = _IMAGE.fullmatch(image)
        tag = (match["tag"] if match else image.rpartition(":")[2]) or "latest"
        known = match is None
        if match:
            repository = ecr_backends[ACCOUNT][match["region"]].repositories.get(match["repository"])
            known = repository is not None and any(tag in pushed.image_tags for pushed in repository.images)
        if known and not {tag, "*"} & set(self._world.faults.missing_images):
            return ""
        return (
            f"CannotPullContainerError: Error response from daemon: manifest for {image} not found: manifest unknown: "
            "Requested image not found"
        )

    def _end(self, task: ServiceTask) -> None:
        task.status, task.stopped_at = "STOPPED", datetime.now(UTC)
        self.live.remove(task)
        self.ended.append(task)
        task.machine.tasks.discard(task)
        ecs = ecs_backends[ACCOUNT][task.service.region_name]
        ecs.update_container_instance_resources(task.placed_on, task.resource_requirements or {}, removing=True)
        if task.node and task.node.output:
            self._logs.finish(task.node.output)
        stopped = self._stopped[task.cluster_name]
        stopped.append(task.task_arn)
        if len(stopped) > _STOPPED_KEPT:
            ecs.tasks[task.cluster_name].pop(stopped.popleft(), None)
        self._world.scheduler.wake()


def role_of(definition: dict[str, Any]) -> str:
    """Whether a container is a leader or a worker, by its name or its image's tag."""
    name = str(definition["name"])
    return name if name in ("leader", "worker") else str(definition["image"]).rpartition(":")[2]


def _shared_directory(task: ServiceTask) -> str:
    """Which directory of the state directory is mounted as the shared one: all nodes', the machine's or the task's."""
    definition = ecs_backends[ACCOUNT][task.service.region_name].describe_task_definition(task.task_definition_arn)
    mounts = task.definition.get("mountPoints") or ()
    volume = next((mount["sourceVolume"] for mount in mounts if mount["containerPath"] == _SHARED_MOUNT), None)
    for entry in definition.volumes:
        if entry["name"] == volume:
            if "efsVolumeConfiguration" in entry:
                return f"efs/{entry['efsVolumeConfiguration']['fileSystemId']}"
            return f"machines/{task.machine.id}/{volume}"
    return f"nodes/{task.id}/shared"
