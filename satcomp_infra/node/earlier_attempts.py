"""What has become of a job's earlier attempts, and whether there is to be another one.

SQS counts how often a message was received, not why it came back. So a leader that gives a job back leaves a note of
why in the bucket, as `results/{job id}/attempts/{attempt}.json`: a JSON object with `attempt`, `ending` (stopped,
outage or failed), `reason`, `node` (its address) and `time` (epoch seconds). An attempt without a note has failed, too:
its node has died, or stood still for too long.

Each attempt has an object of its own: there is nothing to be read before it is written, and no two leaders write the
same one. And they are read only where SQS's count says that the job may have failed too often: most jobs cost no call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ..jobs import result_prefix
from .aws import AwsError, error_code, in_words, is_outage
from .background import all_done, background
from .log import Log
from .stop import Stop

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mypy_boto3_s3 import S3Client

MOST_FAILURES = 3
"""After so many failed attempts, a job is not tried again."""
MOST_ATTEMPTS = 15
"""Nor after so many of any kind: a solver that sends SIGTERM to all processes has its node stopped each time. In an
outage of AWS, they take more than an hour."""
NOTE_SECONDS = 1.0
"""That a node which is to stop waits, at most, for its note to be written once the job is back on the queue."""
_READ_SECONDS = 2.5
"""From a message's receipt, until the notes must be there: that of a node which has just been stopped, and those that
waited for S3 to be back."""
_LOOK_SECONDS = 0.1
_WRITE_AGAIN_SECONDS = 1.0
_LONGEST_OUTAGE = 6 * 3600.0
_MAX_REASON = 500
_LOG = "What the leaders have printed: ./show_status --logs leader"


class Ending(StrEnum):
    """Why an attempt ended without a result."""

    STOPPED = "stopped"
    """Its node was asked to stop."""
    OUTAGE = "outage"
    """AWS was out of reach, out of order or overloaded."""
    FAILED = "failed"


@dataclass(frozen=True)
class Note:
    """What an attempt has left word of."""

    attempt: int
    ending: Ending
    reason: str
    node: str
    time: float


@dataclass(frozen=True)
class Past:
    """The earlier attempts at a job: how many there were, and the notes of those that left one, in their order."""

    attempts: int
    notes: Sequence[Note] = ()

    @property
    def failures(self) -> int:
        """How many have failed: all but those that were stopped, or fell into an outage of AWS."""
        return self.attempts - self._count(Ending.STOPPED) - self._count(Ending.OUTAGE)

    def why_no_more(self) -> str:
        """Why the job is not to be tried again, as its result's reason; empty if it is."""
        if self.failures < MOST_FAILURES and self.attempts < MOST_ATTEMPTS:
            return ""
        return " ".join(filter(None, (self._counts(), self._silent(), self._said(), _LOG)))

    def _count(self, ending: Ending) -> int:
        return sum(note.ending == ending for note in self.notes)

    def _counts(self) -> str:
        counts = {
            "failed": self.failures,
            "ended because the node was asked to stop": self._count(Ending.STOPPED),
            "ended because AWS was out of order": self._count(Ending.OUTAGE),
        }
        listed = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        stopped = self._count(Ending.STOPPED) == self.attempts
        hint = " A solver must not send SIGTERM to all processes: one of them is its node." if stopped else ""
        return f"The job is not tried again: of {self.attempts} attempts, {listed}.{hint}"

    def _silent(self) -> str:
        if not (silent := self.attempts - len(self.notes)):
            return ""
        who = "They" if silent == self.attempts else f"{silent} of those that failed"
        return (
            f"{who} ended without a word, as leaders do that are killed or stand still: perhaps the job takes more "
            "memory than its machine has, or its solver kills processes that it has not started."
        )

    def _said(self) -> str:
        said = [note for note in self.notes if note.ending is not Ending.STOPPED]
        if not said:
            return ""
        last = max(said, key=lambda note: note.attempt)
        return f"The last reason that was left, by attempt {last.attempt} at {last.node}: {last.reason}"


class EarlierAttempts:
    """The notes of attempts, in the project's bucket."""

    def __init__(self, s3: S3Client, bucket: str, address: str) -> None:
        """`address` is the node's own. The client should have little patience."""
        self._s3 = s3
        self._bucket = bucket
        self._address = address

    def leave(self, job_id: str, attempt: int, ending: Ending, reason: str, log: Log) -> Future[None]:
        """Note, in the background, why the attempt is given back; if S3 is out of reach, as soon as it is back.

        Without its note, the attempt counts as a failure.
        """
        return background(
            self._write, job_id, Note(attempt, ending, reason[:_MAX_REASON], self._address, time.time()), log
        )

    def look(self, job_id: str, attempt: int, received_at: float, stop: Stop) -> Past:
        """The attempts before this one, whose message was received at `received_at` (epoch seconds).

        Some of the notes may be written just now. Raises Stopped, and AWS's errors.
        """
        latest = time.monotonic() + min(_READ_SECONDS, received_at + _READ_SECONDS - time.time())
        missing, notes = set(range(1, attempt)), list[Note]()
        while True:
            reading = [background(self._read, job_id, number) for number in sorted(missing)]
            all_done(*reading)
            found = [note for future in reading if (note := future.result())]
            notes += found
            missing -= {note.attempt for note in found}
            past = Past(attempt - 1, notes)
            if not missing or not past.why_no_more() or time.monotonic() >= latest:
                return past
            stop.wait(_LOOK_SECONDS)
            stop.check()

    def _write(self, job_id: str, note: Note, log: Log) -> None:
        latest = time.monotonic() + _LONGEST_OUTAGE
        while not self._written(job_id, note, log, last=time.monotonic() >= latest):
            time.sleep(_WRITE_AGAIN_SECONDS)

    def _written(self, job_id: str, note: Note, log: Log, *, last: bool) -> bool:
        """Try to write the note; return whether it is written, or can't be."""
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=_key(job_id, note.attempt),
                Body=json.dumps(asdict(note)).encode(),
                ContentType="application/json",
            )
        except AwsError as error:
            if is_outage(error) and not last:
                return False
            log.warning("why attempt %d was given back can't be noted: %s", note.attempt, in_words(error))
        return True

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
        ending = Ending(values["ending"])
        return Note(attempt, ending, str(values["reason"]), str(values["node"]), float(values["time"]))
    except (ValueError, TypeError, KeyError):
        return None
