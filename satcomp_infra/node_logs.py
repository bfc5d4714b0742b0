"""What nodes print, as CloudWatch Logs has it: the lines of all nodes of a role, merged by time."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from . import listing
from .aws import error_code
from .errors import SatcompError
from .node.background import background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .aws import Aws
    from .progress import Console
    from .stack import Infrastructure

POLL_SECONDS = 1.0
_LATE_MILLISECONDS = 15_000
"""How much later than its neighbours' a node's line may be delivered and still be shown when following."""
_NODE_DIGITS = 8
_CLOCKS_DIFFER_MILLISECONDS = 60_000
_OWN_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z (leader|worker) ")
"""What the node runtime puts in front of each of its lines."""


@dataclass(frozen=True)
class Line:
    """A line that a node printed; `node` is what it is called, `time` epoch milliseconds."""

    id: tuple[str, str]
    time: int
    node: str
    text: str

    def __str__(self) -> str:
        text = _OWN_TIME.sub("", self.text, count=1)
        return f"{datetime.fromtimestamp(self.time / 1000).astimezone():%H:%M:%S} {self.node} {text}"


class Names:
    """What nodes are called, by their tasks' ids: by the private address, as in the status.

    `ask` gives the addresses that AWS knows at the moment. Where it doesn't know one any more, the first part of the
    task's id has to do.
    """

    def __init__(self, ask: Callable[[], Mapping[str, str]]) -> None:
        self._ask = ask
        self._known: dict[str, str] = {}
        self._asked_at = 0

    def __call__(self, task: str, printed: int) -> str:
        """The name of a node that has printed something then (epoch milliseconds).

        AWS is asked again for a node that may be newer than the last answer, and but once for each.
        """
        if task not in self._known and printed > self._asked_at - _CLOCKS_DIFFER_MILLISECONDS:
            self._asked_at = since(0)
            self._known.update({task: short(task)} | dict(self._ask()))
        return self._known.get(task) or short(task)


def short(task: str, _: int = 0) -> str:
    """The first part of a task's id."""
    return task[:_NODE_DIGITS]


def addresses(aws: Aws, infrastructure: Infrastructure) -> dict[str, str]:
    """The private address of each task's machine, by the task's id, where ECS and EC2 still tell of both."""
    cluster = infrastructure.cluster
    running = background(lambda: list(listing.tasks(aws, cluster, "RUNNING")))
    stopped = background(lambda: list(listing.tasks(aws, cluster, "STOPPED")))
    joined = background(lambda: list(listing.container_instances(aws, cluster)))
    machines = listing.machines(aws, infrastructure.auto_scaling_group)
    address = {machine["InstanceId"]: machine.get("PrivateIpAddress", "") for machine in machines}
    address_of = {one["containerInstanceArn"]: address.get(one["ec2InstanceId"], "") for one in joined.result()}
    tasks = (task for answer in (*running.result(), *stopped.result()) for task in answer["tasks"])
    found = {task["taskArn"].rpartition("/")[2]: task.get("containerInstanceArn", "") for task in tasks}
    return {task: address_of[arn] for task, arn in found.items() if address_of.get(arn)}


def lines(aws: Aws, group: str, start: int, name: Callable[[str, int], str] = short) -> Iterator[Line]:
    """What was printed since `start` (epoch milliseconds), oldest first; `name` calls a node by its task's id.

    Raises SatcompError without the log group.
    """
    from botocore.exceptions import ClientError

    pages = aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start, interleaved=True)
    try:
        for page in pages:
            for event in page["events"]:
                stream = event["logStreamName"]
                node = name(stream.rpartition("/")[2], event["timestamp"])
                yield Line((stream, event["eventId"]), event["timestamp"], node, event["message"].rstrip("\n"))
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            raise SatcompError(
                f"There is no log group {group}.", "Was it deleted by hand? Delete the project and create it anew."
            ) from error
        raise


def follow(
    aws: Aws, group: str, start: int, console: Console, name: Callable[[str, int], str] = short
) -> Iterator[Line]:
    """The same, and then whatever is printed later, until the caller stops."""
    seen: dict[tuple[str, str], int] = {}
    while True:
        newest = start
        for line in lines(aws, group, start, name):
            newest = max(newest, line.time)
            if line.id not in seen:
                seen[line.id] = line.time
                yield line
        # Lines of another node may still come that are older than the newest of these.
        start = max(start, newest - _LATE_MILLISECONDS)
        seen = {id_: printed for id_, printed in seen.items() if printed >= start}
        console.sleep(POLL_SECONDS)


def since(seconds: float) -> int:
    """The time so many seconds ago, in epoch milliseconds."""
    return int((time.time() - seconds) * 1000)
