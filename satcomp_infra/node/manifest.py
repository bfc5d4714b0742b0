"""The nodes' own register, the DynamoDB table SatCompNodeManifest: who is there, and how each one is.

A node writes its own item about once a second. An item that is not renewed is a node that has failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..project import NODE_MANIFEST_TABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

FRESH_SECONDS = 5
"""The age up to which what a node says of itself holds."""


class NodeStatus(StrEnum):
    """How a node is."""

    READY = "READY"
    BUSY = "BUSY"
    ERROR = "ERROR"


class NodeType(StrEnum):
    """A node's role, as the manifest says it. The lock is no node, but has an item like one: see workers_lock.py."""

    LEADER = "LEADER"
    WORKER = "WORKER"
    LOCK = "LOCK_OF_THE_WORKERS"


@dataclass(frozen=True)
class Node:
    """A node's item. `last_modified` is epoch seconds.

    `last_cleanup` has, by leader's address, the newest end of a job that this worker has cleaned up for; it is None
    for workers of earlier years, which don't say.
    """

    node_id: str
    address: str
    status: str
    kind: str
    last_modified: float
    last_cleanup: Mapping[str, str] | None = None
    item: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """All that the item holds, as plain values."""


class Heartbeats:
    """Follows nodes, so that one whose clock is behind is not taken for dead: its item changes every second."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}

    def heard(self, nodes: Iterable[Node], now: float) -> list[Node]:
        """The nodes, with a `last_modified` of this node's clock where their item has changed since the last call."""
        heard = []
        for node in nodes:
            said, corrected = self._seen.get(node.node_id, (node.last_modified, node.last_modified))
            if said != node.last_modified:
                corrected = max(node.last_modified, now)
            self._seen[node.node_id] = node.last_modified, corrected
            heard.append(replace(node, last_modified=corrected))
        return heard


def nodes(dynamodb: DynamoDBClient) -> list[Node]:
    """All nodes that have ever registered and not taken their leave, read consistently."""
    return [node for node in everything(dynamodb) if node.kind != NodeType.LOCK]


def count(dynamodb: DynamoDBClient) -> int:
    """How many items there are, or were a moment ago."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=NODE_MANIFEST_TABLE, Select="COUNT")
    return sum(page["Count"] for page in pages)


def everything(dynamodb: DynamoDBClient, *, consistent: bool = True) -> list[Node]:
    """All items: the nodes, and the lock of the workers. `consistent`: as they are now, for twice the costs."""
    found = []
    for page in dynamodb.get_paginator("scan").paginate(TableName=NODE_MANIFEST_TABLE, ConsistentRead=consistent):
        for attributes in page["Items"]:
            item = {name: _plain(value) for name, value in attributes.items()}
            cleanups = item.get("lastCleanup")
            found.append(
                Node(
                    node_id=str(item.get("nodeId", "")),
                    address=str(item.get("nodeIp", "")),
                    status=str(item.get("status", "")),
                    kind=str(item.get("nodeType", "")),
                    last_modified=_number(item.get("lastModified")),
                    last_cleanup=cleanups if isinstance(cleanups, dict) else None,
                    item=item,
                )
            )
    return found


def put(dynamodb: DynamoDBClient, item: Mapping[str, Any]) -> None:
    """Write a node's item: strings, numbers, and mappings of them."""
    dynamodb.put_item(TableName=NODE_MANIFEST_TABLE, Item={name: _attribute(value) for name, value in item.items()})


def put_if(
    dynamodb: DynamoDBClient,
    item: Mapping[str, Any],
    condition: str,
    values: Mapping[str, Any],
    names: Mapping[str, str],
) -> dict[str, Any]:
    """Write an item if the condition (a DynamoDB expression with these values and names) holds for the one it replaces.

    Return that one; empty if there was none. Raises ClientError, ConditionalCheckFailedException among them.
    """
    response = dynamodb.put_item(
        TableName=NODE_MANIFEST_TABLE,
        Item={name: _attribute(value) for name, value in item.items()},
        ConditionExpression=condition,
        ExpressionAttributeValues={name: _attribute(value) for name, value in values.items()},
        ExpressionAttributeNames=names,
        ReturnValues="ALL_OLD",
    )
    return {name: _plain(value) for name, value in response.get("Attributes", {}).items()}


def delete(dynamodb: DynamoDBClient, node_id: str) -> None:
    """Remove a node's item, if it is there."""
    dynamodb.delete_item(TableName=NODE_MANIFEST_TABLE, Key={"nodeId": {"S": node_id}})


# Three of DynamoDB's types are all that is needed; boto3's serializer for all of them would import all of boto3.
def _attribute(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {"M": {str(name): _attribute(part) for name, part in value.items()}}
    return {"N": str(value)} if isinstance(value, int | float) else {"S": str(value)}


def _plain(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "M":
        return {name: _plain(part) for name, part in value.items()}
    if kind == "N":
        return int(value) if str(value).lstrip("-").isdigit() else float(value)
    return value


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
