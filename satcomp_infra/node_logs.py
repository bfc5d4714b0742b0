"""What nodes print, as CloudWatch Logs has it: the lines of all nodes of a role, merged by time."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from .aws import error_code
from .errors import SatcompError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .aws import Aws
    from .progress import Console

POLL_SECONDS = 1.0
_LATE_MILLISECONDS = 15_000
"""How much later than its neighbours' a node's line may be delivered and still be shown when following."""
_NODE_DIGITS = 8
_OWN_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z (leader|worker) ")
"""What the node runtime puts in front of each of its lines."""


@dataclass(frozen=True)
class Line:
    """A line that a node printed; `node` is the first part of its task's id, `time` epoch milliseconds."""

    id: tuple[str, str]
    time: int
    node: str
    text: str

    def __str__(self) -> str:
        text = _OWN_TIME.sub("", self.text, count=1)
        return f"{datetime.fromtimestamp(self.time / 1000).astimezone():%H:%M:%S} {self.node} {text}"


def lines(aws: Aws, group: str, start: int) -> Iterator[Line]:
    """What was printed since `start` (epoch milliseconds), oldest first. Raises SatcompError without the log group."""
    from botocore.exceptions import ClientError

    pages = aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start, interleaved=True)
    try:
        for page in pages:
            for event in page["events"]:
                stream = event["logStreamName"]
                node = stream.rpartition("/")[2][:_NODE_DIGITS]
                yield Line((stream, event["eventId"]), event["timestamp"], node, event["message"].rstrip("\n"))
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            raise SatcompError(
                f"There is no log group {group}.", "Was it deleted by hand? Delete the project and create it anew."
            ) from error
        raise


def follow(aws: Aws, group: str, start: int, console: Console) -> Iterator[Line]:
    """The same, and then whatever is printed later, until the caller stops."""
    seen: dict[tuple[str, str], int] = {}
    while True:
        newest = start
        for line in lines(aws, group, start):
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
