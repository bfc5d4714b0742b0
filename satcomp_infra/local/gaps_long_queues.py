"""Queues with ten thousand messages: moto looks at all of them, several times, for each one that is sent or received.

It asks for all attributes of a queue, the counts of its messages among them, whenever it needs one. Here each is asked
for alone, and whoever needs the messages that can be received looks at the clock once.
"""

from __future__ import annotations

import uuid
from typing import Any, cast

from moto.core.utils import unix_time, unix_time_millis
from moto.sqs.models import Message, Queue, SQSBackend

from .gaps import replace


def fill() -> None:
    """Put this in the place of moto's way."""
    moto_send = SQSBackend.send_message

    @replace(SQSBackend, "send_message")
    def send_message(
        self: SQSBackend,
        queue_name: str,
        message_body: str,
        message_attributes: dict[str, Any] | None = None,
        delay_seconds: int | None = None,
        deduplication_id: str | None = None,
        group_id: str | None = None,
        **more: Any,
    ) -> Message:
        queue = self.get_queue(queue_name)
        if delay_seconds or deduplication_id or group_id or queue.fifo_queue:
            fifo = (deduplication_id, group_id)
            return moto_send(self, queue_name, message_body, message_attributes, delay_seconds, *fifo, **more)
        self._validate_message(queue, message_body=message_body, delay_seconds=0)
        message = Message(str(uuid.uuid4()), message_body, more.get("system_attributes"))
        if message_attributes:
            message.message_attributes = message_attributes
        message.mark_sent(delay_seconds=_seconds(queue, "delay_seconds"))
        queue.add_message(message)
        return message

    @replace(SQSBackend, "is_message_valid_based_on_retention_period")
    def is_message_valid(self: SQSBackend, queue_name: str, message: Message) -> bool:
        kept = _seconds(self.get_queue(queue_name), "message_retention_period")
        return kept + cast("float", message.sent_timestamp) / 1000 > unix_time()

    def messages(self: Queue) -> list[Message]:
        now = unix_time_millis()
        return [message for message in self._messages if now > message.visible_at and now >= message.delayed_until]

    def not_visible(self: Queue) -> int:
        now = unix_time_millis()
        return sum(now <= message.visible_at for message in self._messages)

    def delayed(self: Queue) -> int:
        now = unix_time_millis()
        return sum(now < message.delayed_until for message in self._messages)

    for name, count in (("messages", messages), ("not_visible", not_visible), ("delayed", delayed)):
        whole = name if name == "messages" else f"approximate_number_of_messages_{name}"
        setattr(Queue, whole, property(count))


def _seconds(queue: Queue, name: str) -> int:
    """One of the queue's attributes, which moto sets by name."""
    return int(getattr(queue, name))
