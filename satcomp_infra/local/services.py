"""ECS services: as many tasks as are wanted, on machines that have room, and events that say what happens."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.ecs.models import ecs_backends

from .scheduler import NEVER
from .settings import ACCOUNT

if TYPE_CHECKING:
    from moto.ecs.models import EC2ContainerServiceBackend, Service

    from .machines import Machine
    from .tasks import ServiceTask, Tasks
    from .world import World

_EVENTS_KEPT = 100
_TELL_AGAIN = 15.0
"""Seconds until the same reason why no task can be placed is told again."""
_STABLE = 10.0
"""Seconds after which a task that ends is no failed start any more."""
_LONGEST_WAIT = 8.0
"""For a service whose tasks keep failing, as a multiple of its first wait."""
_SEE_GUIDE = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
_UNPLACED = "was unable to place a task because no container instance met all of its requirements."


@dataclass
class _Trouble:
    """What keeps a service from what it wants."""

    failures: int = 0
    start_again_at: float = 0.0
    told: str = ""
    tell_again_at: float = 0.0
    steady: bool = True
    """Nothing has changed since the last steady state was told; a new service starts with nothing to tell."""


class Services:
    """All ECS services of the cloud."""

    def __init__(self, world: World, tasks: Tasks) -> None:
        self._world = world
        self._tasks = tasks
        self._trouble: dict[Service, _Trouble] = {}

    def deploy_anew(self, service: Service) -> None:
        """Replace all tasks: those of the deployment so far end, new ones start."""
        self._trouble.setdefault(service, _Trouble()).steady = False
        now = datetime.now(UTC)
        for deployment in service.deployments:
            deployment["status"] = "ACTIVE"
        service.deployments.insert(
            0,
            {
                **service.deployments[0],
                "id": f"ecs-svc/{uuid.uuid4().int % 10**19}",
                "status": "PRIMARY",
                "createdAt": now,
                "updatedAt": now,
                "taskDefinition": service.task_definition,
                "failedTasks": 0,
            },
        )

    def step(self, now: float) -> float:
        """Give every service the tasks that it wants."""
        for task in self._tasks.ended:
            self._note_end(task, now)
        self._tasks.ended.clear()
        due = NEVER
        for region, backend in list(ecs_backends[ACCOUNT].items()):
            if not backend.clusters:
                continue
            for machine in self._world.machines.values():
                if machine.container_instance:
                    machine.container_instance.agent_connected = not self._world.faults.disconnected_agents
            for key, service in list(backend.services.items()):
                if service.status != "INACTIVE":
                    due = min(due, self._step(backend, service, region, now))
                elif not service.desired_count:
                    self._trouble.pop(service, None)
                    backend.services[key].running_count = 0
            self._count(backend)
        return due

    def _step(self, backend: EC2ContainerServiceBackend, service: Service, region: str, now: float) -> float:
        trouble = self._trouble.setdefault(service, _Trouble())
        mine = [task for task in self._tasks.live if task.service is service]
        wanted = service.desired_count if service.status == "ACTIVE" else 0
        primary = service.deployments[0]
        current = [task for task in mine if task.is_wanted and task.started_by == primary["id"]]
        old = [task for task in mine if task.is_wanted and task.started_by != primary["id"]]
        # Those not running yet go first, then the newest.
        surplus = sorted(current, key=lambda t: (t.status == "RUNNING", -t.created_at.timestamp()))
        stopping = old + surplus[: max(len(current) - wanted, 0)]
        for task in stopping:
            reason = f"Scaling activity initiated by (deployment {primary['id']})"
            self._tasks.stop(task, now, reason, "ServiceSchedulerInitiated")
        if stopping:
            names = " ".join(f"(task {task.id})" for task in stopping)
            _tell(service, f"has stopped {len(stopping)} running tasks: {names}.")
        # With MaximumPercent 100 a new deployment's task waits for one of the old to end.
        leaving = sum(task.started_by != primary["id"] for task in mine if task.status != "STOPPED")
        missing = wanted - (len(current) - len(stopping) + len(old)) - leaving
        due = self._place(backend, service, region, missing, now) if missing > 0 else NEVER
        self._update_counts(service, wanted)
        self._tell_state(service, trouble, wanted)
        if service.status == "DRAINING" and not any(task.service is service for task in self._tasks.live):
            service.status = "INACTIVE"
        return due

    def _place(
        self, backend: EC2ContainerServiceBackend, service: Service, region: str, missing: int, now: float
    ) -> float:
        trouble = self._trouble[service]
        if now < trouble.start_again_at:
            return trouble.start_again_at
        definition = backend.describe_task_definition(str(service.task_definition))
        needs = backend._calculate_task_resource_requirements(definition)
        machines = self._machines(region, service.cluster_name)
        started: list[ServiceTask] = []
        for machine in machines:
            joined = machine.container_instance
            while joined and joined.agent_connected and backend._can_be_placed(joined, needs):
                if len(started) == missing:
                    break
                started.append(self._tasks.place(service, definition, machine, needs))
        if started:
            names = " ".join(f"(task {task.id})" for task in started)
            _tell(service, f"has started {len(started)} tasks: {names}.")
            trouble.told = ""
        if len(started) == missing:
            return now  # the tasks' turn
        why = _why_not(machines, needs)
        if why != trouble.told or now >= trouble.tell_again_at:
            trouble.told, trouble.tell_again_at = why, now + _TELL_AGAIN
            _tell(service, f"{_UNPLACED} {why} {_SEE_GUIDE}")
        return now if started else trouble.tell_again_at

    def _machines(self, region: str, cluster: str) -> list[Machine]:
        """The machines that a task can be placed on, as far as anybody knows: spread, the emptiest first."""
        machines = [
            machine
            for machine in self._world.machines.values()
            if machine.container_instance
            and machine.container_instance.status == "ACTIVE"
            and machine.ending_since is None
            and (machine.region, machine.cluster) == (region, cluster)
        ]
        return sorted(machines, key=lambda machine: len(machine.tasks))

    def _note_end(self, task: ServiceTask, now: float) -> None:
        trouble = self._trouble.get(task.service)
        if trouble is None or task.stop_code not in ("TaskFailedToStart", "EssentialContainerExited"):
            return
        if task.node is not None and now - task.due > _STABLE:
            trouble.failures = 0
        trouble.failures += 1
        wait = self._world.settings.retry_seconds / 2 * min(2 ** (trouble.failures - 1), _LONGEST_WAIT)
        trouble.start_again_at = max(trouble.start_again_at, now + wait)
        if task.stop_code == "TaskFailedToStart":
            for deployment in task.service.deployments:
                if deployment["id"] == task.started_by:
                    deployment["failedTasks"] = int(str(deployment["failedTasks"])) + 1
            if trouble.failures == 3:
                _tell(task.service, f"is unable to consistently start tasks successfully. {_SEE_GUIDE}")

    def _update_counts(self, service: Service, wanted: int) -> None:
        mine = [task for task in self._tasks.live if task.service is service]
        service.running_count = sum(task.status == "RUNNING" for task in mine)
        service.pending_count = sum(task.status in ("PROVISIONING", "PENDING") for task in mine)
        left = {task.started_by for task in mine}
        service.deployments[1:] = [d for d in service.deployments[1:] if d["id"] in left]
        for deployment in service.deployments:
            own = [task for task in mine if task.started_by == deployment["id"]]
            counts = {
                "desiredCount": wanted if deployment["status"] == "PRIMARY" else 0,
                "runningCount": sum(task.status == "RUNNING" for task in own),
                "pendingCount": sum(task.status in ("PROVISIONING", "PENDING") for task in own),
            }
            if any(deployment[name] != value for name, value in counts.items()):
                deployment.update(counts, updatedAt=datetime.now(UTC))

    def _tell_state(self, service: Service, trouble: _Trouble, wanted: int) -> None:
        primary = service.deployments[0]
        steady = service.running_count == wanted and not service.pending_count and len(service.deployments) == 1
        if steady and not trouble.steady:
            _tell(service, f"(deployment {primary['id']}) deployment completed.")
            _tell(service, "has reached a steady state.")
        trouble.steady = steady
        primary["rolloutState"] = "COMPLETED" if steady else "IN_PROGRESS"
        words = "completed" if steady else "in progress"
        primary["rolloutStateReason"] = f"ECS deployment {primary['id']} {words}."

    def _count(self, backend: EC2ContainerServiceBackend) -> None:
        """What clusters and machines say of their tasks. moto guesses it from what services want."""
        by_cluster = Counter((task.cluster_name, task.status) for task in self._tasks.live)
        by_machine = Counter((task.container_instance_arn, task.status) for task in self._tasks.live)
        for name, cluster in backend.clusters.items():
            cluster.registered_container_instances_count = len(backend.container_instances.get(name, {}))
            cluster.running_tasks_count = by_cluster[name, "RUNNING"]
            cluster.pending_tasks_count = by_cluster[name, "PROVISIONING"] + by_cluster[name, "PENDING"]
            cluster.active_services_count = sum(
                service.cluster_name == name and service.status == "ACTIVE" for service in backend.services.values()
            )
            for joined in backend.container_instances.get(name, {}).values():
                arn = joined.container_instance_arn
                joined.running_tasks_count = by_machine[arn, "RUNNING"] + by_machine[arn, "STOPPING"]
                joined.pending_tasks_count = by_machine[arn, "PROVISIONING"] + by_machine[arn, "PENDING"]


def _tell(service: Service, message: str) -> None:
    entry = {"id": str(uuid.uuid4()), "createdAt": datetime.now(UTC), "message": f"(service {service.name}) {message}"}
    service.events.insert(0, entry)
    del service.events[_EVENTS_KEPT:]


def _why_not(machines: list[Machine], needs: dict[str, Any]) -> str:
    """Why no task can be placed on any of these machines, in ECS's words."""
    joined = [machine.container_instance for machine in machines if machine.container_instance]
    if not joined:
        return "Reason: No Container Instances were found in your cluster."
    left = {entry.id: {r["name"]: r for r in entry.remaining_resources} for entry in joined}
    closest = max(joined, key=lambda entry: int(left[entry.id]["MEMORY"]["integerValue"]))
    room = left[closest.id]
    if not closest.agent_connected:
        fault = "doesn't have the agent connected"
    elif int(room["MEMORY"]["integerValue"]) < needs["MEMORY"]:
        fault = "has insufficient memory available"
    elif int(room["CPU"]["integerValue"]) < needs["CPU"]:
        fault = "has insufficient CPU units available"
    else:
        fault = "is already using a port required by your task"
    return f"The closest matching container-instance {closest.id} {fault}."
