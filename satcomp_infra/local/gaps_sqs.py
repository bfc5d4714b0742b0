"""Queues, where moto does otherwise than SQS, and where SQS's standard queues do what no one expects."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.sqs.exceptions import InvalidParameterValue
from moto.sqs.models import SQSBackend

from . import gaps_long_queues
from .gaps import replace

if TYPE_CHECKING:
    from moto.sqs.models import Message, Queue

    from .history import History
    from .world import World

_LOOK_AGAIN = 0.25
"""Seconds: messages also become visible when nothing happens."""


@dataclass(frozen=True)
class Received:
    """A message that a node has received, and its queue."""

    queue: Queue
    message: Message


class Queues:
    """All queues of the cloud.

    Long polling is without moto's hundred looks a second, and without messages for those who have hung up. A receipt
    handle is good until the message is received again, as in SQS: with an older one, nothing is deleted, and
    visibility can't be changed.
    """

    def __init__(self, world: World, history: History) -> None:
        self._world = world
        self._lock = world.own_locks["sqs"]
        self._history = history
        self._arrival = threading.Condition()
        self._dice = random.Random(20230704)  # noqa: S311  # not a secret
        self._asking = threading.local()
        self.received: dict[str, Received] = {}
        """By node, what it has received last."""

    @contextmanager
    def asked_by(self, node: str, connection: socket.socket | None) -> Iterator[None]:
        """Who makes the call that this thread answers, and over which connection; `node` is empty for all others."""
        self._asking.node, self._asking.connection = node, connection
        try:
            yield
        finally:
            self.changed()

    def fill(self) -> None:
        """Put this in the place of moto's way."""
        gaps_long_queues.fill()
        self._fill_receiving()
        self._fill_handles()

    def changed(self) -> None:
        """There may be something to receive."""
        with self._arrival:
            self._arrival.notify_all()

    def deliver_again(self, node: str) -> None:
        """Offer once more what a node has received last, whether it is hidden or deleted."""
        with self._lock:
            if received := self.received.get(node):
                queue, message = received.queue, received.message
                if message not in queue._messages:
                    queue._messages.append(message)
                    queue.deleted_messages.difference_update(message.all_receipt_handles)
                message.change_visibility(0)
        self.changed()

    def _fill_receiving(self) -> None:
        moto_receive = SQSBackend.receive_message
        queues = self

        @replace(SQSBackend, "receive_message")
        def receive_message(
            self: SQSBackend, queue: str, count: int, wait: int, visibility: int, names: list[str] | None = None
        ) -> Any:
            deadline = time.monotonic() + wait
            while True:
                if queues._has_hung_up():
                    return []
                with queues._lock:
                    if queues._world.faults.reordered_queues:
                        queues._dice.shuffle(self.get_queue(queue)._messages)
                    messages = moto_receive(self, queue, count, 0, visibility, names)
                    queues._note(self.get_queue(queue), messages)
                left = deadline - time.monotonic()
                if messages or left <= 0:
                    return messages
                with queues._arrival:
                    queues._arrival.wait(min(left, _LOOK_AGAIN))

    def _note(self, queue: Queue, messages: list[Message]) -> None:
        node = getattr(self._asking, "node", "")
        if not node:
            return
        ids = {message.id for message in messages}
        for message in queue._messages:
            if message.id in ids:
                self.received[node] = Received(queue, message)
                self._history.note("received", node, message.id)

    def _fill_handles(self) -> None:
        moto_change, moto_delete = SQSBackend.change_message_visibility, SQSBackend.delete_message
        queues = self

        def owner(queue: Queue, handle: str) -> Message | None:
            """The message that has ever had this handle."""
            return next((message for message in queue._messages if message.had_receipt_handle(handle)), None)

        @replace(SQSBackend, "change_message_visibility")
        def change_message_visibility(
            self: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int
        ) -> None:
            message = owner(self.get_queue(queue_name), receipt_handle)
            if message and (message.receipt_handle != receipt_handle or message.visible):
                raise InvalidParameterValue(
                    f"Value {receipt_handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or "
                    "is not available for visibility timeout change."
                )
            moto_change(self, queue_name, receipt_handle, visibility_timeout)
            if message:
                what = "hidden" if int(visibility_timeout) else "offered"
                queues._history.note(what, getattr(queues._asking, "node", ""), message.id)

        @replace(SQSBackend, "delete_message")
        def delete_message(self: SQSBackend, queue_name: str, receipt_handle: str) -> None:
            message = owner(self.get_queue(queue_name), receipt_handle)
            if message and message.receipt_handle != receipt_handle:
                return
            moto_delete(self, queue_name, receipt_handle)
            if message:
                queues._history.note("deleted", getattr(queues._asking, "node", ""), message.id)

    def _has_hung_up(self) -> bool:
        connection: socket.socket | None = getattr(self._asking, "connection", None)
        if connection is None:
            return False
        try:
            readable, _, _ = select.select([connection], [], [], 0)
            return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
        except (OSError, ValueError):
            return True
