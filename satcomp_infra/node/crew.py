"""The workers of a job, as its leader sees them: waiting until they are ready, telling them when the job has ended."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from . import manifest, notifications
from .aws import AwsError, in_words
from .failure import JobError
from .log import LOG, Log
from .manifest import FRESH_SECONDS, Heartbeats, Node, NodeStatus, NodeType
from .stop import Stop

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_POLL_SECONDS = 0.2


class Crews:
    """A leader's dealings with workers.

    A worker is used again only after it has cleaned up for the leader's last job; one that doesn't say (of an earlier
    year) is used when it is READY. What a leader before this one left running on the workers ends, too: a leader
    starts by telling them that a job has ended.
    """

    def __init__(self, dynamodb: DynamoDBClient, own_address: str, stop: Stop, patience: float) -> None:
        """`patience` is how many seconds to wait for a job's workers to be ready."""
        self._dynamodb = dynamodb
        self._own_address = own_address
        self._stop = stop
        self._patience = patience
        self._heartbeats = Heartbeats()
        self._last = ""
        self._owed = False
        """Whether the workers have not been told of an end that they should know."""

    def gather(self, wanted: int, problem: Future[Any]) -> Crew:
        """Wait until so many workers are ready, and return them in the order of their addresses.

        Raises JobError where they aren't in time, and, as soon as it fails, whatever `problem` raises: without a
        problem there is nothing to wait for. Raises Stopped, and AWS's errors.
        """
        if not wanted:
            return Crew(self, ())
        if self._owed:
            self._send()
        deadline = time.monotonic() + self._patience
        while True:
            now = time.time()
            nodes = self._heartbeats.heard(manifest.nodes(self._dynamodb), now)
            workers = [node for node in nodes if node.kind == NodeType.WORKER]
            ready, others = sort_out(workers, self._own_address, self._last, now)
            if len(ready) >= wanted:
                return Crew(self, tuple(node.address for node in ready[:wanted]))
            if time.monotonic() >= deadline:
                raise JobError(_shortage(wanted, ready, others, self._patience), _ADVICE)
            if not problem.done():
                self._stop.wait_with(problem, _POLL_SECONDS)
            else:
                problem.result()
                self._stop.wait(_POLL_SECONDS)
            self._stop.check()

    def tell_workers(self, log: Log = LOG) -> None:
        """Tell the workers that a job has ended. Where AWS doesn't take it, they are told before the next job."""
        try:
            self._send()
        except AwsError as error:
            self._owed = True
            log.warning("the workers can't be told that the job has ended: %s", in_words(error))

    def _send(self) -> None:
        self._last = notifications.notify(self._dynamodb, self._own_address)
        self._owed = False


class Crew:
    """The workers of one job, by their addresses."""

    def __init__(self, crews: Crews, addresses: tuple[str, ...]) -> None:
        self.addresses = addresses
        self._crews = crews
        self._released = False

    def release(self, log: Log) -> None:
        """Tell the workers that the job has ended, if there are any and they haven't been told yet."""
        if self.addresses and not self._released:
            self._released = True
            self._crews.tell_workers(log)


_ADVICE = "Start more workers with update_instances, or send the job with fewer."


def sort_out(workers: Iterable[Node], leader: str, last_end: str, now: float) -> tuple[list[Node], dict[str, str]]:
    """Which workers are ready for a job of this leader, and of each other address, why not.

    `last_end` is the id of the leader's last notification, `now` epoch seconds. Both are in the order of the addresses,
    so that the same workers are taken for each job. Where two nodes have the same address, a worker was restarted: the
    newer item holds.
    """
    newest: dict[str, Node] = {}
    for node in sorted(workers, key=lambda node: node.last_modified):
        newest[node.address] = node
    ready, others = [], {}
    for address in sorted(newest, key=_numeric):
        node = newest[address]
        age = now - node.last_modified
        if age > FRESH_SECONDS:
            others[address] = f"not heard of for {age:.0f} s"
        elif node.status != NodeStatus.READY:
            others[address] = str(node.status)
        elif node.last_cleanup is not None and last_end and node.last_cleanup.get(leader) != last_end:
            others[address] = "still cleaning up"
        else:
            ready.append(node)
    return ready, others


def _numeric(address: str) -> tuple[int, str]:
    try:
        return int(ipaddress.ip_address(address)), address
    except ValueError:
        return 0, address


def _shortage(wanted: int, ready: list[Node], others: dict[str, str], waited: float) -> str:
    asked = f"The job asks for {wanted} worker{'s' if wanted > 1 else ''}"
    found = f"{len(ready)} {'was' if len(ready) == 1 else 'were'} ready within {waited:g} seconds"
    details = [*(f"{node.address} READY" for node in ready), *(f"{address} {why}" for address, why in others.items())]
    return f"{asked}; {found}{': ' + ', '.join(details[:20]) if details else ''}."
