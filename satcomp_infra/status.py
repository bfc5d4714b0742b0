"""How a project is at a moment: its infrastructure, machines, nodes, queues, costs, and what is wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import automatic_stop, job_queue, prices, stack, template
from .diagnosis import examine
from .finding import find
from .known_causes import INFRASTRUCTURE_BROKEN, Finding
from .node.background import background
from .node.manifest import FRESH_SECONDS, Node
from .observation import gather
from .project import Project
from .stack import Infrastructure, Stack, State

if TYPE_CHECKING:
    from .aws import Aws
    from .evidence import Evidence, Machine
    from .job_queue import Backlog
    from .prices import NodeCost


@dataclass(frozen=True)
class Cluster:
    """What is in a complete infrastructure. `stop_at` is when AWS stops the machines by itself, if it does."""

    infrastructure: Infrastructure
    evidence: Evidence
    backlog: Backlog
    stop_at: datetime | None
    node_cost: NodeCost
    findings: tuple[Finding, ...]

    def cost_per_hour(self, machine: Machine) -> float | None:
        """In dollars, for the machine, its address and its disk; None where the machine type's price isn't known."""
        price = prices.MACHINE_HOUR.get(machine.type)
        if price is None:
            return None
        address = self.node_cost.public_address if machine.has_public_address else 0.0
        return price + address + self.node_cost.disk

    def age(self, machine: Machine) -> float:
        """Seconds since its launch."""
        return max((self.evidence.now - machine.launched).total_seconds(), 0.0)

    @property
    def per_hour(self) -> float:
        """What all machines cost now, in dollars per hour."""
        return sum(self.cost_per_hour(machine) or 0.0 for machine in self.evidence.machines)

    @property
    def so_far(self) -> float:
        """What these machines have cost since each was started, in dollars."""
        return sum(
            (self.cost_per_hour(machine) or 0.0) * self.age(machine) / 3600 for machine in self.evidence.machines
        )

    def silence(self, node: Node) -> float:
        """Seconds since a node's last sign of life."""
        return max(self.evidence.now.timestamp() - node.last_modified, 0.0)

    @property
    def nodes(self) -> list[Node]:
        """The nodes, leaders first, without those that another has taken the place of, or whose machine is gone."""
        newest: dict[tuple[str, str], Node] = {}
        for node in sorted(self.evidence.nodes, key=lambda node: node.last_modified):
            newest[node.kind, node.address] = node
        there = [n for n in newest.values() if self.evidence.machine_of(n) or self.silence(n) <= FRESH_SECONDS]
        return sorted(there, key=lambda node: (node.kind, node.address))


@dataclass(frozen=True)
class Status:
    """A project's. `cluster` is None while the infrastructure isn't complete."""

    account: str
    region: str
    stack: Stack
    cluster: Cluster | None

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong."""
        if self.stack.state is State.BROKEN:
            why = f": {self.stack.reason.rstrip('.')}" if self.stack.reason else ""
            stack = self.stack
            return (INFRASTRUCTURE_BROKEN.finding(status=stack.status, why=why, project=stack.project),)
        return self.cluster.findings if self.cluster else ()

    def as_json(self) -> dict[str, Any]:
        """All of it, as plain values: times in ISO 8601 (UTC), ages in seconds, costs in US dollars."""
        found: dict[str, Any] = {
            "project": self.stack.project,
            "account": self.account,
            "region": self.region,
            "infrastructure": {
                "stack": self.stack.name,
                "state": self.stack.state.value,
                "status": self.stack.status,
            },
            "well": self.is_well,
            "findings": [asdict(finding) for finding in self.findings],
        }
        return found | _cluster_json(self.cluster) if self.cluster else found


def locate(aws: Aws, project: Project | None) -> Stack:
    """The stack of a project, or of the region's only one, in whatever state; raises SatcompError where none is."""
    found = stack.describe(aws, project.stack) if project else None
    if project and found and found.project == project.name:
        return found
    if project is None:
        here = stack.projects(aws)
        if len(here) == 1:
            return here[0]
    find(aws, project)  # says where it is instead, or what there is to choose from
    return locate(aws, project)  # it has come into being just now


def look(aws: Aws, project: Project | None) -> Status:
    """The project's status now, in about the time of its slowest call. Raises SatcompError where it isn't there."""
    account = background(lambda: aws.account)
    found = locate(aws, project)
    cluster = None
    if found.state is State.READY:
        infrastructure = Infrastructure.of(found)
        evidence = background(gather, aws, infrastructure)
        backlog = background(job_queue.backlog, aws, infrastructure)
        stop_at = background(automatic_stop.when, aws, infrastructure.auto_scaling_group)
        cost = background(_node_cost, infrastructure)
        cluster = Cluster(
            infrastructure=infrastructure,
            evidence=evidence.result(),
            backlog=backlog.result(),
            stop_at=stop_at.result(),
            node_cost=cost.result(),
            findings=tuple(examine(evidence.result(), infrastructure)),
        )
    return Status(account.result(), aws.region, found, cluster)


def _node_cost(infrastructure: Infrastructure) -> NodeCost:
    project = Project(infrastructure.project)
    return prices.node_per_hour(template.read(template.render(project, infrastructure.track, infrastructure.zones)))


def _cluster_json(cluster: Cluster) -> dict[str, Any]:
    evidence = cluster.evidence
    return {
        "time": _iso(evidence.now),
        "track": cluster.infrastructure.track.name,
        "machines_wanted": evidence.desired_machines,
        "machines": [
            {
                "id": machine.id,
                "type": machine.type,
                "zone": machine.zone,
                "state": machine.state,
                "address": machine.address,
                "joined": machine.agent is not None,
                "launched": _iso(machine.launched),
                "age": cluster.age(machine),
                "cost_per_hour": cluster.cost_per_hour(machine),
            }
            for machine in evidence.machines
        ],
        "services": {role.name: asdict(role.counts) for role in evidence.roles.values()},
        "nodes": [
            {
                "id": node.node_id,
                "type": node.kind,
                "address": node.address,
                "machine": machine.id if (machine := evidence.machine_of(node)) else "",
                "status": node.status,
                "job": str(node.item.get("jobId", "")),
                "silent_for": cluster.silence(node),
            }
            for node in cluster.nodes
        ],
        "queues": asdict(cluster.backlog),
        "automatic_stop": _iso(cluster.stop_at) if cluster.stop_at else None,
        "cost": {"per_hour": cluster.per_hour, "so_far": cluster.so_far, "prices_of": prices.REGION},
    }


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")
