"""Why a cluster doesn't start, or stands still: every known cause, how it shows, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a cluster. `kind` is one of the table's below, and stays the same.

    `message` is one sentence that says what is wrong, with the names in it; `advice` is what to do, each command to
    type on a line of its own. `fatal`: waiting won't make the cluster complete. `lines` are the last that the node
    printed, where that is what says more.
    """

    kind: str
    message: str
    advice: str
    fatal: bool
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cause:
    """A known cause. `sign` is what can be seen of it in AWS, `message` and `advice` are a finding's, with {names}.

    `pattern` finds it in AWS's own words, by the part of them that stays the same; empty where a state shows it.
    """

    kind: str
    sign: str
    message: str
    advice: str
    fatal: bool = False
    pattern: str = ""

    def match(self, text: str) -> re.Match[str] | None:
        """Where AWS's words tell of this cause."""
        return re.search(self.pattern, text, re.IGNORECASE) if self.pattern else None

    def finding(self, *, fatal: bool | None = None, lines: tuple[str, ...] = (), **names: object) -> Finding:
        """The finding, with its names filled in."""
        message, advice = (text.format_map(names) for text in (self.message, self.advice))
        return Finding(self.kind, message, advice, self.fatal if fatal is None else fatal, lines)


def first(known: tuple[Cause, ...], text: str) -> tuple[Cause | None, re.Match[str] | None]:
    """The first of these causes that AWS's words tell of, and where."""
    for cause in known:
        match = cause.match(text)
        if match:
            return cause, match
    return None, None


_PUSH = "./push-ecr --project {project} --{role} {ROLE}_IMAGE"

INFRASTRUCTURE_BROKEN = Cause(
    "infrastructure-broken",
    "CloudFormation: the stack's status is ROLLBACK_COMPLETE, or ends in FAILED",
    "The infrastructure is not complete ({status}){why}.",
    "Remove what is there:\n./delete-solver-infrastructure --project {project}",
    fatal=True,
)
LAUNCH = (
    Cause(
        "quota-exceeded",
        "Auto Scaling: 'You have requested more vCPU capacity than your current vCPU limit of ... allows'",
        "The account may run {limit} vCPU at once in {region}, machines of other uses included; {machines} of type "
        "{instance_type} need {needed}.",
        "Request more, which takes hours to days ({where}); until then start fewer nodes.",
        fatal=True,
        pattern=r"more vCPU capacity than your current vCPU limit of (?P<limit>\d+)",
    ),
    Cause(
        "no-capacity-in-zone",
        "Auto Scaling: 'We currently do not have sufficient ... capacity in the Availability Zone you requested'",
        "AWS has no {instance_type} left in zone {zone} at the moment.",
        "AWS goes on trying there. ./update_instances --option setup goes on to the next zone by itself: if it isn't "
        "running any more, type it again.",
        pattern=r"do not have sufficient (?:(?P<type>\S+) )?capacity"
        r"(?: in the Availability Zone you requested \((?P<zone>[\w-]+)\))?",
    ),
    Cause(
        "type-not-in-zone",
        "Auto Scaling: 'Your requested instance type (...) is not supported in your requested Availability Zone'",
        "Zone {zone} has no machines of type {instance_type}.",
        "Setup goes on to the next zone by itself, each time. A project that is created anew leaves the zone out.",
        pattern=r"instance type \((?P<type>\S+)\) is not supported in your requested Availability Zone "
        r"\((?P<zone>[\w-]+)\)",
    ),
    Cause(
        "account-not-verified",
        "Auto Scaling: '... accessing resources in this region is being validated', or 'currently blocked'",
        "AWS is still checking the account, and starts no machine in {region} before it is done.",
        "Wait for AWS's e-mail, which can take some hours; if none comes, open a case with AWS's support.",
        fatal=True,
        pattern=r"being validated|pending verification|currently blocked",
    ),
    Cause(
        "launch-failed",
        "Auto Scaling: an activity 'Failed' for any other reason",
        "EC2 refuses to start a machine: {words}.",
        "AWS goes on trying; all it has to say is in the EC2 console, Auto Scaling Groups, {group}, Activity.",
        pattern=r".",
    ),
)
"""What keeps machines from starting: in AWS's words of a failed scaling activity, the first that fits."""

