"""Auto Scaling: a group's machines follow its desired capacity, and its activities say what happened."""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState, autoscaling_backends

from .machines import LaunchError
from .scheduler import NEVER
from .settings import ACCOUNT

if TYPE_CHECKING:
    from moto.ec2.models.subnets import Subnet

    from .machines import Machine, Machines
    from .world import World

_LAUNCHES_PER_STEP = 20
"""A launch takes moto some milliseconds, during which no call is answered."""
_ACTIVITIES_KEPT = 5000


@dataclass(eq=False)
class Activity:
    """What Auto Scaling tells of one thing it did, or could not do."""

    description: str
    cause: str
    status: str = "InProgress"
    message: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    start: datetime = field(default_factory=lambda: datetime.now(UTC))
    end: datetime | None = None

    def finish(self, status: str) -> None:
        """It is over."""
        self.status = status
        self.end = datetime.now(UTC)

    def described(self, group: str, arn: str) -> dict[str, Any]:
        """As DescribeScalingActivities answers."""
        return {
            "ActivityId": self.id,
            "AutoScalingGroupName": group,
            "AutoScalingGroupARN": arn,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.start,
            "EndTime": self.end,
            "StatusCode": self.status,
            "StatusMessage": self.message or None,
            "Progress": 50 if self.end is None else 100,
            "Details": "{}",
        }


@dataclass(eq=False)
class _Member:
    """A machine in its group."""

    machine: Machine
    state: InstanceState
    launch: Activity
    end: Activity | None = None


@dataclass
class Group:
    """What Auto Scaling knows of a group beyond what moto does. Activities: the newest first."""

    moto: FakeAutoScalingGroup
    members: list[_Member] = field(default_factory=list)
    activities: deque[Activity] = field(default_factory=lambda: deque(maxlen=_ACTIVITIES_KEPT))
    launch_again_at: float = 0.0
    avoid: dict[str, float] = field(default_factory=dict)
    """Until when subnets are not tried again that would not have a machine."""

    @property
    def staying(self) -> list[_Member]:
        """The machines that are there or coming, without those that are going."""
        return [member for member in self.members if member.machine.ending_since is None]

    def note(self, activity: Activity) -> Activity:
        """Add to what is told of the group."""
        self.activities.appendleft(activity)
        return activity


