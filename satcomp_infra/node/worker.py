"""The worker: runs the team's worker program, and tells the leader how it is."""

from __future__ import annotations

import errno
import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SatcompError
from . import manifest, polling
from .aws import AwsError, WorkerClients, in_words
from .background import background
from .children import Child, is_program, signal_name, why_not_started
from .cleanup import CleanupWatch
from .context import Context
from .failure import ProgramError
from .log import LOG
from .manifest import FRESH_SECONDS, Heartbeats, NodeStatus, NodeType
from .memory import OomKills
from .offspring import Offspring
from .program_output import ProgramOutput
from .registration import Registration
from .stop import Stop
from .worker_status import WorkerStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_STATUS_SECONDS = 0.25
_LEADER_POLL_SECONDS = 0.25
"""At least: all workers read the whole register for that."""
_LONGEST_PAUSE = 5.0
"""After failures."""
STATUS_FILE = "worker_node_status.json"
LEADER_FILE = "leader_node_status.json"


class Worker:
    """A worker node."""

    def __init__(self, context: Context, clients: WorkerClients) -> None:
        self._context = context
        self._dynamodb = clients.dynamodb
        self._stop = context.stop
        self._offspring = Offspring(context.timing.killing)
        self._registration = Registration(clients.dynamodb, context.identity, NodeType.WORKER)
        self._cleanups = CleanupWatch(context, clients.dynamodb, self._offspring, changed=self._publish)
        self._status: WorkerStatus | None = None
        self._publishing = threading.Lock()

    def run(self) -> None:
        """Run the worker program until it ends or the node is asked to stop.

        What it prints goes to the node's log, within bounds. Raises SatcompError where the program can't be started, or
        ends.
        """
        program = self._context.program("worker")
        if not is_program(program):  # said before anything that takes time
            raise why_not_started(program, errno.EACCES if program.exists() else errno.ENOENT)
        self._cleanups.catch_up()
        with self._registration as registration:
            self._publish()
            self._await_leader()
            if self._stop.is_set():
                return
            oom_kills = OomKills()
            with ProgramOutput() as output:
                try:
                    child = self._offspring.start(
                        program,
                        directory=program.parent,
                        environment=self._context.program_environment(),
                        stdout=output.stdout,
                        stderr=output.stderr,
                    )
                except ProgramError:
                    registration.leave_as_failed()
                    raise
                self._follow(child, output)
                asked = self._stop.is_set()
                self._stop.set()  # no more cleaning up
            if not asked:
                registration.leave_as_failed()
                raise SatcompError(f"The worker program {program} {_how_it_ended(child.returncode, oom_kills)}.")

    def _await_leader(self) -> None:
        """Wait until the leader's address is there for the worker program to read, or for so long as makes sense.

        Existing programs read it first of all; and a worker has nothing to do without a leader.
        """
        patience = self._context.timing.leader
        found = background(write_leader, self._dynamodb, self._context.program(LEADER_FILE), self._stop)
        if not self._stop.wait_with(found, patience) and not self._stop.is_set():
            LOG.warning("no leader after %g s: the worker program starts without", patience)

    def _follow(self, child: Child, output: ProgramOutput) -> None:
        """Publish the program's status until it ends or the node is asked to stop; nothing of it is left on return."""
        LOG.info("the worker program runs, at %s", self._context.identity.address)
        self._status = WorkerStatus(self._context.program(STATUS_FILE))
        self._cleanups.start(output)
        ended = False
        try:
            while not ended and not self._stop.is_set():
                self._publish()
                self._offspring.reap_orphans()
                ended = self._stop.wait_with(child.ended, _STATUS_SECONDS)
        finally:
            child.end(0 if ended else self._context.timing.stop_grace)
            self._offspring.kill()

    def _publish(self) -> None:
        """Put what is known into the manifest. Called from the main and the cleaning thread."""
        with self._publishing:
            if self._stop.is_set():
                return
            status = self._status.read() if self._status else NodeStatus.BUSY
            if self._cleanups.cleaning and status == NodeStatus.READY:
                status = NodeStatus.BUSY
            self._registration.update(status=status, lastCleanup=dict(self._cleanups.done))


def write_leader(dynamodb: DynamoDBClient, path: Path, stop: Stop) -> None:
    """Write the newest leader's manifest item to a file, as JSON, as soon as a leader is there."""
    heartbeats = Heartbeats()
    pause = 0.0
    while not stop.wait(pause):
        now = time.time()
        try:
            items = manifest.everything(dynamodb, consistent=False)
            pause = polling.register_pause(len(items), _LEADER_POLL_SECONDS)
        except AwsError as error:
            LOG.warning("the leader can't be looked up: %s", in_words(error))
            items, pause = [], max(_LEADER_POLL_SECONDS, min(2 * pause, _LONGEST_PAUSE))
        leaders = [
            node
            for node in heartbeats.heard(items, now)
            if node.kind == NodeType.LEADER and now - node.last_modified <= FRESH_SECONDS
        ]
        if leaders:
            newest = max(leaders, key=lambda node: node.last_modified)
            unfinished = path.with_name(f".{path.name}")
            try:
                unfinished.write_text(json.dumps(newest.item, indent=2, default=str) + "\n")
                unfinished.replace(path)
            except OSError as error:
                LOG.error("%s can't be written: %s", path, error.strerror)
                return
            LOG.info("the leader is at %s", newest.address)
            return


def _how_it_ended(returncode: int, oom_kills: OomKills) -> str:
    if returncode < 0:
        return f"was killed by {signal_name(-returncode)}{', out of memory' if oom_kills.count() else ''}"
    return f"ended with exit code {returncode}: it has to run for as long as the node lives"
