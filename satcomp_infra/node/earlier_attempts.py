"""What has become of a job's earlier attempts, and whether there is to be another one.

SQS counts how often a message was received, not why it came back. So a leader that gives a job back leaves a note of
why in the bucket, as `results/{job id}/attempts/{attempt}.json`: a JSON object with `attempt`, `stopped` (the node was
asked to stop: that is no failure), `reason`, `node` (its address) and `time` (epoch seconds). An attempt without a note
is one whose node has died, or stood still for too long.

Each attempt has an object of its own: there is nothing to be read before it is written, and no two leaders write the
same one. And they are read only where SQS's count says that the job may have failed too often: most jobs cost no call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ..jobs import result_prefix
from .aws import AwsError, error_code, in_words
from .background import all_done, background
from .log import Log
from .stop import Stop

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mypy_boto3_s3 import S3Client

MOST_FAILURES = 3
"""After so many failed attempts, a job is not tried again."""
MOST_ATTEMPTS = 15
"""Nor after so many of any kind: a solver that sends SIGTERM to all processes has its node stopped each time."""
NOTE_SECONDS = 1.0
"""That a node which is to stop waits, at most, for its note to be written once the job is back on the queue."""
_READ_SECONDS = NOTE_SECONDS + 0.5
"""From a message's receipt, until the note of the attempt just before must be there if it ever will be."""
_LOOK_SECONDS = 0.1
_MAX_REASON = 500
_LOG = "What the leaders have printed: ./show_status --logs leader"


@dataclass(frozen=True)
class Note:
    """What an attempt has left word of."""

    attempt: int
    stopped: bool
    reason: str
    node: str
    time: float


@dataclass(frozen=True)
class Past:
    """The earlier attempts at a job: how many there were, and the notes of those that left one, in their order."""

    attempts: int
    notes: Sequence[Note] = ()

    @property
    def stops(self) -> int:
        """How many ended because their node was asked to stop."""
        return sum(note.stopped for note in self.notes)

    @property
    def failures(self) -> int:
        """How many ended in any other way."""
        return self.attempts - self.stops

    def why_no_more(self) -> str:
        """Why the job is not to be tried again, as its result's reason; empty if it is."""
        if self.failures < MOST_FAILURES and self.attempts < MOST_ATTEMPTS:
            return ""
        return " ".join(filter(None, (self._count(), self._word(), _LOG)))

    def _count(self) -> str:
        if not self.stops:
            how = f"{self.attempts} attempts have failed."
        elif self.failures:
            how = (
                f"of {self.attempts} attempts, {self.failures} have failed, and {self.stops} ended when the node was "
                "asked to stop."
            )
        else:
            how = (
                f"{self.attempts} attempts ended when the node was asked to stop, perhaps by the job's own solver, "
                "which must not send SIGTERM to all processes."
            )
        return f"The job is not tried again: {how}"

    def _word(self) -> str:
        failed = [note for note in self.notes if not note.stopped]
        silent = self.failures - len(failed)
        word = ""
        if silent:
            who = "They" if silent == self.attempts else f"{silent} of those that failed"
            word = (
                f"{who} ended without a word, as leaders do that are killed or stand still: perhaps the job takes "
                "more memory than its machine has, or its solver kills processes that it has not started."
            )
        if failed:
            last = failed[-1]
            word = f"{word} The last reason that was left, by attempt {last.attempt} at {last.node}: {last.reason}"
        return word.strip()


class EarlierAttempts:
    """The notes of attempts, in the project's bucket."""

    def __init__(self, s3: S3Client, bucket: str, address: str) -> None:
        """`address` is the node's own."""
        self._s3 = s3
        self._bucket = bucket
        self._address = address

    def leave(self, job_id: str, attempt: int, reason: str, log: Log, *, stopped: bool = False) -> Future[None]:
        """Note, in the background, why the attempt is given back. Without its note, it counts as one more failure."""
        note = Note(attempt, stopped, reason[:_MAX_REASON], self._address, time.time())
        return background(self._write, job_id, note, log)

    def look(self, job_id: str, attempt: int, received_at: float, stop: Stop) -> Past:
        """The attempts before this one, whose message was received at `received_at` (epoch seconds).

        The last one's node may be writing its note just now. Raises Stopped, and AWS's errors.
        """
        latest = time.monotonic() + min(_READ_SECONDS, received_at + _READ_SECONDS - time.time())
        reading = [background(self._read, job_id, number) for number in range(1, attempt)]
        all_done(*reading)
        notes = [note for future in reading if (note := future.result())]
        while (past := Past(attempt - 1, notes)).why_no_more() and not (notes and notes[-1].attempt == attempt - 1):
            if time.monotonic() >= latest:
                break
            stop.wait(_LOOK_SECONDS)
            stop.check()
            if note := self._read(job_id, attempt - 1):
                notes.append(note)
        return past

    def _write(self, job_id: str, note: Note, log: Log) -> None:
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=_key(job_id, note.attempt),
                Body=json.dumps(asdict(note)).encode(),
                ContentType="application/json",
            )
        except AwsError as error:
            log.warning("why it was given back can't be noted: %s", in_words(error))

    def _read(self, job_id: str, attempt: int) -> Note | None:
        try:
            response = self._s3.get_object(Bucket=self._bucket, Key=_key(job_id, attempt))
        except ClientError as error:
            if error_code(error) in {"NoSuchKey", "404"}:
                return None
            raise
        return _note(attempt, response["Body"].read())


def _key(job_id: str, attempt: int) -> str:
    return f"{result_prefix(job_id)}attempts/{attempt}.json"


def _note(attempt: int, text: bytes) -> Note | None:
    """The note that this is; None where it is none, which no leader has written then."""
    try:
        values: Any = json.loads(text)
        return Note(
            attempt, values["stopped"] is True, str(values["reason"]), str(values["node"]), float(values["time"])
        )
    except (ValueError, TypeError, KeyError):
        return None