NO_CAPACITY_ANYWHERE = Cause(
    "no-capacity-anywhere",
    "Auto Scaling: the two messages about zones, for every zone of the infrastructure",
    "AWS has no {instance_type} left in any zone of the infrastructure ({zones}).",
    "Try again in an hour or with fewer nodes, or create the project in another region.",
    fatal=True,
)
MACHINE_TERMINATED = Cause(
    "machine-terminated",
    "Auto Scaling: 'an EC2 health check indicating it has been terminated or stopped', or a failed status check",
    "Machine {machine} was ended from outside or failed at {time}; Auto Scaling starts another one.",
    "Jobs that it had are solved again. End single machines only if you mean it. To stop all:\n"
    "./update_instances --option shutdown",
    pattern=r"health check indicating it has been terminated|status checks? failure|external system health check",
)
MACHINE_NOT_JOINED = Cause(
    "machine-not-joined",
    "EC2: a machine runs for more than 5 minutes; ECS: it is not among the cluster's container instances",
    "Machine {machine} has been running for {minutes} minutes and has not joined cluster {cluster}.",
    "Its first messages say why:\naws ec2 get-console-output --latest --instance-id {machine}\n"
    "Ending it starts another one:\naws ec2 terminate-instances --instance-ids {machine}",
)
AGENT_DISCONNECTED = Cause(
    "agent-disconnected",
    "ECS: agentConnected is false, or '... doesn't have the agent connected' in the service's events",
    "The ECS agent of machine {machine} has lost its connection, so that no node can be started there.",
    "For a minute that is normal. If it lasts, let another machine take its place:\n"
    "aws ec2 terminate-instances --instance-ids {machine}",
)
TOO_FEW_MACHINES = Cause(
    "too-few-machines",
    "ECS: the services' desired counts are together higher than the Auto Scaling group's desired capacity",
    "{nodes} are wanted and only {machines}, each of which runs one node.",
    "Ask for both together:\n./update_instances --option setup --workers {workers}",
    fatal=True,
)

_TRACKS_DIFFER = (
    "Machines and containers are of different tracks. Stop the machines, switch to the track, and start again:\n"
    "./update_instances --option shutdown\n"
    "./update-solver-infrastructure --project {project} --solver-type {track}"
)
PLACEMENT = (
    Cause(
        "container-too-big",
        "ECS: '... has insufficient memory available', and no machine has as much memory as the container needs",
        "The {role}'s container needs {memory} MiB of memory, and the machines have {machine_memory}.",
        _TRACKS_DIFFER,
        fatal=True,
        pattern=r"insufficient memory",
    ),
    Cause(
        "too-little-cpu",
        "ECS: '... has insufficient CPU units available', and no machine has as many as the container needs",
        "The {role}'s container needs {cpu} CPU units (1024 each vCPU), and the machines have {machine_cpu}.",
        _TRACKS_DIFFER,
        fatal=True,
        pattern=r"insufficient CPU units",
    ),
    Cause(
        "port-in-use",
        "ECS: '... is already using a port required by your task'",
        "The {role}'s container asks for a port that is taken on every machine.",
        "Remove portMappings from its task definition: with host networking all ports are open without, and port 22 "
        "can't be mapped.",
        pattern=r"already using a port",
    ),
    Cause(
        "not-placed",
        "ECS: 'was unable to place a task' for any other reason",
        "ECS finds no machine for the {role}: {words}.",
        "ECS goes on trying; all it has to say is in the ECS console, cluster {cluster}, Services, Events.",
        pattern=r"unable to place a task",
    ),
)
"""What keeps nodes from being placed on machines that are there, in ECS's words of a service event."""

