"""The workers of a job, as its leader sees them: waited for, watched while they are used, told of the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from . import manifest, notifications
from .aws import AwsError, in_words
from .background import background
from .failure import JobError
from .log import LOG, Log
from .manifest import FRESH_SECONDS, Heartbeats, Node, NodeStatus, NodeType
from .roster import shortage, sort_out
from .silence import Silences
from .stop import Stop, Stopped
from .workers_lock import WorkersLock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FIRST_POLL_SECONDS = 0.03
_POLL_SECONDS = 0.2
"""Between two looks for workers that are ready: those that have just cleaned up for the last job are so in no time."""
_WATCH_SECONDS = 1.0
"""One consistent read of the register a second, while a solver with workers runs: about a cent in ten hours."""
_LOOKED_LATELY = 3.0
_PATIENCE = 15.0
"""Seconds for AWS to let the workers be looked at, after the solver's end."""
_ADVICE = "Start more workers with update_instances, or send the job with fewer."


class CrewLost(Stopped):
    """The workers of the job can't be counted on any more; says which one was lost, and how."""


class CrewTaken(CrewLost):
    """The workers are another leader's now, which took this one for dead."""


class Crews:
    """A leader's dealings with workers.

    A worker is used again only after it has cleaned up for the leader's last job; one that doesn't say (of an earlier
    year) is used when it is READY. What another leader, or one before this one, has left running on the workers ends,
    too: it is followed by telling them that a job has ended.
    """

    def __init__(
        self, dynamodb: DynamoDBClient, brisk: DynamoDBClient, own_address: str, node_id: str, patience: float
    ) -> None:
        """`node_id` is the leader's in the register; `patience` is how many seconds to wait for workers to be ready.

        `brisk` is a client for what is repeated every second.
        """
        self._dynamodb = dynamodb
        self._brisk = brisk
        self._own_address = own_address
        self._patience = patience
        self._heartbeats = Heartbeats()
        self._last = ""
        self._owed = True
        """Whether the workers have not been told of an end that they should know."""
        self._lock = WorkersLock(dynamodb, own_address, node_id)
        self._taking: Future[tuple[bool, bool]] | None = None

    def gather(self, wanted: int, problem: Future[Any], stop: Stop, log: Log = LOG) -> Crew:
        """Wait until so many workers are ready, and return them in the order of their addresses.

        As long as another leader uses the workers, that one's job is waited for. Raises JobError where they aren't
        ready in time, and, as soon as it fails, whatever `problem` raises: without a problem there is nothing to wait
        for. Raises Stopped, and AWS's errors. Call `leave` then.
        """
        if not wanted:
            return Crew(())
        self._taking = background(self._lock.take)  # while the register is read
        deadline = 0.0
        silences, pause = Silences(), _FIRST_POLL_SECONDS
        while True:
            now = time.time()
            items = stop.result(background(manifest.everything, self._dynamodb))
            nodes = self._heartbeats.heard((item for item in items if item.kind == NodeType.WORKER), now)
            if not deadline and self._taking:
                taken, was_foreign = stop.result(self._taking)
                if taken:
                    deadline = time.monotonic() + self._patience
                    self._owed = self._owed or was_foreign
            if deadline:
                if self._owed:
                    stop.result(background(self._send))
                ready, others = sort_out(nodes, self._own_address, self._last, now)
                if len(ready) >= wanted:
                    return Crew(ready[:wanted], self, items)
                if time.monotonic() >= deadline:
                    raise JobError(shortage(wanted, ready, others, self._patience), _ADVICE)
            else:
                self._taking = self._try_again(items, silences, log)
            _pause(problem, stop, pause)
            pause = min(1.3 * pause, _POLL_SECONDS)

    def _try_again(self, items: list[Node], silences: Silences, log: Log) -> Future[tuple[bool, bool]] | None:
        """Take the lock, if it is free by now, or its holder is dead."""
        lock = _lock_of(items)
        if lock is None or lock.status == NodeStatus.READY:
            return background(self._lock.take)
        holder = str(lock.item.get("holder", ""))
        said = next((item.last_modified for item in items if item.node_id == holder), None)
        if not silences.known:
            log.info("waits for the workers: the leader at %s uses them", lock.address)
        if silences.look({holder: said})[holder] <= FRESH_SECONDS:
            return None
        log.info("takes the workers: their leader, at %s, has died", lock.address)
        return background(self._lock.take, str(lock.item.get("token", "")))

    def begin(self) -> None:
        """End what leaders before this one have left running on the workers, unless another one is using them."""
        try:
            if self._lock.take()[0]:
                self._send()
                self._lock.release(LOG)
        except AwsError as error:
            LOG.warning("the workers can't be told that earlier jobs have ended: %s", in_words(error))

    def tell_workers(self, log: Log = LOG) -> None:
        """Tell the workers that a job has ended. Where AWS doesn't take it, they are told before the next job."""
        try:
            self._send()
        except AwsError as error:
            self._owed = True
            log.warning("the workers can't be told that the job has ended: %s", in_words(error))

    def leave(self, log: Log) -> None:
        """Let other leaders use the workers, also where they may be reserved for this one only now."""
        if self._taking:
            wait([self._taking])
        self._lock.release(log)

    def settle(self) -> None:
        """Do what AWS didn't let be done at a job's end and others wait for."""
        self._lock.settle(LOG)

    def look(self) -> list[Node]:
        """The register's items. Raises CrewLost where the workers are another leader's now, and AWS's errors."""
        items = manifest.everything(self._brisk)
        lock = _lock_of(items)
        if not self._lock.is_mine(lock):
            by = f": it is the one at {lock.address}" if lock else ""
            raise CrewTaken(f"Another leader has taken the workers, as if this one were dead{by}.")
        return items

    def _send(self) -> None:
        self._last = notifications.notify(self._dynamodb, self._own_address)
        self._owed = False


