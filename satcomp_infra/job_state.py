"""How far one job is while its result is waited for: on the queue, taken by a node, being solved, and since when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .aws import aws_time
from .node import log as node_log
from .node import manifest
from .node.background import background
from .node.manifest import NodeStatus, NodeType

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .aws import Aws
    from .job_queue import Backlog, Sent
    from .progress import Wait
    from .stack import Infrastructure

_LOOK_SECONDS = 3.0
_STARTS = "starts its solver"
"""How a leader says so (node/attempt.py)."""


class JobState:
    """Tells how far a job is. What can't be found out is not told: it is only for whoever waits."""

    def __init__(self, aws: Aws, infrastructure: Infrastructure, sent: Sent) -> None:
        self._aws = aws
        self._infrastructure = infrastructure
        self._sent = sent
        self._look: Future[tuple[str, float | None]] | None = None
        self._next_look = 0.0
        self._node = ""
        self._since: float | None = None
        """When its solver was started, by the wait's clock."""

    def tell(self, wait: Wait, queue: Backlog) -> None:
        """Show it. Looks are made beside the wait, at most every three seconds: it is not held up by them."""
        self._find_out(wait, queue)
        if not self._node:
            wait.update(f"Waiting for the result: {queue}")
        elif self._since is None:
            wait.update(f"The leader at {self._node} prepares it")
        else:
            text = f"The leader at {self._node} solves it"
            elapsed = max(wait.elapsed - self._since, 0)
            if wait.draw(f"{text}: {elapsed:.0f} s of at most {self._sent.job.timeout_seconds} s"):
                wait.text = text
            else:
                wait.update(text)

    def _find_out(self, wait: Wait, queue: Backlog) -> None:
        if self._look and self._look.done():
            if self._look.exception() is None:
                node, age = self._look.result()
                if node != self._node:
                    self._since = None
                self._node = node
                if age is not None and self._since is None:
                    self._since = wait.elapsed - age
            self._look = None
        if self._look is None and queue.taken and wait.elapsed >= self._next_look:
            self._look = background(self._ask)
            self._next_look = wait.elapsed + _LOOK_SECONDS

    def _ask(self) -> tuple[str, float | None]:
        """The address of the node that has the job, and how long ago its solver was started."""
        for node in manifest.nodes(self._aws.dynamodb):
            ours = node.kind == NodeType.LEADER and node.item.get("jobId") == self._sent.id
            if ours and node.status == NodeStatus.BUSY:
                return node.address, self._age() if self._since is None else None
        return "", None

    def _age(self) -> float | None:
        answer = self._aws.logs.filter_log_events(
            logGroupName=self._infrastructure.leader_log_group,
            startTime=self._sent.second * 1000,
            filterPattern=f'"{self._sent.id}"',
        )
        starts = [
            event["timestamp"] / 1000
            for event in answer["events"]
            if node_log.event_of(event["message"], self._sent.id).startswith(_STARTS)
        ]
        if not starts:
            return None
        now = aws_time(answer)
        return max((now - datetime.fromtimestamp(max(starts), UTC)).total_seconds(), 0.0)
