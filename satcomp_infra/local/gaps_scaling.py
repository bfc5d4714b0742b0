"""Auto Scaling's API, where moto does otherwise than AWS."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from .gaps import page, replace

if TYPE_CHECKING:
    from .groups import Groups
    from .world import World


def fill(world: World, groups: Groups) -> None:
    """Moto starts and ends instances within the call, keeps no account of it, and knows no bounds."""

    def group_of(backend: AutoScalingBackend, name: str) -> FakeAutoScalingGroup:
        if name not in backend.autoscaling_groups:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return backend.autoscaling_groups[name]

    @replace(FakeAutoScalingGroup, "set_desired_capacity")
    def note_desired_capacity(self: FakeAutoScalingGroup, capacity: int | None) -> None:
        self.desired_capacity = self.min_size if capacity is None else capacity

    @replace(AutoScalingBackend, "set_desired_capacity")
    def set_desired_capacity(self: AutoScalingBackend, name: str, capacity: int) -> None:
        group = group_of(self, name)
        for bound, limit, beyond in (
            ("above max", group.max_size or 0, capacity > (group.max_size or 0)),
            ("below min", group.min_size or 0, capacity < (group.min_size or 0)),
        ):
            if beyond:
                raise ValidationError(
                    f"New SetDesiredCapacity value {capacity} is {bound} value {limit} for the AutoScalingGroup."
                )
        group.desired_capacity = capacity

    moto_update = AutoScalingBackend.update_auto_scaling_group

    @replace(AutoScalingBackend, "update_auto_scaling_group")
    def update_group(self: AutoScalingBackend, name: str, **changes: Any) -> FakeAutoScalingGroup:
        group = group_of(self, name)
        low, high = ((old if (new := changes[key]) is None else new) or 0 for key, old in (
            ("min_size", group.min_size), ("max_size", group.max_size)))  # fmt: skip
        wanted = changes["desired_capacity"]
        if wanted is None:
            changes["desired_capacity"] = min(max(group.desired_capacity or 0, low), high)
        elif not low <= wanted <= high:
            raise ValidationError(
                f"Desired capacity:{wanted} must be between the specified min size:{low} and max size:{high}"
            )
        return moto_update(self, name, **changes)

    @replace(AutoScalingBackend, "notify_terminate_instances")
    def notify_terminate_instances(_: AutoScalingBackend, instance_ids: list[str]) -> None:
        """The group has been told already, by the machine that ends."""

    @replace(AutoScalingBackend, "delete_auto_scaling_group")
    def delete_group(self: AutoScalingBackend, name: str, force: bool = False) -> None:
        group = group_of(self, name)
        if groups.of(group).members and not force:
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        groups.delete(group, time.monotonic())

    @replace(AutoScalingResponse, "delete_auto_scaling_group")
    def delete_auto_scaling_group(self: AutoScalingResponse) -> ActionResult:
        name, force = self._get_param("AutoScalingGroupName"), self._get_bool_param("ForceDelete", False)
        delete_group(self.autoscaling_backend, name, force)
        return EmptyResult()

    @replace(AutoScalingBackend, "terminate_instance")
    def terminate_instance(_: AutoScalingBackend, instance_id: str, should_decrement: bool) -> Any:
        machine = world.machines.get(instance_id)
        if machine is None:
            raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
        group: FakeAutoScalingGroup = machine.instance.autoscaling_group  # type: ignore[attr-defined]
        if should_decrement:
            group.desired_capacity = max((group.desired_capacity or 0) - 1, 0)
        cause = "An instance was taken out of service in response to a user request."
        groups.terminate(machine, time.monotonic(), cause)
        return groups.of(group).activities[0].described(group.name, group.arn)

    @replace(AutoScalingResponse, "describe_scaling_activities")
    def describe_scaling_activities(self: AutoScalingResponse) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        backend = self.autoscaling_backend
        all_groups = [group_of(backend, name)] if name else list(backend.autoscaling_groups.values())
        activities = [a.described(g.name, g.arn) for g in all_groups for a in groups.of(g).activities]
        shown, token = page(activities, self._get_param("NextToken"), self._get_int_param("MaxRecords"))
        return ActionResult({"Activities": shown, "NextToken": token})
