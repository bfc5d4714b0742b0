"""A leader's hold on a message: while it works on the job, no other leader sees it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from .aws import AwsError, error_code, in_words
from .log import JobLog
from .settings import Timing

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# SQS says the last one where the message is gone, or was received again, or has been hidden for 12 hours.
_LOST = {
    "ReceiptHandleIsInvalid",
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
    "InvalidParameterValue",
}


class Lease:
    """Hides a received message for as long as this context lasts, and then no longer than `timing.visibility` seconds.

    One of `delete` and `give_back` ends it: the message is gone, or offered again.
    """

    def __init__(self, sqs: SQSClient, queue_url: str, receipt: str, log: JobLog, timing: Timing) -> None:
        self._timing = timing
        self._sqs = sqs
        self._queue_url = queue_url
        self._receipt = receipt
        self._log = log
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def delete(self) -> None:
        """Take the message off the queue: its job is done. Where that fails, the job's result is found next time."""
        with self._lock:
            self._ended.set()
            try:
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=self._receipt)
            except AwsError as error:
                self._log.warning("the message can't be deleted, and will come again: %s", in_words(error))

    def give_back(self, after_seconds: float = 0) -> None:
        """Offer the message again, at once or after some seconds. Where that fails, its visibility runs out."""
        with self._lock:
            self._ended.set()
            self._change(int(after_seconds))

    def _keep(self) -> None:
        while not self._ended.wait(self._timing.extension):
            with self._lock:  # an extension on its way would hide again what has just been given back
                if not self._ended.is_set() and not self._change(self._timing.visibility):
                    return

    def _change(self, seconds: int) -> bool:
        """Set the visibility timeout; return False where the message is no longer this leader's."""
        try:
            self._sqs.change_message_visibility(
                QueueUrl=self._queue_url, ReceiptHandle=self._receipt, VisibilityTimeout=seconds
            )
        except AwsError as error:
            lost = error_code(error) in _LOST
            what = (
                "the message is lost, another leader may have it" if lost else "the message's visibility is as it was"
            )
            self._log.warning("%s: %s", what, in_words(error))
            return not lost
        return True
