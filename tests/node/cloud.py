"""AWS for the tests of nodes: moto's server, with what the template would have created."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from botocore.exceptions import ClientError
from botocore.session import get_session
from moto.sqs.models import sqs_backends
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_s3 import S3Client
from mypy_boto3_sqs import SQSClient

from satcomp_infra.jobs import Job, Result, S3Uri
from satcomp_infra.node.manifest import NodeType
from satcomp_infra.project import NODE_MANIFEST_TABLE, TASK_END_TABLE

from ..waiting import PATIENCE, eventually

BUCKET, JOBS, RESULTS, FAILED = "team-bucket", "SatCompQueue", "SatCompOutputQueue", "SatCompDeadLetterQueue"
SATISFIABLE = b"p cnf 2 2\n1 2 0\n-1 0\n"
UNSATISFIABLE = b"p cnf 1 2\n1 0\n-1 0\n"


class Cloud:
    """An account with a bucket, the queues and the tables."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        session = get_session()
        self.s3 = cast("S3Client", session.create_client("s3"))
        self.sqs = cast("SQSClient", session.create_client("sqs"))
        self.dynamodb = cast("DynamoDBClient", session.create_client("dynamodb"))

    def reset(self) -> None:
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")
        urllib.request.urlopen(request).close()
        self.s3.create_bucket(Bucket=BUCKET)
        self.failed = self.sqs.create_queue(QueueName=FAILED)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.failed, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self._redrive = {"deadLetterTargetArn": arn, "maxReceiveCount": 20}
        redrive = json.dumps(self._redrive)
        self.jobs = self.sqs.create_queue(QueueName=JOBS, Attributes={"RedrivePolicy": redrive})["QueueUrl"]
        self.results = self.sqs.create_queue(QueueName=RESULTS)["QueueUrl"]
        for table, key in ((NODE_MANIFEST_TABLE, "nodeId"), (TASK_END_TABLE, "leaderIp")):
            self.dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            )

    def offer(self, times: int) -> None:
        """Let the job queue offer each message so often; 3 times is what it did in the stacks of earlier versions."""
        redrive = json.dumps({**self._redrive, "maxReceiveCount": times})
        self.sqs.set_queue_attributes(QueueUrl=self.jobs, Attributes={"RedrivePolicy": redrive})

    def upload(self, name: str, data: bytes = SATISFIABLE) -> S3Uri:
        self.s3.put_object(Bucket=BUCKET, Key=f"problems/{name}", Body=data)
        return S3Uri(BUCKET, f"problems/{name}")

    def send(self, job: Job | str) -> str:
        """Send a job, or whatever text; return the job's id."""
        body = job if isinstance(job, str) else job.to_message()
        return self.sqs.send_message(QueueUrl=self.jobs, MessageBody=body)["MessageId"]

    def stored(self, job_id: str, name: str = "result.json") -> bytes | None:
        try:
            return self.s3.get_object(Bucket=BUCKET, Key=f"results/{job_id}/{name}")["Body"].read()
        except ClientError:
            return None

    def result(self, job_id: str, within: float = PATIENCE) -> Result:
        """The job's result, once its message is off the queue, which is the last thing that happens."""
        text = eventually(lambda: self.stored(job_id), f"result of {job_id}", within) or b""
        eventually(lambda: self.depth() == 0, "an empty job queue", within)
        return Result.from_json(text)

    def depth(self) -> int:
        """How many messages the job queue holds, those that a leader is working on among them."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(value) for value in self._attributes(self.jobs, *names).values())

    def waiting(self, queue: str = "") -> int:
        """How many messages the job queue (or another one) offers."""
        return int(self._attributes(queue or self.jobs, "ApproximateNumberOfMessages").popitem()[1])

    def expire(self) -> None:
        """Let the visibility of what leaders have received run out, which takes a minute in AWS."""
        for message in self._all_messages():
            message.change_visibility(0)

    def hidden_for(self) -> float:
        """How many seconds the only message will stay hidden."""
        (message,) = self._all_messages()
        return float(message.visible_at / 1000 - time.time())

    def _all_messages(self) -> list[Any]:
        queues = sqs_backends["123456789012"]["us-east-1"].queues.values()
        return [message for queue in queues for message in queue._messages]

    def announcements(self) -> list[dict[str, Any]]:
        """What the result queue holds; taken off it."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.results, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.results, ReceiptHandle=message["ReceiptHandle"])
        return found

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes' items in the manifest, as DynamoDB has them."""
        return [item for item in self._items() if item["nodeType"]["S"] != NodeType.LOCK]

    def lock(self) -> dict[str, Any]:
        """The item of the workers' lock."""
        return next((item for item in self._items() if item["nodeType"]["S"] == NodeType.LOCK), {})

    def _items(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self.dynamodb.scan(TableName=NODE_MANIFEST_TABLE)["Items"])

    def status(self, address: str) -> str:
        return {node["nodeIp"]["S"]: str(node["status"]["S"]) for node in self.nodes()}.get(address, "")

    def register_worker(self, address: str, age: float = 0.0, status: str = "READY") -> None:
        """A worker of an earlier year, as its own node would say it once."""
        item = {"nodeId": f"id of {address}", "nodeIp": address, "status": status, "nodeType": "WORKER"}
        values: dict[str, Any] = {name: {"S": value} for name, value in item.items()}
        values["lastModified"] = {"N": str(int(time.time() - age))}
        self.dynamodb.put_item(TableName=NODE_MANIFEST_TABLE, Item=values)

    @contextmanager
    def beating_worker(self, address: str, node_id: str = "") -> Iterator[dict[str, str]]:
        """A worker of an earlier year that says all the time how it is; what it says can be changed meanwhile."""
        item = {"nodeId": node_id or f"id of {address}", "nodeIp": address, "status": "READY", "nodeType": "WORKER"}
        ended = threading.Event()

        def say(time: int) -> None:
            values: dict[str, Any] = {name: {"S": value} for name, value in item.items()}
            values["lastModified"] = {"N": str(time)}
            self.dynamodb.put_item(TableName=NODE_MANIFEST_TABLE, Item=values)

        def beat() -> None:
            now = int(time.time())
            while not ended.wait(0.1):
                now += 1
                say(now)

        say(int(time.time()))
        thread = threading.Thread(target=beat)
        thread.start()
        try:
            yield item
        finally:
            ended.set()
            thread.join()

    def forget_workers(self) -> None:
        for node in self.nodes():
            if node["nodeType"]["S"] == "WORKER":
                self.dynamodb.delete_item(TableName=NODE_MANIFEST_TABLE, Key={"nodeId": node["nodeId"]})

    def notifications(self) -> dict[str, str]:
        items = self.dynamodb.scan(TableName=TASK_END_TABLE)["Items"]
        return {item["leaderIp"]["S"]: item["notificationId"]["S"] for item in items}

    def notify(self, leader: str, notification: str) -> None:
        item: dict[str, Any] = {"leaderIp": {"S": leader}, "notificationId": {"S": notification}}
        self.dynamodb.put_item(TableName=TASK_END_TABLE, Item={**item, "lastModified": {"N": str(int(time.time()))}})

    def _attributes(self, queue: str, *names: Any) -> dict[str, str]:
        return cast("dict[str, str]", self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"])