WRONG_ARCHITECTURE = Cause(
    "wrong-architecture",
    "Node's log: 'exec format error'; ECS: 'does not contain descriptor matching platform'",
    "The {role}'s image is not for linux/amd64, and the machines run nothing else.",
    "Build it with 'docker build --platform linux/amd64', and push it again:\n" + _PUSH,
    fatal=True,
    pattern=r"exec format error|matching platform|no matching manifest for",
)
START = (
    Cause(
        "disk-full",
        "ECS: 'no space left on device' in the stopped task's reason",
        "The {role} can't be started: the machine's disk is too small for its image.",
        "Make the image smaller, and push it again:\n" + _PUSH,
        fatal=True,
        pattern=r"no space left on device",
    ),
    WRONG_ARCHITECTURE,
    Cause(
        "image-missing",
        "ECS: 'CannotPullContainerError', with 'not found', 'manifest unknown' or 'does not exist'",
        "The {role}'s image {image} is not in the repository.",
        "Push it:\n" + _PUSH,
        fatal=True,
        pattern=r"CannotPull.*(not found|manifest unknown|does not exist|no such (image|manifest))",
    ),
    Cause(
        "image-not-pullable",
        "ECS: 'CannotPullContainerError' for any other reason",
        "The {role}'s image can't be pulled: {words}.",
        "ECS goes on trying; if that doesn't help, push the image again:\n" + _PUSH,
        pattern=r"CannotPull",
    ),
    Cause(
        "mount-failed",
        "ECS: the stopped task's reason tells of mounting or of EFS",
        "The {role} can't mount the shared file system: {words}.",
        "In the first minutes of a new infrastructure that passes. If it lasts, the network or the file system was "
        "changed by hand: delete the infrastructure and create it anew.",
        pattern=r"\bEFS\b|\.efs\.|mount\.nfs|mounting volume|VolumeDriver|ResourceInitializationError.*volume",
    ),
    Cause(
        "out-of-memory",
        "ECS: 'OutOfMemoryError: Container killed due to memory usage'",
        "The {role} was killed, because it used more memory than its container has.",
        "Let the solver use less: its container has {container_memory} MiB, of which files in /dev/shm take their "
        "share.",
        pattern=r"OutOfMemory",
    ),
    Cause(
        "node-crashes",
        "ECS: 'Essential container in task exited', again and again",
        "The {role} ended after {ran} with exit code {code}{times}.",
        "See all that it said:\n./show_status --logs {role}",
        pattern=r"Essential container in task exited",
    ),
    Cause(
        "start-failed",
        "ECS: 'Task failed to start' for any other reason",
        "The {role} can't be started: {words}.",
        "ECS goes on trying; all it has to say is in the ECS console, cluster {cluster}, Tasks, stopped ones.",
        pattern=r".",
    ),
)
"""What ends nodes at their start: in ECS's words of a stopped task (its own or its container's), or the node's own."""

NODE_SILENT = Cause(
    "node-silent",
    "SatCompNodeManifest: lastModified is more than 5 seconds ago, and ECS says that the node runs",
    "The {role} at {address} has not been heard of for {age}, though its container runs.",
    "Look what it said last:\n./show_status --logs {role}\nEnding its machine starts another node:\n"
    "aws ec2 terminate-instances --instance-ids {machine}",
)
NODE_IN_ERROR = Cause(
    "node-in-error",
    "SatCompNodeManifest: status is ERROR",
    "The {role} at {address} says of itself that it can't work (status ERROR).",
    "It says why:\n./show_status --logs {role}",
)
TOO_FEW_WORKERS = Cause(
    "too-few-workers",
    "Leader's log: a job was received that asks for more workers than the worker service has, and is not started",
    "Job {job} asks for {wanted}, and the cluster has {there}: its leader waits.",
    "Start more:\n./update_instances --option setup --workers {workers}\nOr send the job with fewer.",
)

KNOWN: tuple[Cause, ...] = (
    INFRASTRUCTURE_BROKEN,
    *LAUNCH,
    NO_CAPACITY_ANYWHERE,
    MACHINE_TERMINATED,
    MACHINE_NOT_JOINED,
    AGENT_DISCONNECTED,
    TOO_FEW_MACHINES,
    *PLACEMENT,
    *START,
    NODE_SILENT,
    NODE_IN_ERROR,
    TOO_FEW_WORKERS,
)
"""All: what is seen (`sign`), what it means (`message`), what to do (`advice`)."""
