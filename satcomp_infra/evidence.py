"""What AWS can tell of a cluster at a moment: what diagnosis and status are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .fleet import Service
    from .node.manifest import Node

ROLES = ("leader", "worker")


@dataclass(frozen=True)
class Agent:
    """A machine as its ECS agent has registered it: CPU in units (1024 each vCPU), memory in MiB."""

    connected: bool
    cpu: int
    memory: int
    tasks: int
    """That run there, or are being started."""


@dataclass(frozen=True)
class Machine:
    """An instance of the Auto Scaling group that EC2 has not terminated yet."""

    id: str
    type: str
    zone: str
    state: str
    launched: datetime
    address: str
    has_public_address: bool
    agent: Agent | None
    """None: it has not joined the cluster."""


@dataclass(frozen=True)
class Role:
    """A service of the cluster: its counts, and its events as time and message, newest first."""

    name: str
    counts: Service
    events: tuple[tuple[datetime, str], ...]
    cpu: int = 0
    memory: int = 0
    """What its container needs, in units and MiB; asked for only where nodes are missing."""


@dataclass(frozen=True)
class StoppedTask:
    """A task that ECS still tells of. `reason` is the task's, `container_reason` its container's; one may be empty."""

    id: str
    role: str
    image: str
    code: str
    reason: str
    container_reason: str
    exit_code: int | None
    stopped: datetime
    ran_seconds: float


@dataclass(frozen=True)
class Activity:
    """What Auto Scaling did, or could not do."""

    start: datetime
    end: datetime | None
    description: str
    cause: str
    status: str
    message: str


@dataclass(frozen=True)
class WaitingJob:
    """A job that a leader has taken and not started to solve: it waits for its workers."""

    job_id: str
    workers: int


@dataclass(frozen=True)
class Evidence:
    """All of it. Times are AWS's own, `now` too: the clock of who asks may be wrong."""

    now: datetime
    region: str
    desired_machines: int
    group_machines: int
    """That the group has or is launching, without those that are going."""
    group_zones: tuple[str, ...]
    machines: tuple[Machine, ...]
    roles: Mapping[str, Role]
    stopped: tuple[StoppedTask, ...]
    """Newest first."""
    activities: tuple[Activity, ...]
    """Newest first."""
    nodes: tuple[Node, ...]
    """As they say of themselves; a node that was killed is still among them."""
    last_words: Mapping[str, tuple[str, ...]]
    """By role: the last lines of its node that ended last by itself."""
    waiting: WaitingJob | None

    def machine_of(self, node: Node) -> Machine | None:
        """The machine that a node runs or ran on, if it is there; nodes of earlier years tell its address alone."""
        instance = node.item.get("instanceId")
        for machine in self.machines:
            if machine.id == instance:
                return machine
            # Addresses are given away again, and those nodes leave their items behind.
            if not instance and machine.address == node.address and machine.launched.timestamp() <= node.last_modified:
                return machine
        return None

    @property
    def is_empty(self) -> bool:
        """Whether there is no machine, and none is wanted."""
        return not self.machines and not self.desired_machines
