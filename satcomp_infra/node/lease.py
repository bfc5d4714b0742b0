"""A leader's hold on a message: while it works on the job, no other leader sees it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from .aws import AwsError, error_code, in_words
from .log import JobLog
from .settings import Timing
from .stop import Stop, Stopped

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# SQS says the last one where the message is gone, or was received again, or has been hidden for 12 hours.
_LOST = {
    "ReceiptHandleIsInvalid",
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
    "InvalidParameterValue",
}


class LeaseLost(Stopped):
    """The message is not this leader's any more: what becomes of the job is another one's concern."""


class Lease:
    """Hides a received message for as long as this context lasts, and then no longer than `timing.visibility` seconds.

    One of `delete` and `give_back` ends it: the message is gone, or offered again. If it is lost before, `stop` is set,
    with LeaseLost as its reason, and neither of them does anything.

    It needs two threads, which are there before the solver runs: a solver that starts processes up to the container's
    limit leaves no room for any more. Who waits for an answer of SQS's that doesn't come would not see that the time is
    over, so one extends, and the other one looks at the clock.
    """

    def __init__(
        self, sqs: SQSClient, queue_url: str, receipt: str, log: JobLog, timing: Timing, stop: Stop | None = None
    ) -> None:
        """The message has been received just now."""
        self._timing = timing
        self._sqs = sqs
        self._queue_url = queue_url
        self._receipt = receipt
        self._log = log
        self._stop = stop or Stop()
        self._expires = time.monotonic() + timing.visibility
        self._lock = threading.Lock()
        self._losing = threading.Lock()
        self._lost = False
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"lease, {work.__name__}", daemon=True)
            for work in (self._keep, self._watch)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def check(self) -> None:
        """Raise LeaseLost if the message is lost. Call it before what only the message's holder may do."""
        if time.monotonic() >= self._expires:
            self._lose(f"it could not be extended for {self._timing.visibility:g} s")
        if self._lost:
            raise LeaseLost

    def delete(self) -> None:
        """Take the message off the queue: its job is done. Where that fails, the job's result is found next time."""
        with self._lock:
            self._ended.set()
            if self._lost:
                return
            try:
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=self._receipt)
            except AwsError as error:
                self._log.warning("the message can't be deleted, and will come again: %s", in_words(error))

    def give_back(self, after_seconds: float = 0) -> None:
        """Offer the message again, at once or after some seconds. Where that fails, its visibility runs out."""
        with self._lock:
            self._ended.set()
            if not self._lost:
                self._change(int(after_seconds))

    def _keep(self) -> None:
        while not self._ended.wait(self._timing.extension) and not self._lost:
            try:
                self._extend()
            except Exception:  # noqa: BLE001 - logged; nobody would see this thread's end
                self._log.exception("the message's visibility is as it was: this should not have happened")

    def _watch(self) -> None:
        while not self._ended.wait(self._left()):
            try:
                self.check()
            except LeaseLost:
                return

    def _left(self) -> float:
        return max(0.0, self._expires - time.monotonic())

    def _extend(self) -> None:
        with self._lock:  # an extension on its way would hide again what has just been given back
            asked = time.monotonic()
            if not self._ended.is_set() and asked < self._expires and self._change(self._timing.visibility):
                self._expires = asked + self._timing.visibility

    def _change(self, seconds: int) -> bool:
        """Set the visibility timeout; return whether that was done."""
        try:
            self._sqs.change_message_visibility(
                QueueUrl=self._queue_url, ReceiptHandle=self._receipt, VisibilityTimeout=seconds
            )
        except AwsError as error:
            if error_code(error) in _LOST:
                self._lose(in_words(error))
            else:
                self._log.warning("the message's visibility is as it was: %s", in_words(error))
            return False
        return True

    def _lose(self, why: str) -> None:
        with self._losing:
            if self._lost or self._ended.is_set():
                return
            self._lost = True
        self._log.warning("broken off, for the message is lost and another leader may have it: %s", why)
        self._stop.set(LeaseLost())
