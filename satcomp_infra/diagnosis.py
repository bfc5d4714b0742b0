"""Why a cluster doesn't start, or stands still: from what AWS tells of it to what is wrong, and what to do."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import TYPE_CHECKING

from . import known_causes as causes
from . import quota
from .evidence import ROLES, Evidence, Role, StoppedTask
from .known_causes import KNOWN, Cause, Finding, first
from .node.manifest import FRESH_SECONDS, NodeStatus, NodeType
from .observation import LAST_LINES, gather
from .units import count, duration

if TYPE_CHECKING:
    from datetime import datetime

    from .aws import Aws
    from .stack import Infrastructure

__all__ = ["KNOWN", "Finding", "diagnose", "examine"]

JOIN = timedelta(minutes=5)
"""A machine joins its cluster a minute or two after its start."""
RECENT = timedelta(minutes=1)
"""How long what has passed is still told of: a node that crashes and starts again and again runs for moments."""
RECENTLY_TERMINATED = timedelta(minutes=5)
_ENOUGH_CRASHES = 2
_WORDS_LENGTH = 300


def diagnose(aws: Aws, infrastructure: Infrastructure, since: datetime | None = None) -> list[Finding]:
    """What is wrong with the cluster now; empty where nothing is, and where nothing runs or should.

    Only what has happened after `since`, the start of the present setup by AWS's clock, is looked at (and at most an
    hour of it). Raises AWS's errors.
    """
    return examine(gather(aws, infrastructure, since), infrastructure)


def examine(evidence: Evidence, infrastructure: Infrastructure) -> list[Finding]:
    """What is wrong, by what is known: machines first, then nodes, then jobs."""
    if not evidence.desired_machines:
        return []  # nothing should run; what is left is on its way out
    examination = _Examination(evidence, infrastructure)
    return [
        *examination.launches(),
        *examination.machines(),
        *(finding for role in ROLES for finding in examination.role(evidence.roles[role])),
        *examination.nodes(),
        *examination.jobs(),
    ]


class _Examination:
    def __init__(self, evidence: Evidence, infrastructure: Infrastructure) -> None:
        self._evidence = evidence
        self._infrastructure = infrastructure
        self._wanted = sum(role.counts.desired for role in evidence.roles.values())

    def launches(self) -> list[Finding]:
        """Why machines are missing that EC2 should have started."""
        evidence, track = self._evidence, self._infrastructure.track
        if evidence.group_machines >= evidence.desired_machines:
            return []
        refused: dict[str, Finding] = {}
        for activity in evidence.activities:
            if activity.status != "Failed" or not activity.description.startswith("Launching"):
                continue
            cause, match = first(causes.LAUNCH, activity.message)
            if cause is None or match is None:
                continue
            named = match.groupdict()
            refusing = (named["zone"],) if named.get("zone") else evidence.group_zones
            finding = cause.finding(
                instance_type=named.get("type") or track.instance_type,
                zone=" and ".join(refusing),
                limit=named.get("limit"),
                region=evidence.region,
                machines=count(evidence.desired_machines, "machine"),
                needed=evidence.desired_machines * track.vcpus,
                where=quota.console_path(evidence.region),
                group=self._infrastructure.auto_scaling_group,
                words=_words(activity.message),
            )
            if "zone" not in named:
                if not refused:  # what failed last is what holds
                    return [finding]
                continue
            for zone in refusing:
                refused.setdefault(zone, finding)
        if set(self._infrastructure.zones) <= set(refused):
            zones = ", ".join(self._infrastructure.zones)
            return [causes.NO_CAPACITY_ANYWHERE.finding(instance_type=track.instance_type, zones=zones)]
        here = {finding.message: finding for zone, finding in refused.items() if zone in evidence.group_zones}
        return list(here.values())

    def machines(self) -> list[Finding]:
        """What has become of machines that were started."""
        evidence, found = self._evidence, []
        if self._wanted > evidence.desired_machines:
            found.append(
                causes.TOO_FEW_MACHINES.finding(
                    nodes=count(self._wanted, "node"),
                    machines=count(evidence.desired_machines, "machine"),
                    workers=evidence.roles["worker"].counts.desired,
                )
            )
        for activity in evidence.activities:
            recent = self._is_short or evidence.now - activity.start < RECENTLY_TERMINATED
            if recent and causes.MACHINE_TERMINATED.match(activity.cause):
                ended, time = activity.description.rpartition(" ")[2], f"{activity.start.astimezone():%H:%M}"
                found.append(causes.MACHINE_TERMINATED.finding(machine=ended, time=time))
        for machine in evidence.machines:
            age = evidence.now - machine.launched
            if machine.state == "running" and machine.agent is None and age > JOIN:
                minutes, cluster = int(age.total_seconds() // 60), self._infrastructure.cluster
                found.append(causes.MACHINE_NOT_JOINED.finding(machine=machine.id, minutes=minutes, cluster=cluster))
            elif self._is_short and machine.state == "running" and machine.agent and not machine.agent.connected:
                found.append(causes.AGENT_DISCONNECTED.finding(machine=machine.id))
        return found

    @property
    def _is_short(self) -> bool:
        return any(role.counts.running < role.counts.desired for role in self._evidence.roles.values())

    def role(self, role: Role) -> list[Finding]:
        """Why nodes of a role are missing, or don't stay."""
        if not role.counts.desired:
            return []
        return [*self._placement(role), *self._starts(role)]

    def _placement(self, role: Role) -> list[Finding]:
        if role.counts.running >= role.counts.desired:
            return []
        agents = [machine.agent for machine in self._evidence.machines if machine.agent]
        # Nothing is wrong while machines are still to come: ECS complains of that, too.
        message = next((text for _, text in role.events if "has started" in text or "unable to place" in text), "")
        cause, _ = first(causes.PLACEMENT, message) if "unable to place" in message else (None, None)
        if cause is None or not agents:
            return []
        memory, cpu = (max(getattr(agent, name) for agent in agents) for name in ("memory", "cpu"))
        true = {
            "container-too-big": role.memory > memory,
            "too-little-cpu": role.cpu > cpu,
            "not-placed": "No Container Instances" not in message and "agent connected" not in message,
        }
        if not true.get(cause.kind, True):
            return []
        finding = cause.finding(
            fatal=any(agent.tasks == 0 for agent in agents) if cause.kind == "port-in-use" else None,
            role=role.name,
            memory=role.memory,
            machine_memory=memory,
            cpu=role.cpu,
            machine_cpu=cpu,
            project=self._infrastructure.project,
            track=self._infrastructure.track.name,
            cluster=self._infrastructure.cluster,
            words=_words(message.partition("requirements. ")[2] or message),
        )
        return [finding]

    def _starts(self, role: Role) -> list[Finding]:
        """Why a role's nodes ended: those that could not be started, and those that ended by themselves."""
        by_kind: dict[str, list[tuple[Cause, StoppedTask]]] = {}
        for task in self._evidence.stopped:
            if task.role != role.name or task.code not in ("TaskFailedToStart", "EssentialContainerExited"):
                continue
            crashed = task.code == "EssentialContainerExited"
            passed = self._evidence.now - task.stopped > RECENT or not crashed
            if role.counts.running >= role.counts.desired and passed:
                continue
            cause, _ = first(causes.START, f"{task.container_reason} {task.reason}")
            if cause and cause.kind == "node-crashes":
                said = " ".join(self._evidence.last_words.get(role.name, ()))
                cause = causes.WRONG_ARCHITECTURE if causes.WRONG_ARCHITECTURE.match(said) else cause
            if cause:
                by_kind.setdefault(cause.kind, []).append((cause, task))
        return [self._start(role, *ended[0], len(ended)) for ended in by_kind.values()]

    def _start(self, role: Role, cause: Cause, task: StoppedTask, times: int) -> Finding:
        crashes = cause.kind == "node-crashes"
        at_start = task.ran_seconds < RECENT.total_seconds()
        return cause.finding(
            fatal=times >= _ENOUGH_CRASHES and at_start if crashes else None,
            lines=self._evidence.last_words.get(role.name, ())[-LAST_LINES:] if crashes else (),
            role=role.name,
            ROLE=role.name.upper(),
            project=self._infrastructure.project,
            image=task.image,
            words=_words(task.container_reason or task.reason),
            container_memory=self._infrastructure.track.container_memory,
            cluster=self._infrastructure.cluster,
            ran=duration(task.ran_seconds),
            code=_exit_code(task.exit_code),
            times=f", {times} times by now" if times > 1 else "",
        )

    def nodes(self) -> list[Finding]:
        """What nodes say of themselves, or don't say any more."""
        evidence, found = self._evidence, []
        for node in evidence.nodes:
            role = "leader" if node.kind == NodeType.LEADER else "worker"
            machine = evidence.machine_of(node)
            superseded = any(
                (other.address, other.kind) == (node.address, node.kind) and other.last_modified > node.last_modified
                for other in evidence.nodes
            )
            ended = any(t.role == role and t.stopped.timestamp() >= node.last_modified - 1 for t in evidence.stopped)
            counts = evidence.roles[role].counts
            if machine is None or machine.state != "running" or superseded or ended or counts.running < counts.desired:
                continue
            age = evidence.now.timestamp() - node.last_modified
            if age > FRESH_SECONDS:
                found.append(
                    causes.NODE_SILENT.finding(role=role, address=node.address, age=duration(age), machine=machine.id)
                )
            elif node.status == NodeStatus.ERROR:
                found.append(causes.NODE_IN_ERROR.finding(role=role, address=node.address))
        return found

    def jobs(self) -> list[Finding]:
        """A job that waits for workers which nobody has started."""
        job, there = self._evidence.waiting, self._evidence.roles["worker"].counts.desired
        if job is None or job.workers <= there:
            return []
        finding = causes.TOO_FEW_WORKERS.finding(
            job=job.job_id, wanted=count(job.workers, "worker"), workers=job.workers, there=there
        )
        return [finding]


def _exit_code(code: int | None) -> str:
    """A container's exit code, with the name of the signal that ended it: then it is 128 plus the signal's number."""
    if code is None:
        return "(none)"
    try:
        return f"{code} ({signal.Signals(code - 128).name})" if code > 128 else str(code)
    except ValueError:
        return str(code)


def _words(text: str) -> str:
    """AWS's own words as a part of a sentence."""
    words = " ".join(text.split()).rstrip(".")
    return words if len(words) <= _WORDS_LENGTH else f"{words[:_WORDS_LENGTH]}..."
