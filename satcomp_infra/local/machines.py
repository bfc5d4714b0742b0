"""Machines: what EC2 does with an instance that Auto Scaling asks for, and the ECS agent on it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.ec2.utils import convert_tag_spec
from moto.ecs.models import ContainerInstance, ecs_backends

from ..tracks import TRACKS
from .scheduler import NEVER
from .settings import ACCOUNT

if TYPE_CHECKING:
    from moto.autoscaling.models import FakeAutoScalingGroup
    from moto.core.types import Base64EncodedString
    from moto.ec2.models.instances import Instance
    from moto.ec2.models.subnets import Subnet

    from .tasks import ServiceTask
    from .world import World

_LOOK_AGAIN = 0.2
"""Seconds."""
_FAILED = "Launching EC2 instance failed."
_SYSTEM_SHARE = 0.035
"""Of a machine's memory: what its operating system and the ECS agent keep for themselves."""


class LaunchError(Exception):
    """EC2 refuses a launch; the message is EC2's. `everywhere`: it would be no different in another zone."""

    def __init__(self, message: str, *, everywhere: bool = False) -> None:
        super().__init__(f"{message} {_FAILED}")
        self.everywhere = everywhere


@dataclass(eq=False)
class Machine:
    """An instance and the agent on it. `tasks` are all that have not stopped yet."""

    instance: Instance
    cluster: str
    launched_at: float
    container_instance: ContainerInstance | None = None
    tasks: set[ServiceTask] = field(default_factory=set)
    join_again_at: float = 0.0
    ending_since: float | None = None
    gone: bool = False
    moto_address: str = ""
    """The one that moto's subnet gave to the instance, and has to get back."""

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.instance.id

    @property
    def address(self) -> str:
        """The private address: one of this machine's loopback addresses, and no other instance's."""
        return str(self.instance.nics[0].private_ip_address)

    @property
    def zone(self) -> str:
        """The availability zone."""
        return str(self.instance.placement.zone)

    @property
    def region(self) -> str:
        """The region."""
        return str(self.instance.region_name)


