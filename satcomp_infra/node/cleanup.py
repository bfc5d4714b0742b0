"""Cleaning up on a worker: whenever a leader says that a job has ended, the team's cleanup program is run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from . import manifest, notifications, polling
from .aws import AwsError, in_words
from .context import Context
from .failure import ProgramError
from .log import LOG
from .offspring import Offspring
from .program_output import ProgramOutput

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_POLL_SECONDS = 0.1
"""Usually: ten consistent reads a second of a table with an item for each leader, a unit each, cost eleven cents a day
and worker, of nineteen dollars that its machine costs. From 200 workers on, each looks less often: 1,000 do so twice a
second."""
_SHORTEST_PAUSE = 0.02
_SHARE = 20
"""After an end, the pause is this part of the time since then, up to the usual one two seconds later: where jobs are
short, waiting for a worker's pause would be most of what the next one waits for."""
_LONGEST_PAUSE = 2.0
"""After failures."""
_COUNT_SECONDS = 60.0
"""Between two looks at how many workers there are."""


class CleanupWatch:
    """Watches for ends of jobs, and cleans up after each.

    `done` has, by leader's address, the newest end that has been cleaned up for; the leader uses this worker again
    only then. `cleaning` says whether the program is running. `changed` is called, in the watching thread, after
    either changes. What had ended before this worker was there counts as seen.
    """

    def __init__(
        self, context: Context, dynamodb: DynamoDBClient, offspring: Offspring, changed: Callable[[], None]
    ) -> None:
        self.cleaning = False
        self.done: dict[str, str] = {}
        self._dynamodb = dynamodb
        self._offspring = offspring
        self._context = context
        self._stop = context.stop
        self._changed = changed
        self._failing = False
        self._pause = _POLL_SECONDS
        self._since_end = float("inf")
        self._nodes = 0
        self._until_count = 0.0

    def catch_up(self) -> None:
        """Learn what had ended before; return when that is known, or the node is asked to stop."""
        while not self._stop.is_set():
            if (ends := self._newest()) is not None:
                self.done = ends
                return
            self._stop.wait(1.0)

    def start(self, output: ProgramOutput) -> None:
        """Watch, in a thread of its own, until the node is asked to stop. `output` takes what the program prints."""
        threading.Thread(target=self._watch, args=[output], name="cleanup", daemon=True).start()

    def _watch(self, output: ProgramOutput) -> None:
        while not self._stop.wait(self._next_pause()):
            try:
                ends = self._newest()
                if ends and any(self.done.get(leader) != end for leader, end in ends.items()):
                    self._clean_up(ends, output)
            except Exception:  # noqa: BLE001 - logged; nobody would see this thread's end
                LOG.exception("cleaning up failed: this should not have happened")

    def _next_pause(self) -> float:
        """How long to wait until the next look."""
        if self._until_count <= 0:
            with suppress(*AwsError):
                self._nodes = manifest.count(self._dynamodb)
            self._until_count = polling.register_pause(self._nodes, _COUNT_SECONDS)
        if self._failing:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        else:
            least = min(max(self._since_end / _SHARE, _SHORTEST_PAUSE), _POLL_SECONDS)
            self._pause = polling.pause(self._nodes, 1, least)
        self._until_count -= self._pause
        self._since_end += self._pause
        return self._pause

    def _clean_up(self, ends: dict[str, str], output: ProgramOutput) -> None:
        self.cleaning = True
        self._changed()
        try:
            self._run(output)
        finally:
            # Also if it failed: that is the team's to see in the log, and no reason to be out of work for good.
            self.done = ends
            self.cleaning = False
            self._since_end = 0.0
            self._changed()

    def _run(self, output: ProgramOutput) -> None:
        program, limit = self._context.program("cleanup"), self._context.timing.cleanup
        if not program.exists() or self._stop.is_set():
            return
        try:
            child = self._offspring.start(
                program,
                directory=program.parent,
                environment=self._context.program_environment(),
                stdout=output.stdout,
                stderr=output.stderr,
            )
        except ProgramError as error:
            LOG.error("%s", error)
            return
        in_time = self._stop.wait_with(child.ended, limit)
        child.end()
        if not in_time and not self._stop.is_set():
            LOG.error("%s was killed: it had not ended after %g s", program, limit)
        elif child.returncode > 0:
            LOG.error("%s ended with exit code %d", program, child.returncode)
        elif in_time:
            LOG.info("cleaned up")

    def _newest(self) -> dict[str, str] | None:
        try:
            ends = notifications.newest(self._dynamodb)
        except AwsError as error:
            if not self._failing:
                LOG.warning("ends of jobs can't be read: %s", in_words(error))
            self._failing = True
            return None
        self._failing = False
        return ends
