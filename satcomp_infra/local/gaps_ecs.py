"""The API of ECS, where moto does otherwise than AWS."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import EcsClientException, ECSException, InvalidParameterException
from moto.ecs.models import Cluster, EC2ContainerServiceBackend, Service, Task, TaskDefinition
from moto.ecs.responses import EC2ContainerServiceResponse

from .gaps import page, replace
from .stack_resources import create_task_definition
from .tasks import ServiceTask

if TYPE_CHECKING:
    from .services import Services
    from .tasks import Tasks

_SERVICES_PER_PAGE = 10
_MOST_DESCRIBED = 100


def fill(services: Services, tasks: Tasks) -> None:
    """Moto runs no tasks; what services want is what they have, at once."""
    TaskDefinition.create_from_cloudformation_json = staticmethod(create_task_definition)  # type: ignore[method-assign, assignment]  # all of moto's callers name the class
    _fill_services(services)
    _fill_tasks(tasks)
    _fill_clusters()


def _fill_services(services: Services) -> None:
    backend, response = EC2ContainerServiceBackend, EC2ContainerServiceResponse
    moto_create = backend.create_service

    @replace(backend, "update_cluster_resources")
    def count_nothing(*_: Any, **__: Any) -> None:
        """Tasks are counted where they run."""

    @replace(backend, "create_service")
    def create_service(self: EC2ContainerServiceBackend, cluster: str, name: str, *args: Any, **kwargs: Any) -> Service:
        there = self.services.get(f"{cluster.rsplit('/', 1)[-1]}:{name}")
        if there and there.status == "ACTIVE":
            raise InvalidParameterException("Creation of service was not idempotent.")
        service = moto_create(self, cluster, name, *args, **kwargs)
        service.pending_count = 0
        return service

    @replace(backend, "update_service")
    def update_service(self: EC2ContainerServiceBackend, changes: dict[str, Any]) -> Service:
        service = self._get_service(changes.get("cluster", "default"), changes["service"])
        if service.status != "ACTIVE":
            raise ECSException("ServiceNotActiveException", "Service was not ACTIVE.")
        wanted, definition = changes.get("desired_count"), changes.get("task_definition")
        if wanted is not None:
            service.desired_count = wanted
        arn = self.describe_task_definition(definition).arn if definition else service.task_definition
        if arn != service.task_definition or changes.get("force_new_deployment"):
            service.task_definition = arn
            services.deploy_anew(service)
        return service

    @replace(backend, "delete_service")
    def delete_service(self: EC2ContainerServiceBackend, cluster: str, name: str, force: bool) -> Service:
        service = self._get_service(cluster, name)
        if service.desired_count > 0 and not force:
            raise InvalidParameterException("The service cannot be stopped while it is scaled above 0.")
        if service.status == "ACTIVE":
            service.status = "DRAINING"
            service.desired_count = 0
        return service

    @replace(response, "list_services")
    def list_services(self: EC2ContainerServiceResponse) -> ActionResult:
        cluster = self.ecs_backend._get_cluster(self._get_param("cluster", "default"))
        there = [s for s in self.ecs_backend.services.values() if s.cluster_name == cluster.name]
        arns = sorted(service.arn for service in there if service.status != "INACTIVE")
        size = self._get_int_param("maxResults") or _SERVICES_PER_PAGE
        shown, token = page(arns, self._get_param("nextToken"), size)
        return ActionResult({"serviceArns": shown, "nextToken": token})

    moto_describe = response.describe_services

    @replace(response, "describe_services")
    def describe_services(self: EC2ContainerServiceResponse) -> ActionResult:
        _check_number(self._get_param("services", []), "Services", _SERVICES_PER_PAGE)
        return moto_describe(self)


def _fill_tasks(tasks: Tasks) -> None:
    backend, response = EC2ContainerServiceBackend, EC2ContainerServiceResponse

    @replace(response, "list_tasks")
    def list_tasks(self: EC2ContainerServiceResponse) -> ActionResult:
        cluster = self.ecs_backend._get_cluster(self._get_param("cluster", "default"))
        status = self._get_param("desiredStatus") or "RUNNING"
        service, machine = self._get_param("serviceName"), self._get_param("containerInstance")
        family, starter = self._get_param("family"), self._get_param("startedBy")
        arns = [
            arn
            for arn, task in self.ecs_backend.tasks.get(cluster.name, {}).items()
            if task.desired_status == status
            and (not service or task.group == f"service:{service.rsplit('/', 1)[-1]}")
            and (not machine or str(task.container_instance_arn).endswith(f"/{machine.rsplit('/', 1)[-1]}"))
            and (not family or f":task-definition/{family}:" in task.task_definition_arn)
            and (not starter or task.started_by == starter)
        ]
        shown, token = page(arns, self._get_param("nextToken"), self._get_int_param("maxResults"))
        return ActionResult({"taskArns": shown, "nextToken": token})

    moto_describe = response.describe_tasks

    @replace(response, "describe_tasks")
    def describe_tasks(self: EC2ContainerServiceResponse) -> ActionResult:
        wanted = self._get_param("tasks", [])
        _check_number(wanted, "Tasks", _MOST_DESCRIBED)
        result = moto_describe(self)
        found: Any = result.result
        known = {task.id for task in found["tasks"]}
        missing = [name for name in wanted if name.rsplit("/", 1)[-1] not in known]
        found["failures"] = [{"arn": name, "reason": "MISSING"} for name in missing]
        return result

    @replace(backend, "describe_tasks")
    def find_tasks(self: EC2ContainerServiceBackend, cluster: str, names: list[str]) -> list[Task]:
        there = self.tasks.get(self._get_cluster(cluster).name, {})
        by_id = {task.id: task for task in there.values()}
        ids = [name.rsplit("/", 1)[-1] for name in names]
        return [by_id[name] for name in ids if name in by_id]

    @replace(backend, "stop_task")
    def stop_task(self: EC2ContainerServiceBackend, cluster: str, name: str, reason: str | None) -> Task:
        found = find_tasks(self, cluster, [name])
        if not found:
            raise InvalidParameterException("The referenced task was not found.")
        task = found[0]
        if isinstance(task, ServiceTask):
            tasks.stop(task, time.monotonic(), reason or "Task stopped by user", "UserInitiated")
        return task

    @replace(backend, "run_task")
    def run_task(*_: Any, **__: Any) -> None:
        raise EcsClientException("The local cloud runs tasks of services only.")

    replace(backend, "start_task")(run_task)


def _fill_clusters() -> None:
    backend, response = EC2ContainerServiceBackend, EC2ContainerServiceResponse
    moto_create = backend.create_cluster

    @replace(backend, "create_cluster")
    def create_cluster(self: EC2ContainerServiceBackend, cluster_name: str, *args: Any, **kwargs: Any) -> Cluster:
        there = self.clusters.get(cluster_name)
        if there and there.status == "ACTIVE":
            return there
        return moto_create(self, cluster_name, *args, **kwargs)

    @replace(backend, "delete_cluster")
    def delete_cluster(self: EC2ContainerServiceBackend, cluster: str) -> Cluster:
        found = self._get_cluster(cluster)
        running = any(
            isinstance(t, ServiceTask) and t.status != "STOPPED" for t in self.tasks.get(found.name, {}).values()
        )
        services = any(s.cluster_name == found.name and s.status == "ACTIVE" for s in self.services.values())
        for there, code, what in (
            (
                self.container_instances.get(found.name),
                "ContainerInstances",
                "Container Instances are active or draining",
            ),
            (services, "Services", "Services are active"),
            (running, "Tasks", "Tasks are active"),
        ):
            if there:
                raise ECSException(f"ClusterContains{code}Exception", f"The Cluster cannot be deleted while {what}.")
        found.status = "INACTIVE"
        return found

    @replace(backend, "list_clusters")
    def list_clusters(self: EC2ContainerServiceBackend) -> list[str]:
        return [cluster.arn for cluster in self.clusters.values() if cluster.status != "INACTIVE"]

    @replace(response, "list_container_instances")
    def list_container_instances(self: EC2ContainerServiceResponse) -> ActionResult:
        cluster = self.ecs_backend._get_cluster(self._get_param("cluster", "default"))
        arns = self.ecs_backend.list_container_instances(cluster.name, status=self._get_param("status"))
        shown, token = page(arns, self._get_param("nextToken"), self._get_int_param("maxResults"))
        return ActionResult({"containerInstanceArns": shown, "nextToken": token})

    moto_describe = backend.describe_container_instances

    @replace(backend, "describe_container_instances")
    def describe_container_instances(self: EC2ContainerServiceBackend, cluster: str, names: list[str]) -> Any:
        _check_number(names or [], "Container instances", _MOST_DESCRIBED)
        self.container_instances.setdefault(self._get_cluster(cluster).name, {})
        return moto_describe(self, cluster, names)


def _check_number(items: list[Any], what: str, most: int) -> None:
    if len(items) > most:
        raise InvalidParameterException(f"{what} cannot have more than {most} elements.")
