"""A node's heartbeat: its item in the manifest, renewed every second for as long as the node lives."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

from . import health, manifest
from .aws import AwsError, in_words
from .background import background
from .identity import Identity
from .log import LOG
from .manifest import NodeStatus, NodeType

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PERIOD = 1.0
_LONG_GONE_SECONDS = 60


class Registration:
    """Keeps a node's item in the manifest. As a context manager: from the first heartbeat to the item's removal.

    A heartbeat that fails is logged, once, and tried again a second later: it never ends the node.
    """

    def __init__(self, dynamodb: DynamoDBClient, identity: Identity, kind: NodeType, **attributes: Any) -> None:
        self.node_id = str(uuid.uuid4())
        self._dynamodb = dynamodb
        self._item: dict[str, Any] = {
            "nodeId": self.node_id,
            "nodeIp": identity.address,
            "nodeType": kind,
            "status": NodeStatus.BUSY,
            "instanceId": identity.instance,
            **attributes,
        }
        self._changed = threading.Condition()
        self._ended = False
        self._stays = False
        self._failing = False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def update(self, **attributes: Any) -> None:
        """Change what the item says (`status`, or any other attribute). A change is written at once, by the thread."""
        with self._changed:
            if any(self._item.get(name) != value for name, value in attributes.items()):
                self._item.update(attributes)
                self._changed.notify()

    def leave_as_failed(self) -> None:
        """Let the item stay when the node ends, with status ERROR, for whoever asks why there is a node less."""
        self._stays = True
        self.update(status=NodeStatus.ERROR)

    def __enter__(self) -> Self:
        self._thread.start()
        background(self._forget_predecessors)
        return self

    def __exit__(self, *_: object) -> None:
        """End the heartbeat, and remove the item unless the node has failed."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()  # a heartbeat after the removal would bring the item back
        if self._stays:
            self._put(self._item)
            return
        try:
            manifest.delete(self._dynamodb, self.node_id)
        except AwsError as error:
            LOG.warning("the node's item stays in the manifest: %s", in_words(error))

    def _beat(self) -> None:
        while True:
            with self._changed:
                if self._ended:
                    return
                item = dict(self._item)
            health.beat()
            self._put(item)
            with self._changed:
                if item == self._item and not self._ended:
                    self._changed.wait(_PERIOD)

    def _put(self, item: dict[str, Any]) -> None:
        try:
            # Whole seconds: nodes of earlier years can't read others.
            manifest.put(self._dynamodb, {**item, "lastModified": int(time.time())})
        except AwsError as error:
            if not self._failing:
                LOG.warning("the heartbeat fails: %s", in_words(error))
            self._failing = True
        except Exception:  # noqa: BLE001 - logged; nobody would see this thread's end
            LOG.exception("the heartbeat fails: this should not have happened")
        else:
            if self._failing:
                LOG.info("the heartbeat is back")
            self._failing = False

    def _forget_predecessors(self) -> None:
        """Remove what nodes that were killed left here: a register that only grew would be read ever more slowly."""
        try:
            for node in manifest.nodes(self._dynamodb):
                same = node.address == self._item["nodeIp"] and node.kind == self._item["nodeType"]
                if same and time.time() - node.last_modified > _LONG_GONE_SECONDS:
                    manifest.delete(self._dynamodb, node.node_id)
        except AwsError as error:
            LOG.warning("the items of earlier nodes stay in the manifest: %s", in_words(error))
