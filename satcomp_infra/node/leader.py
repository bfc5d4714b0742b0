"""The leader: takes jobs from the queue, one at a time, until it is asked to stop."""

from __future__ import annotations

import math
import time
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING

from ..errors import SatcompError
from .attempt import Attempt, Message, Workshop
from .aws import AwsError, LeaderClients, in_words, is_outage
from .background import background
from .children import is_program
from .context import Context
from .crew import CrewLost, Crews
from .directory import remove_abandoned
from .earlier_attempts import NOTE_SECONDS, EarlierAttempts, Ending
from .lease import Lease, LeaseLost
from .log import LOG, JobLog
from .manifest import NodeStatus, NodeType
from .offspring import Offspring
from .registration import Registration
from .results import Results
from .stop import Stopped

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_POLL_SECONDS = 2
"""How long SQS holds a request while the queue is empty. SQS would hold it for 20 s, but a stop is noticed only
between two of them. Idle, that is 1.3 million requests a month: half a dollar."""
_LONGEST_PAUSE = 4
"""Between two failures to receive: whoever waits longer is late when SQS is back."""


class Leader:
    """A leader node. Its making raises AWS's errors where the queues can't be found, and Stopped."""

    def __init__(self, context: Context, clients: LeaderClients) -> None:
        self._context = context
        self._sqs = clients.sqs
        self._stop = context.stop
        job_queue, result_queue = (
            background(self._sqs.get_queue_url, QueueName=name)
            for name in (context.settings.job_queue, context.settings.result_queue)
        )
        self._queue_url = self._stop.result(job_queue)["QueueUrl"]
        result_queue_url = self._stop.result(result_queue)["QueueUrl"]
        self._registration = Registration(clients.heartbeat, context.identity, NodeType.LEADER)
        self._shop = Workshop(
            context=context,
            s3=clients.s3,
            results=Results(clients.s3, clients.sqs, context.settings.bucket, result_queue_url),
            crews=Crews(
                clients.dynamodb,
                clients.heartbeat,
                context.identity.address,
                self._registration.node_id,
                context.timing.workers,
            ),
            earlier_attempts=EarlierAttempts(clients.brisk_s3, context.settings.bucket, context.identity.address),
            offspring=Offspring(context.timing.killing),
        )

    def run(self) -> None:
        """Take jobs until the node is asked to stop.

        Raises SatcompError after a job of which something is still running: it would disturb the next.
        """
        if self._idle_status() == NodeStatus.ERROR:
            LOG.error("there is no executable program %s: jobs will be ERRORs", self._context.program("solver"))
        with self._registration:
            self._stop.result(background(self._shop.crews.begin))
            LOG.info("ready, at %s", self._context.identity.address)
            failures, looked_through_at = 0, -math.inf
            while not self._stop.is_set() and not self._shop.offspring.immortal:
                self._registration.update(status=self._idle_status(), jobId="")
                try:
                    received = self._receive()
                    failures = 0
                except AwsError as error:
                    failures += 1
                    pause = min(2**failures, _LONGEST_PAUSE)
                    LOG.warning("no jobs can be received, next try in %d s: %s", pause, in_words(error))
                    self._stop.wait(pause)
                    continue
                for message in received:
                    self._take(message)
                if self._stop.is_set():
                    break
                self._shop.crews.settle()
                timing = self._context.timing
                if time.monotonic() - looked_through_at > timing.abandoned:
                    remove_abandoned(self._context.settings.shared, timing.abandoned)
                    looked_through_at = time.monotonic()
        if self._shop.offspring.immortal:
            raise SatcompError("The node ends, so that what its solver has left running ends with the container.")

    def _idle_status(self) -> NodeStatus:
        return NodeStatus.READY if is_program(self._context.program("solver")) else NodeStatus.ERROR

    def _receive(self) -> list[MessageTypeDef]:
        response = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=_POLL_SECONDS,
            VisibilityTimeout=self._context.timing.visibility,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return response.get("Messages", [])

    def _take(self, received: MessageTypeDef) -> None:
        """Do a received job; its message is deleted, or given back where there is no result."""
        message = Message(
            job_id=received["MessageId"],
            body=received["Body"],
            attempt=int(received.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            received_at=time.time(),
        )
        log = JobLog(message.job_id)
        with (
            self._stop.part() as stop,
            Lease(self._sqs, self._queue_url, received["ReceiptHandle"], log, self._context.timing, stop) as lease,
        ):
            attempt = Attempt(self._shop, message, lease, stop, log)
            note = partial(self._shop.earlier_attempts.leave, message.job_id, message.attempt)
            try:
                stop.check()
                self._registration.update(status=NodeStatus.BUSY, jobId=message.job_id)
                attempt.run()
            except LeaseLost:
                pass  # that is logged already, and nothing is left to do
            except CrewLost as lost:
                log.warning("given back: %s", lost)
                note(Ending.FAILED, str(lost), log)
                lease.give_back()
            except Stopped:
                log.info("given back: the node stops")
                noted = note(Ending.STOPPED, "The node was asked to stop.", log)
                lease.give_back()
                wait([noted], timeout=NOTE_SECONDS)
            except (*AwsError, OSError) as error:
                log.warning("given back: %s", in_words(error))
                note(Ending.OUTAGE if is_outage(error) else Ending.FAILED, in_words(error), log)
                lease.give_back(self._pause_after(message.attempt))
            except Exception as error:
                log.exception("given back: this should not have happened")
                note(Ending.FAILED, repr(error), log)
                lease.give_back(self._pause_after(message.attempt))
            else:
                lease.delete()
        attempt.end()

    def _pause_after(self, attempt: int) -> float:
        """How long to hide a job that couldn't be done now, in seconds: twice as long each time."""
        timing = self._context.timing
        return float(min(timing.retry * 2 ** (attempt - 1), timing.longest_retry))
