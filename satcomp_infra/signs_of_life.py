"""Which nodes have said that they work: a container that ends at once runs for a moment, too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .node.manifest import FRESH_SECONDS, Heartbeats, NodeStatus, NodeType, nodes

if TYPE_CHECKING:
    from .aws import Aws


class SignsOfLife:
    """Follows the nodes' register, as far as AWS lets it be read."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._heartbeats = Heartbeats()

    def look(self) -> tuple[int, int]:
        """How many leaders and workers have been heard of in the last five seconds, and are well.

        0 where AWS gives no answer: a start needs none.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = nodes(self._aws.dynamodb)
        except (BotoCoreError, ClientError):
            return 0, 0
        now = time.time()
        heard = sorted(self._heartbeats.heard(found, now), key=lambda node: node.last_modified)
        newest = {(node.kind, node.address): node for node in heard}  # a node that died may have left an item there
        well = [
            node.kind
            for node in newest.values()
            if now - node.last_modified <= FRESH_SECONDS and node.status != NodeStatus.ERROR
        ]
        return well.count(NodeType.LEADER), well.count(NodeType.WORKER)
