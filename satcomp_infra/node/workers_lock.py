"""The right to use the workers, which one leader has at a time: an item of the nodes' register.

It can't be had for single workers: whenever a job ends, all workers clean up, and so end what runs on them for another
leader. The item has the attributes that a node's has, and a nodeType that nobody looks for. It stays when it is free:
who takes it sees by its token whether another leader has used the workers meanwhile.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from . import manifest
from .aws import AwsError, error_code, in_words
from .log import Log
from .manifest import Node, NodeStatus, NodeType

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ID = "lock-of-the-workers"
# Of a predecessor on the same machine nothing runs any more.
_MAY_TAKE = "attribute_not_exists(nodeId) OR #status = :free OR holder = :me OR nodeIp = :here OR #token = :dead"
_NAMES = {"#status": "status", "#token": "token"}


class WorkersLock:
    """A leader's dealings with the lock. `node_id` is the leader's in the register, which shows that it lives."""

    def __init__(self, dynamodb: DynamoDBClient, address: str, node_id: str) -> None:
        self._dynamodb = dynamodb
        self._address = address
        self._node_id = node_id
        self._token = ""
        self._unreleased = False

    def take(self, dead: str = "") -> tuple[bool, bool]:
        """Try to take it. `dead` is the token of a holder that has died.

        Return whether it was taken, and whether that was from another leader, or may have been. Raises AWS's errors.
        """
        before, self._token = self._token, str(uuid.uuid4())
        try:
            previous = self._put(
                NodeStatus.BUSY,
                _MAY_TAKE,
                {":free": NodeStatus.READY, ":me": self._node_id, ":here": self._address, ":dead": dead or "none"},
                names=_NAMES,
            )
        except AwsError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return False, True
        self._unreleased = False
        return True, not before or previous != before

    def is_mine(self, seen: Node | None) -> bool:
        """Whether the lock, as it was just read, is this leader's."""
        return seen is not None and seen.item.get("token") == self._token

    def release(self, log: Log) -> None:
        """Set it free, if it is this leader's. Where AWS doesn't take that, `settle` tries again."""
        try:
            self._put(NodeStatus.READY, "#token = :mine", {":mine": self._token}, names={"#token": "token"})
        except AwsError as error:
            self._unreleased = error_code(error) != "ConditionalCheckFailedException"
            if self._unreleased:
                log.warning("the workers can't be left to other leaders: %s", in_words(error))
        else:
            self._unreleased = False

    def settle(self, log: Log) -> None:
        """Set it free, if that has failed before."""
        if self._unreleased:
            self.release(log)

    def _put(self, status: NodeStatus, condition: str, values: dict[str, str], names: dict[str, str]) -> str:
        """Write the item under a condition; return the token that it had before."""
        item = {
            "nodeId": _ID,
            "nodeIp": self._address,
            "nodeType": NodeType.LOCK,
            "status": status,
            "lastModified": int(time.time()),
            "holder": self._node_id,
            "token": self._token,
        }
        return str(manifest.put_if(self._dynamodb, item, condition, values, names).get("token", ""))
