"""What would be created, under which names, and what it will cost: known before anything is created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import prices, quota, template
from .aws import together
from .project import CLUSTER, NODE_MANIFEST_TABLE, TASK_END_TABLE
from .tracks import TRACKS
from .units import count, dollars

if TYPE_CHECKING:
    from .aws import Aws
    from .prices import NodeCost
    from .project import Names, Project
    from .tracks import Track


@dataclass(frozen=True)
class Plan:
    """An infrastructure that could be created. `idle_cost` and the node's cost are in dollars per hour."""

    account: str
    region: str
    track: Track
    zones: tuple[str, ...]
    names: Names
    body: str
    """The template's text."""
    resources: int
    idle_cost: float
    node_cost: NodeCost
    vcpus: int | None
    """The account's quota; None where it couldn't be asked for."""

    @property
    def warning(self) -> str:
        """Why the smallest useful cluster can't be started with the quota of now; empty where it can."""
        smallest = 2 if self.track.has_workers else 1
        return quota.warning(self.track, self.vcpus, smallest, self.region) if self.vcpus is not None else ""

    def __str__(self) -> str:
        names, track, cost = self.names, self.track, self.node_cost
        quota_text = "unknown: your user may not ask for it"
        if self.vcpus is not None:
            room = count(quota.nodes(track, self.vcpus), "machine")
            quota_text = f"{self.vcpus} vCPU at once, which is room for {room}"
        lines = [
            ("project", f"{names.project}, {track.name} track, in {self.region} of account {self.account}"),
            ("zones", ", ".join(self.zones)),
            ("machines", f"{track.instance_type}: {track.vcpus} vCPU, {track.machine_memory // 1024} GiB each"),
            ("stack", f"{names.stack} ({self.resources} resources)"),
            ("bucket", f"s3://{names.bucket}"),
            ("repository", f"{names.repository} (images leader and worker)"),
            ("queues", names.job_queue),
            ("", names.result_queue),
            ("", names.dead_letter_queue),
            ("cluster", CLUSTER),
            ("tables", f"{NODE_MANIFEST_TABLE}, {TASK_END_TABLE}"),
            ("logs", f"{names.leader_log_group}, {names.worker_log_group}"),
            ("cost, idle", f"{dollars(self.idle_cost)} per hour, until machines are started"),
            ("cost, machine", f"{dollars(cost.total)} per hour while it runs (prices of {prices.REGION})"),
            ("quota", quota_text),
        ]
        return "\n".join(f"  {name:<15} {text}" for name, text in lines)


def make(aws: Aws, project: Project, track: Track) -> Plan:
    """Find out all of it; nothing is created. Raises SatcompError where the region lacks the machines."""
    types = [each.instance_type for each in TRACKS.values()]
    zones, vcpus = together(lambda: template.zones_offering(aws.ec2, types), lambda: quota.vcpus(aws))
    body = template.render(project, track, zones)
    document = template.read(body)
    return Plan(
        account=aws.account,
        region=aws.region,
        track=track,
        zones=tuple(zones),
        names=project.names(aws.account, aws.region),
        body=body,
        resources=len(document["Resources"]),
        idle_cost=sum(prices.idle_per_hour(document).values()),
        node_cost=prices.node_per_hour(document),
        vcpus=vcpus,
    )
