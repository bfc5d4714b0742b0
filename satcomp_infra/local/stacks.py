"""CloudFormation: stacks whose resources are made, changed and removed one after the other, which takes time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.cloudformation.models import cloudformation_backends

from . import stack_resources
from .scheduler import NEVER
from .settings import ACCOUNT
from .stack_resources import Resource
from .stack_templates import dependencies
from .stack_walk import Walk

if TYPE_CHECKING:
    from .groups import Groups
    from .services import Services
    from .stack_model import LocalStack
    from .world import World

_CANCELLED = {"create": "Resource creation cancelled", "update": "Resource update cancelled"}


class Stacks:
    """All stacks of the cloud, and what is being done to them."""

    def __init__(self, world: World, groups: Groups, services: Services) -> None:
        self._world = world
        self._groups = groups
        self._services = services
        self._now = 0.0
        self._operations: dict[str, tuple[Walk, Callable[[Walk], None]]] = {}
        """By the stack's id: how far it is, and what comes after."""

    def step(self, now: float) -> float:
        """Go on with all operations."""
        self._now = now
        due: float = NEVER
        with self._world.all_locks():
            for stack_id in list(self._operations):
                while operation := self._operations.get(stack_id):
                    walk, then = operation
                    again = walk.step(now)
                    if again is not None:
                        due = min(due, again)
                        break
                    del self._operations[stack_id]
                    then(walk)
        return due

    def create(self, stack: LocalStack) -> None:
        """Make all resources; where one fails, remove them again."""
        stack.set_status("CREATE_IN_PROGRESS", "User Initiated")
        walk = self._change(stack, "CREATE", faults=True)
        self._start(stack, walk, lambda done: self._created(stack, done))

    def update(self, stack: LocalStack, body: str, parameters: dict[str, Any]) -> None:
        """Make the resources as a new template says; where one fails, go back to the old one."""
        before = (str(stack.template), dict(stack.parameters))
        stack.take_template(body, parameters)
        stack.last_updated_time = datetime.now(UTC)
        stack.set_status("UPDATE_IN_PROGRESS", "User Initiated")
        walk = self._change(stack, "UPDATE", faults=True)
        self._start(stack, walk, lambda done: self._updated(stack, before, done))

    def delete(self, stack: LocalStack) -> None:
        """Remove all resources, and with them the stack; what is being done to it otherwise ends at once."""
        stack.deletion_time = datetime.now(UTC)
        stack.set_status("DELETE_IN_PROGRESS", "User Initiated")
        walk = self._removal(stack, set(stack.resources), faults=True)
        self._start(stack, walk, lambda done: self._deleted(stack, done))

    def _wait_if_stuck(self, name: str) -> None:
        if name in self._world.faults.stuck_resources:
            raise stack_resources.NotYet

    def _start(self, stack: LocalStack, walk: Walk, then: Callable[[Walk], None]) -> None:
        self._operations[stack.stack_id] = (walk, then)
        self._world.scheduler.wake()

    def _change(self, stack: LocalStack, verb: str, *, faults: bool) -> Walk:
        """Make what isn't there, change what differs."""
        wanted = stack.wanted()
        added: set[str] = set()

        def begin(name: str) -> bool:
            there = stack.resources.get(name)
            if there is None or not there.physical_id or there.status == "DELETE_COMPLETE":
                added.add(name)
                resource = stack.resources[name] = Resource(name, wanted[name]["Type"])
                stack.tell(resource, "CREATE_IN_PROGRESS")
                stack_resources.create(resource, stack.resource_map, _tags(stack))
                stack.tell(resource, "CREATE_IN_PROGRESS", "Resource creation Initiated")
                return True
            properties = stack_resources.resolved(wanted[name], stack.resource_map)
            if properties == there.properties:
                return False
            stack.tell(there, "UPDATE_IN_PROGRESS")
            stack_resources.update(there, properties, stack.resource_map, self._services)
            return True

        def end(name: str) -> None:
            self._wait_if_stuck(name)
            operation = "create" if name in added else "update"
            if faults and (reason := self._world.faults.stack_failure(operation, name)):
                raise stack_resources.Refusal(reason)
            stack.tell(stack.resources[name], f"{operation.upper()}_COMPLETE")

        def failed(name: str, error: Exception) -> None:
            operation = "create" if name in added else "update"
            stack.tell(stack.resources[name], f"{operation.upper()}_FAILED", _words(error))
            for other in sorted(walk.running):
                stack.tell(stack.resources[other], f"{verb}_FAILED", _CANCELLED[verb.lower()])

        walk = Walk(dependencies(wanted), self._world.settings.stack_seconds, begin, end, failed, stop_at_failure=True)
        return walk

    def _removal(self, stack: LocalStack, names: set[str], *, faults: bool) -> Walk:
        """Remove resources, those first that others don't depend on."""
        bodies = {**stack.template_dict.get("Resources", {})}
        needs = dependencies({name: bodies.get(name, {}) for name in names})
        needed_by = {name: {other for other, others in needs.items() if name in others} for name in names}

        def begin(name: str) -> bool:
            resource = stack.resources[name]
            if not resource.physical_id or resource.status == "DELETE_COMPLETE":
                stack.resources.pop(name, None)
                return False
            if bodies.get(name, {}).get("DeletionPolicy") == "Retain":
                stack.tell(resource, "DELETE_SKIPPED")
                return False
            stack.tell(resource, "DELETE_IN_PROGRESS")
            return True

        def end(name: str) -> None:
            self._wait_if_stuck(name)
            resource = stack.resources[name]
            if faults and (reason := self._world.faults.stack_failure("delete", name)):
                raise stack_resources.Refusal(reason)
            stack_resources.delete(resource, stack.resource_map, self._groups, self._now)
            resource.moto = None
            stack.tell(resource, "DELETE_COMPLETE")

        def failed(name: str, error: Exception) -> None:
            stack.tell(stack.resources[name], "DELETE_FAILED", _words(error))

        return Walk(needed_by, self._world.settings.stack_seconds, begin, end, failed, stop_at_failure=False)

    def _created(self, stack: LocalStack, done: Walk) -> None:
        if not done.failures:
            stack.compute_outputs()
            backend = cloudformation_backends[ACCOUNT][stack.region_name]
            backend.exports.update({export.name: export for export in stack.exports})
            stack.set_status("CREATE_COMPLETE")
            return
        failed = ", ".join([*done.failures, *sorted(done.running)])
        reason = f"The following resource(s) failed to create: [{failed}]. "
        if stack.on_failure == "DO_NOTHING":
            stack.set_status("CREATE_FAILED", reason)
        elif stack.on_failure == "DELETE":
            self.delete(stack)
        else:
            stack.set_status("ROLLBACK_IN_PROGRESS", f"{reason}Rollback requested by user.")
            walk = self._removal(stack, set(stack.resources), faults=False)
            self._start(stack, walk, lambda undone: self._removed(stack, undone, "ROLLBACK"))

    def _updated(self, stack: LocalStack, before: tuple[str, dict[str, Any]], done: Walk) -> None:
        if not done.failures:
            stack.compute_outputs()
            stack.set_status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            walk = self._removal(stack, set(stack.resources) - set(stack.wanted()), faults=True)
            self._start(stack, walk, lambda _: stack.set_status("UPDATE_COMPLETE"))
            return
        failed = ", ".join([*done.failures, *sorted(done.running)])
        reason = f"The following resource(s) failed to update: [{failed}]. "
        stack.set_status("UPDATE_ROLLBACK_IN_PROGRESS", reason)
        stack.take_template(*before)
        walk = self._change(stack, "UPDATE", faults=False)
        self._start(stack, walk, lambda undone: self._rolled_back(stack, undone))

    def _rolled_back(self, stack: LocalStack, done: Walk) -> None:
        if done.failures:
            stack.set_status("UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: {done.failures}. ")
            return
        stack.set_status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        walk = self._removal(stack, set(stack.resources) - set(stack.wanted()), faults=False)
        self._start(stack, walk, lambda _: stack.set_status("UPDATE_ROLLBACK_COMPLETE"))

    def _removed(self, stack: LocalStack, done: Walk, verb: str) -> None:
        if done.failures:
            failed = ", ".join(sorted(done.failures))
            stack.set_status(f"{verb}_FAILED", f"The following resource(s) failed to delete: [{failed}]. ")
        else:
            stack.set_status(f"{verb}_COMPLETE")

    def _deleted(self, stack: LocalStack, done: Walk) -> None:
        self._removed(stack, done, "DELETE")
        if not done.failures:
            backend = cloudformation_backends[ACCOUNT][stack.region_name]
            for export in stack.exports:
                backend.exports.pop(export.name, None)
            backend.stacks.pop(stack.stack_id, None)
            backend.deleted_stacks[stack.stack_id] = stack


def _tags(stack: LocalStack) -> dict[str, str]:
    return {
        **stack.tags,
        "aws:cloudformation:stack-name": stack.name,
        "aws:cloudformation:stack-id": stack.stack_id,
    }


def _words(error: Exception) -> str:
    """What a service says when it refuses, as CloudFormation passes it on."""
    message = getattr(error, "message", None) or str(error)
    return message if isinstance(error, stack_resources.Refusal) else f'Resource handler returned message: "{message}"'
