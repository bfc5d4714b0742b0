"""The project's queues as a client sees them: sending a job, and waiting for its result."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from . import earlier_years
from .aws import error_code, together
from .errors import SatcompError
from .job_state import JobState
from .jobs import Result, result_key
from .units import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from .aws import Aws
    from .jobs import Job
    from .progress import Wait
    from .stack import Infrastructure

_MOST_MESSAGES = 10
"""That one call can receive (SQS's service model)."""
_LOOK_SECONDS = 1
_HIDE_SECONDS = 5
"""How long others don't see a result message that was received here and turned out to be theirs, at most."""
_SILENCE_SECONDS = 300
"""At most, beside a job's own time, between its being taken off the queue and its result. Leaders of today keep it on
the queue until then; those of earlier years wait up to 120 s for workers, and tell nothing where they fail."""


@dataclass(frozen=True)
class Backlog:
    """How many jobs wait on the queue, are being solved, and were given up: no leader could store their result."""

    waiting: int
    taken: int
    given_up: int

    def __str__(self) -> str:
        return f"{self.waiting} waiting, {self.taken} being solved"


@dataclass(frozen=True)
class Sent:
    """A job that was put on the queue: its id, and the whole second, by SQS's clock, that it was sent in or after."""

    id: str
    job: Job
    second: int


def send(aws: Aws, infrastructure: Infrastructure, job: Job) -> Sent:
    """Put a job on the queue."""
    response = aws.sqs.send_message(QueueUrl=infrastructure.job_queue, MessageBody=job.to_message())
    date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    return Sent(response["MessageId"], job, int(parsedate_to_datetime(date).timestamp() if date else time.time()))


def backlog(aws: Aws, infrastructure: Infrastructure) -> Backlog:
    """The queues' lengths; SQS calls them approximate."""

    def lengths(queue: str) -> tuple[int, int]:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return int(attributes[names[0]]), int(attributes[names[1]])

    jobs, dead = together(lambda: lengths(infrastructure.job_queue), lambda: lengths(infrastructure.dead_letter_queue))
    return Backlog(jobs[0], jobs[1], sum(dead))


def stored_result(aws: Aws, bucket: str, job_id: str) -> Result | None:
    """The job's result, if it has one yet."""
    from botocore.exceptions import ClientError

    try:
        return Result.from_json(aws.s3.get_object(Bucket=bucket, Key=result_key(job_id))["Body"].read())
    except ClientError as error:
        if error_code(error) in ("NoSuchKey", "404"):
            return None
        raise


def await_result(aws: Aws, infrastructure: Infrastructure, sent: Sent, wait: Wait) -> Result:
    """Wait until the job has a result; raises SatcompError where it was given up, or none can come any more.

    The object in the bucket is the truth. The result queue tells sooner, and is all that leaders of earlier years
    give: of it, this job's message alone is taken, and others are put back at once.
    """
    job_id, patience = sent.id, sent.job.timeout_seconds + _SILENCE_SECONDS
    silent_since: float | None = None
    state = JobState(aws, infrastructure, sent)
    while True:
        (announced, others), result = together(
            lambda: _announced(aws, infrastructure.result_queue, sent),
            lambda: stored_result(aws, infrastructure.bucket, job_id),
        )
        if announced is not None:
            _, stored = together(announced.take, lambda: stored_result(aws, infrastructure.bucket, job_id))
            return stored or earlier_years.result(job_id, sent.job, announced.content)
        if result is not None:  # the message is sent after the object is stored, so it must be coming now
            late, _ = _announced(aws, infrastructure.result_queue, sent)
            if late is not None:
                late.take()
            return result
        queue = backlog(aws, infrastructure)
        state.tell(wait, queue)
        if queue.given_up and _is_given_up(aws, infrastructure.dead_letter_queue, job_id):
            raise SatcompError(
                f"Job {job_id} was given up: leaders took it as often as its queue allows, and none stored a result.",
                f"Why is in their last words, in CloudWatch, log group {infrastructure.leader_log_group}.",
            )
        if queue.waiting or queue.taken:
            silent_since = None
        elif silent_since is None:
            silent_since = wait.elapsed
        elif wait.elapsed - silent_since > patience:
            raise SatcompError(
                f"Job {job_id} was taken off the queue more than {duration(patience)} ago, and has no result.",
                "Leaders of earlier years tell nothing where they fail. What they printed:\n"
                "./show_status --logs leader",
            )
        if others:  # their owners shall get them: leave the queue alone for a moment
            wait.console.sleep(_LOOK_SECONDS)


@dataclass(frozen=True)
class _Announcement:
    """A message on the result queue that has been received."""

    content: dict[str, Any]
    take: Callable[[], object]
    """Deletes it."""


def _announced(aws: Aws, queue: str, sent: Sent) -> tuple[_Announcement | None, bool]:
    """Receive what is on the result queue, waiting a second for it, and put back all but this job's message.

    Returns that message, if it was there, and whether others were.
    """
    received = aws.sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=_MOST_MESSAGES,
        WaitTimeSeconds=_LOOK_SECONDS,
        VisibilityTimeout=_HIDE_SECONDS,
        MessageSystemAttributeNames=["SentTimestamp"],
    ).get("Messages", [])
    own, others = None, []
    for message in received:
        content, receipt = read_announcement(message["Body"]), message["ReceiptHandle"]
        # An earlier year's may be left from an earlier job with the same problem.
        of_now = int(message["Attributes"]["SentTimestamp"]) >= sent.second * 1000
        if content.get("task_id") == sent.id or (
            own is None and of_now and earlier_years.is_result_of(content, sent.job)
        ):
            own = _Announcement(content, partial(aws.sqs.delete_message, QueueUrl=queue, ReceiptHandle=receipt))
        else:
            others.append(message)
    if others:
        aws.sqs.change_message_visibility_batch(
            QueueUrl=queue,
            Entries=[
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for index, message in enumerate(others)
            ],
        )
    return own, bool(others)


def read_announcement(body: str) -> dict[str, Any]:
    """What a message on the result queue says; empty where it is none that is understood."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _is_given_up(aws: Aws, dead_letter_queue: str, job_id: str) -> bool:
    """Whether the job is among the next messages of the dead-letter queue; none is taken from it."""
    received = aws.sqs.receive_message(
        QueueUrl=dead_letter_queue, MaxNumberOfMessages=_MOST_MESSAGES, VisibilityTimeout=0
    ).get("Messages", [])
    return any(message["MessageId"] == job_id for message in received)