class Crew:
    """The workers of one job."""

    def __init__(self, workers: Iterable[Node], crews: Crews | None = None, items: Sequence[Node] = ()) -> None:
        """`items` is the register as it was when they were found ready."""
        self._workers = tuple(workers)
        self.addresses = tuple(node.address for node in self._workers)
        self._crews = crews
        self._silences = Silences()
        self._known = {item.node_id for item in items}
        self._released = False
        self._taken = False
        self._looking = threading.Lock()
        self._looked_at = time.monotonic()
        self._silences.look(self._said(items))

    @contextmanager
    def watched(self, stop: Stop, log: Log) -> Iterator[None]:
        """Set `stop`, with CrewLost as its reason, as soon as a worker dies or another leader takes them."""
        crews = self._crews
        if not crews:
            yield
            return
        ended = threading.Event()

        def watch() -> None:
            failing = False
            while not ended.wait(_WATCH_SECONDS):
                try:
                    self._look(crews)
                    failing = False
                except CrewLost as lost:
                    if not ended.is_set():  # else the run is over, and it's another thing that would be broken off
                        stop.set(lost)
                    return
                except AwsError as error:
                    if not failing:
                        log.warning("the workers can't be watched: %s", in_words(error))
                    failing = True
                except Exception:
                    log.exception("the workers can't be watched: this should not have happened")

        threading.Thread(target=watch, name="crew", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def confirm(self, stop: Stop) -> None:
        """Wait until all workers have been heard of once more, so that a failure is known not to be one of theirs.

        Raises CrewLost if it is, and `stop`'s reason. Where AWS doesn't let them be looked at, that is no failure.
        """
        if not self._crews:
            return
        unheard = set(self.addresses)
        deadline = time.monotonic() + _PATIENCE
        first = True
        while unheard and time.monotonic() < deadline:
            try:
                silent = self._look(self._crews)
            except AwsError:
                silent = {}
            if silent and not first:
                unheard = {address for address in unheard if silent[address]}
            first = first and not silent  # what the first look finds new may have been said before the failure
            stop.wait(_POLL_SECONDS)
            stop.check()

    def release(self, log: Log) -> None:
        """Tell the workers that the job has ended, and leave them to others, if there are any and it isn't done yet."""
        if not self._crews or self._released:
            return
        self._released = True
        with suppress(CrewLost, *AwsError):
            # This node may have been stopped for so long that another one has taken the workers.
            if time.monotonic() - self._looked_at > _LOOKED_LATELY:
                self._look(self._crews)
        if not self._taken:
            self._crews.tell_workers(log)
            self._crews.leave(log)

    def _look(self, crews: Crews) -> dict[str, float]:
        """Look once; return how long each worker has been silent, by its address. Raises CrewLost, and AWS's errors."""
        with self._looking:
            try:
                items = crews.look()
            except CrewTaken:
                self._taken = True
                raise
            self._looked_at = time.monotonic()
            silent = self._silences.look(self._said(items))
        by_id = {item.node_id: item for item in items}
        replaced = {item.address for item in items if item.kind == NodeType.WORKER and item.node_id not in self._known}
        for worker in self._workers:
            item = by_id.get(worker.node_id)
            if worker.address in replaced:
                why = "it was started anew"
            elif item is None:
                why = "it has left the cluster"
            elif item.status == NodeStatus.ERROR:
                why = "its worker program has failed or hangs"
            elif silent[worker.node_id] > FRESH_SECONDS:
                why = f"it has not been heard of for {silent[worker.node_id]:.0f} s"
            else:
                continue
            raise CrewLost(f"The worker {worker.address} was lost: {why}.")
        return {worker.address: silent[worker.node_id] for worker in self._workers}

    def _said(self, items: Iterable[Node]) -> dict[str, float | None]:
        said = {item.node_id: item.last_modified for item in items}
        return {worker.node_id: said.get(worker.node_id) for worker in self._workers}


def _lock_of(items: Iterable[Node]) -> Node | None:
    return next((item for item in items if item.kind == NodeType.LOCK), None)


def _pause(problem: Future[Any], stop: Stop, seconds: float) -> None:
    """Wait for a moment; raise what `problem` raises, and `stop`'s reason."""
    if not problem.done():
        stop.wait_with(problem, seconds)
    else:
        problem.result()
        stop.wait(seconds)
    stop.check()
