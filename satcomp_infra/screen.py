"""A project's status as text: one screen, at most 80 columns but for what is to be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import prices
from .layout import COPIED, WIDTH, lay_out
from .node.manifest import FRESH_SECONDS, NodeStatus
from .stack import State
from .stopping import SHUTDOWN
from .units import count, dollars, duration, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .known_causes import Finding
    from .node.manifest import Node
    from .status import Cluster, Status

_ROWS = (8, 4, 2, 1)
"""Machines or nodes that are shown one by one, fewer where there is no place for more; the rest is counted."""
_LABEL = 16
_STATES = {State.READY: "ready", State.BROKEN: "not complete", State.ABSENT: "deleted"}


def draw(status: Status, fits: Callable[[str], bool] = lambda _: True) -> str:
    """The screen.

    It has as few machines and nodes as it takes to fit. Where it can't, what is wrong comes first.
    """
    wrong = [] if status.stack.state is State.BUSY else list(_findings(status.findings))
    for rows in _ROWS:
        there = list(_lines(status, rows))
        text = "\n".join([*there, "", *wrong] if wrong else there)
        if fits(text):
            return text
    return "\n".join([*wrong, "", *there])


def _lines(status: Status, rows: int) -> Iterator[str]:
    stack, cluster = status.stack, status.cluster
    track = f", {cluster.infrastructure.track.name} track" if cluster else ""
    yield from _entry("Project", f"{stack.project}{track}, in {status.region} of account {status.account}")
    state = f"is being {stack.doing} at the moment" if stack.state is State.BUSY else _STATES[stack.state]
    yield from _entry("Infrastructure", f"{state} ({stack.name}, {stack.status})")
    if cluster:
        yield from _parts(cluster, rows)


def _parts(cluster: Cluster, rows: int) -> Iterator[str]:
    evidence = cluster.evidence
    if evidence.is_empty:
        yield from _entry("Machines", "none: nothing costs money per hour")
    else:
        yield from _machines(cluster, rows)
    if not evidence.is_empty or any(role.counts.desired for role in evidence.roles.values()):
        counts = [
            f"{role.name} {role.counts.running} running, {role.counts.pending} pending, {role.counts.desired} wanted"
            for role in evidence.roles.values()
            if role.name == "leader" or role.counts.desired or cluster.infrastructure.track.has_workers
        ]
        yield from _entry("Services", counts[0])
        yield from (line for text in counts[1:] for line in _entry("", text))
    if cluster.nodes:
        yield from _nodes(cluster, rows)
    yield from _jobs(cluster)
    yield from _stop(cluster)
    if not evidence.is_empty:
        yield from _entry(
            "Cost",
            f"{dollars(cluster.per_hour)} per hour; {dollars(cluster.so_far)} since these machines were started "
            f"(prices of {prices.REGION})",
        )


def _machines(cluster: Cluster, rows: int) -> Iterator[str]:
    evidence = cluster.evidence
    costs = {machine.type: cluster.cost_per_hour(machine) for machine in evidence.machines}
    types = [
        f"{name}, {'price unknown' if cost is None else f'{dollars(cost)} per hour each'}"
        for name, cost in costs.items()
    ]
    of_types = f" ({'; '.join(types)})" if types else ""
    yield from _entry("Machines", f"{len(evidence.machines)} of {evidence.desired_machines} wanted{of_types}")
    for machine in evidence.machines[:rows]:
        state = "joining" if machine.state == "running" and machine.agent is None else machine.state
        age = span(cluster.age(machine))
        yield f"  {machine.id:<21}{machine.zone:<16}{state:<14}{age:>12}"
    rest = len(evidence.machines) - rows
    if rest > 0:
        yield f"  and {rest} more"


def _nodes(cluster: Cluster, rows: int) -> Iterator[str]:
    def is_odd(node: Node) -> bool:
        return node.status == NodeStatus.ERROR or cluster.silence(node) > FRESH_SECONDS

    nodes = sorted(cluster.nodes, key=lambda node: (node.kind, not is_odd(node)))
    yield from _entry("Nodes", "as they say of themselves")
    for node in nodes[:rows]:
        silent = cluster.silence(node)
        odd = f"SILENT for {span(silent)}" if silent > FRESH_SECONDS else ""
        job = str(node.item.get("jobId", ""))
        doing = f"job {job}" if job else ""
        yield "  ".join(
            [f"  {node.kind.lower():<6}", f"{node.address:<15}", f"{node.status:<5}", odd or doing]
        ).rstrip()
        if odd and doing:
            yield f"{doing:>{WIDTH - 2}}"
    rest = nodes[rows:]
    if rest:
        ready = sum(node.status == NodeStatus.READY and not is_odd(node) for node in rest)
        yield f"  and {len(rest)} more, {ready} of them READY"


def _jobs(cluster: Cluster) -> Iterator[str]:
    backlog = cluster.backlog
    yield from _entry("Jobs", f"{backlog.waiting} waiting, {backlog.taken} being solved, {backlog.given_up} given up")
    if backlog.waiting and cluster.evidence.is_empty:
        verb = "waits" if backlog.waiting == 1 else "wait"
        yield from _entry("", f"No machine runs, so {count(backlog.waiting, 'job')} {verb}. Start:\n{_start(cluster)}")


def _start(cluster: Cluster) -> str:
    """What to type to start the nodes that the services want, or some."""
    workers = cluster.evidence.roles["worker"].counts.desired or "NUM_WORKERS"
    option = f" --workers {workers}" if cluster.infrastructure.track.has_workers else ""
    return f"./update_instances --option setup{option}"


def _stop(cluster: Cluster) -> Iterator[str]:
    if cluster.stop_at:
        left = (cluster.stop_at - cluster.evidence.now).total_seconds()
        yield from _entry("Automatic stop", f"{moment(cluster.stop_at)}, in {span(max(left, 0))}")
    elif not cluster.evidence.is_empty:
        yield from _entry(
            "Automatic stop",
            f"NONE. To stop the machines:\n{SHUTDOWN}",
        )
    elif any(role.counts.desired for role in cluster.evidence.roles.values()):
        yield from _entry("Automatic stop", f"has come: all machines are stopped. To start again:\n{_start(cluster)}")


def _findings(findings: tuple[Finding, ...]) -> Iterator[str]:
    yield "What is wrong:" if findings else "All is well."
    for finding in findings:
        yield from told(finding)


def told(finding: Finding) -> list[str]:
    """A finding: what is wrong, what the node printed last, what to do."""
    said = (f"    | {line}" for line in finding.lines)
    to_do = (line if line.startswith(COPIED) else f"  {line}" for line in finding.advice.split("\n"))
    return lay_out("\n".join([f"- {finding.message}", *said, *to_do]))


def span(seconds: float) -> str:
    """How long ago or ahead something is, in short: `48 s`, `12 min`, else as a duration."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min" if seconds < 3600 else duration(seconds)


def _entry(name: str, text: str) -> list[str]:
    """A text behind its label; below it what is to be copied, indented as text is."""
    return lay_out(f"{name:<{_LABEL}}{text}")