class Machines:
    """All machines of the cloud."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._changing: set[Machine] = set()

    def launch(self, group: FakeAutoScalingGroup, subnet: Subnet, now: float) -> Machine:
        """A new instance for a group. Raises LaunchError."""
        template = group.ec2_launch_template
        if template is None:
            raise LaunchError("The local cloud launches machines from launch templates only.", everywhere=True)
        version = template.get_version(group.launch_template_version)
        self._check(version.instance_type, group.region, subnet.availability_zone)
        specifications = version.data.get("TagSpecifications", [])
        tags = {**group.get_propagated_tags(), "aws:autoscaling:groupName": group.name}
        try:
            reservation = group.ec2_backend.run_instances(
                version.image_id,
                1,
                version.user_data,
                version.security_groups,
                instance_type=version.instance_type,
                is_instance_type_default=False,
                launch_template={"LaunchTemplateId": template.id, "Version": str(version.number)},
                block_device_mappings=version.data.get("BlockDeviceMappings", []),
                metadata_options=version.data.get("MetadataOptions", {}),
                tags={"instance": tags, "volume": convert_tag_spec(specifications).get("volume", {})},
                subnet_id=subnet.id,
                associate_public_ip=None,  # as the subnet says
                region_name=group.region,
            )
        except ServiceException as error:
            raise LaunchError(error.message, everywhere=True) from error
        except StopIteration as error:  # how moto says that the subnet has no address left
            raise LaunchError(
                f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of "
                "instances."
            ) from error
        instance = reservation.instances[0]
        _set_state(instance, "pending", 0)
        machine = Machine(instance, _cluster(version.user_data), now, moto_address=str(instance.private_ip_address))
        self._move_to_loopback(machine)
        self._world.machines[machine.id] = machine
        self._changing.add(machine)
        self._world.scheduler.wake()
        return machine

    def terminate(self, machine: Machine, now: float) -> None:
        """Shut the machine down, and what runs on it with it; returns at once."""
        if machine.ending_since is None:
            machine.ending_since = now
            _set_state(machine.instance, "shutting-down", 32)
            self._changing.add(machine)
            self._world.scheduler.wake()

    def step(self, now: float) -> float:
        """Let instances come up, agents join, instances go."""
        due = NEVER
        for machine in list(self._changing):
            again = self._step(machine, now)
            if again == NEVER:
                self._changing.discard(machine)
            due = min(due, again)
        return due

    def _step(self, machine: Machine, now: float) -> float:
        if machine.ending_since is not None:
            gone_at = machine.ending_since + self._world.settings.boot_seconds / 2
            if machine.tasks:
                return max(gone_at, now + _LOOK_AGAIN)
            if now < gone_at:
                return gone_at
            self._end(machine)
            return NEVER
        boot = self._world.settings.boot_seconds + self._world.faults.slow_boot
        runs_at, joins_at = machine.launched_at + boot / 2, max(machine.launched_at + boot, machine.join_again_at)
        if now < runs_at:
            return runs_at
        if machine.instance.state == "pending":
            _set_state(machine.instance, "running", 16)
            self._world.scheduler.wake()  # its group is interested
        if now < joins_at:
            return joins_at
        if not self._join(machine):
            machine.join_again_at = now + _LOOK_AGAIN
            return machine.join_again_at
        return NEVER

    def _join(self, machine: Machine) -> bool:
        """Register the instance with its cluster, as the agent does. False: there is no such cluster."""
        ecs = ecs_backends[ACCOUNT][machine.region]
        cluster = ecs.clusters.get(machine.cluster)
        if cluster is None or cluster.status != "ACTIVE":
            return False
        joined = ecs.register_container_instance(machine.cluster, machine.id)
        cpu, memory = vcpus(machine.instance.instance_type) * 1024, container_memory(machine.instance.instance_type)
        # moto gives every instance 4 vCPUs and 7482 MiB, whatever its type.
        for resource in (*joined.registered_resources, *joined.remaining_resources):
            if resource["name"] in ("CPU", "MEMORY"):
                resource["integerValue"] = cpu if resource["name"] == "CPU" else memory
        machine.container_instance = joined
        return True

    def _end(self, machine: Machine) -> None:
        machine.gone = True
        self._world.scheduler.wake()  # as above
        ecs = ecs_backends[ACCOUNT][machine.region]
        joined = machine.container_instance
        if joined and joined.id in ecs.container_instances.get(machine.cluster, {}):
            del ecs.container_instances[machine.cluster][joined.id]
        # moto never takes an address back: a subnet would be full after as many launches as it has addresses.
        subnet: Any = machine.instance.nics[0].subnet
        subnet.del_subnet_ip(machine.moto_address)
        self._world.addresses.give_back(machine.address)
        del self._world.machines[machine.id]
        machine.instance.terminate()

    def _check(self, kind: str, region: str, zone: str) -> None:
        """Whether EC2 would launch an instance of this kind there; raises LaunchError if not."""
        faults = self._world.faults
        if faults.launch_refusal:
            raise LaunchError(faults.launch_refusal, everywhere=True)
        in_use = sum(vcpus(m.instance.instance_type) for m in self._world.machines.values() if m.ending_since is None)
        if in_use + vcpus(kind) > faults.vcpu_quota:
            raise LaunchError(
                f"You have requested more vCPU capacity than your current vCPU limit of {faults.vcpu_quota} allows for "
                "the instance bucket that the specified instance type belongs to. Please visit "
                "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
                everywhere=True,
            )
        offering = {zone for zone in zones_offering(kind, region) if zone not in faults.zones_without_type}
        others = ", ".join(sorted(offering - {zone} - set(faults.zones_without_capacity)))
        choose = f" or choosing {others}" if others else ""
        if zone not in offering:
            raise LaunchError(
                f"Your requested instance type ({kind}) is not supported in your requested Availability Zone ({zone}). "
                f"Please retry your request by not specifying an Availability Zone{choose}."
            )
        if zone in faults.zones_without_capacity:
            raise LaunchError(
                f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). "
                "Our system will be working on provisioning additional capacity. You can currently get "
                f"{kind} capacity by not specifying an Availability Zone in your request{choose}."
            )

    def _move_to_loopback(self, machine: Machine) -> None:
        """Give the instance an address that processes of this machine can listen on, each on its own."""
        card = machine.instance.nics[0]
        card.private_ip_address = self._world.addresses.take(machine.moto_address)
        for entry in card.private_ip_addresses:
            if entry.get("Primary"):
                entry["PrivateIpAddress"] = card.private_ip_address
                if "PrivateDnsName" in entry:
                    entry["PrivateDnsName"] = machine.instance.private_dns_name


def vcpus(kind: str) -> int:
    """Of a machine type."""
    return int(INSTANCE_TYPES[kind]["VCpuInfo"]["DefaultVCpus"])


def container_memory(kind: str) -> int:
    """The MiB that a machine of this type registers with its cluster."""
    for track in TRACKS.values():
        if track.instance_type == kind:
            return track.registered_memory
    return int(INSTANCE_TYPES[kind]["MemoryInfo"]["SizeInMiB"] * (1 - _SYSTEM_SHARE))


def zones_offering(kind: str, region: str) -> set[str]:
    """The zones that have machines of this type."""
    offerings = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, [])
    return {offering["Location"] for offering in offerings if offering["InstanceType"] == kind}


def _set_state(instance: Instance, name: str, code: int) -> None:
    instance.instance_state.name = name
    instance.instance_state.code = code


def _cluster(user_data: Base64EncodedString | None) -> str:
    """The cluster that an instance's first script tells the agent to join."""
    match = re.search(r"ECS_CLUSTER=([\w-]+)", user_data.decode() if user_data else "")
    return match[1] if match else "default"