class Groups:
    """All Auto Scaling groups of the cloud."""

    def __init__(self, world: World, machines: Machines) -> None:
        self._world = world
        self._machines = machines
        self._groups: dict[FakeAutoScalingGroup, Group] = {}

    def of(self, moto_group: FakeAutoScalingGroup) -> Group:
        """What there is of a group of moto's."""
        return self._groups.setdefault(moto_group, Group(moto_group))

    def delete(self, moto_group: FakeAutoScalingGroup, now: float) -> None:
        """Forget a group; machines that it still has end."""
        group = self._groups.pop(moto_group, None)
        for member in group.members if group else ():
            self._machines.terminate(member.machine, now)
        autoscaling_backends[ACCOUNT][moto_group.region].autoscaling_groups.pop(moto_group.name, None)

    def terminate(self, machine: Machine, now: float, cause: str) -> None:
        """End a machine of a group for some reason; the group replaces it if it still wants as many."""
        for group in self._groups.values():
            for member in group.staying:
                if member.machine is machine:
                    self._terminate(group, member, now, cause)

    def step(self, now: float) -> float:
        """Let every group have as many machines as it wants."""
        due = NEVER
        for region, backend in list(autoscaling_backends[ACCOUNT].items()):
            if backend.scheduled_actions:
                due = min(due, now + self._carry_out_scheduled_actions(region))
            for moto_group in list(backend.autoscaling_groups.values()):
                due = min(due, self._step(self.of(moto_group), now))
        return due

    def _step(self, group: Group, now: float) -> float:
        for member in list(group.members):
            self._follow(group, member, now)
        staying = group.staying
        wanted = group.moto.desired_capacity or 0
        for member in staying[: max(len(staying) - wanted, 0)]:  # the oldest ones, as the default policy tends to
            self._terminate(group, member, now, f"{_at()} an instance was taken out of service in response to a "
                            "difference between desired and actual capacity, shrinking the capacity from "
                            f"{len(staying)} to {wanted}.")  # fmt: skip
        missing = wanted - len(staying)
        if missing <= 0:
            group.launch_again_at = 0.0
            return NEVER
        if now < group.launch_again_at:
            return group.launch_again_at
        cause = (
            f"{_at()} an instance was started in response to a difference between desired and actual capacity, "
            f"increasing the capacity from {len(staying)} to {wanted}."
        )
        for _ in range(min(missing, _LAUNCHES_PER_STEP)):
            if not self._launch(group, now, cause):
                group.launch_again_at = now + self._world.settings.retry_seconds
                return group.launch_again_at
        return now if missing > _LAUNCHES_PER_STEP else NEVER

    def _follow(self, group: Group, member: _Member, now: float) -> None:
        """Note in the group what has become of its machine."""
        machine, state = member.machine, member.state
        if machine.gone:
            group.members.remove(member)
            group.moto.instance_states.remove(state)
            if member.end:
                member.end.finish("Successful")
        elif machine.ending_since is not None:
            state.lifecycle_state = "Terminating"
        elif state.health_status == "Unhealthy":
            self._terminate(group, member, now, f"{_at()} an instance was taken out of service in response to an "
                            "external system health check.")  # fmt: skip
        elif state.lifecycle_state == "Pending" and machine.instance.state == "running":
            state.lifecycle_state = "InService"
            member.launch.finish("Successful")

    def _launch(self, group: Group, now: float, cause: str) -> bool:
        """Launch one machine, in the zone with the fewest that will have it. False: none will."""
        for subnet in self._subnets(group, now):
            try:
                machine = self._machines.launch(group.moto, subnet, now)
            except LaunchError as refusal:
                group.note(
                    Activity(f"Launching a new EC2 instance.  Status Reason: {refusal}", cause, message=str(refusal))
                ).finish("Failed")
                if refusal.everywhere:
                    return False
                group.avoid[subnet.id] = now + self._world.settings.retry_seconds
                continue
            # moto's own way to say whose it is; its InstanceState looks for it.
            machine.instance.autoscaling_group = group.moto  # type: ignore[attr-defined]
            state = InstanceState(
                machine.instance,
                lifecycle_state="Pending",
                protected_from_scale_in=group.moto.new_instances_protected_from_scale_in,
            )
            group.moto.instance_states.append(state)
            launch = group.note(Activity(f"Launching a new EC2 instance: {machine.id}", cause))
            group.members.append(_Member(machine, state, launch))
            return True
        return False

    def _subnets(self, group: Group, now: float) -> list[Subnet]:
        """The group's subnets that can be tried, those with the fewest machines first."""
        staying = group.staying
        names = (group.moto.vpc_zone_identifier or "").split(",")
        subnets = [
            group.moto.ec2_backend.get_subnet(name) for name in names if name and group.avoid.get(name, 0) <= now
        ]
        return sorted(subnets, key=lambda s: sum(member.machine.zone == s.availability_zone for member in staying))

    def _terminate(self, group: Group, member: _Member, now: float, cause: str) -> None:
        if member.launch.end is None:
            member.launch.finish("Cancelled")
        member.end = group.note(Activity(f"Terminating EC2 instance: {member.machine.id}", cause))
        self._machines.terminate(member.machine, now)
        member.state.lifecycle_state = "Terminating"

    def _carry_out_scheduled_actions(self, region: str) -> float:
        """Change groups as was asked for a time that has come. moto keeps such actions, and leaves it at that.

        Returns the seconds until the next one's time.
        """
        backend = autoscaling_backends[ACCOUNT][region]
        wait = NEVER
        for name, action in list(backend.scheduled_actions.items()):
            start: Any = action.start_time
            begin = datetime.fromisoformat(str(start)) if start else None
            if begin is None or action.recurrence:  # repeated ones need days that no rehearsal has
                continue
            left = (begin.replace(tzinfo=begin.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
            if left > 0:
                wait = min(wait, left)
                continue
            del backend.scheduled_actions[name]
            moto_group = backend.autoscaling_groups.get(action.auto_scaling_group_name)
            if moto_group:
                moto_group.min_size = action.min_size if action.min_size is not None else moto_group.min_size
                moto_group.max_size = action.max_size if action.max_size is not None else moto_group.max_size
                if action.desired_capacity is not None:
                    moto_group.desired_capacity = action.desired_capacity
        return wait


def _at() -> str:
    return f"At {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
