"""The ends of jobs, which leaders write and workers watch: the DynamoDB table TaskEndNotification."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from ..project import TASK_END_TABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def notify(dynamodb: DynamoDBClient, leader: str) -> str:
    """Tell all workers that a job of the leader with this address has ended; return the notification's id."""
    notification = str(uuid.uuid4())
    dynamodb.put_item(
        TableName=TASK_END_TABLE,
        Item={
            "leaderIp": {"S": leader},
            "notificationId": {"S": notification},
            "lastModified": {"N": str(int(time.time()))},
        },
    )
    return notification


def newest(dynamodb: DynamoDBClient) -> dict[str, str]:
    """By leader's address, the id of its newest notification, read consistently."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=TASK_END_TABLE, ConsistentRead=True)
    return {
        item["leaderIp"].get("S", ""): item.get("notificationId", {}).get("S", "")
        for page in pages
        for item in page["Items"]
    }
