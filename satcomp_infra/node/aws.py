"""A node's clients, and AWS's errors in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from ..bucket_owner import expect_owner

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

    from .settings import Settings

AwsError = (BotoCoreError, ClientError)
"""What a call can raise: AWS refused or failed, or couldn't be reached, after all attempts."""

# Eight attempts wait about half a minute together where AWS throttles, but only three seconds (DynamoDB: half as long)
# where it fails or can't be reached: so are botocore's pauses. Who has more to lose tries again.
_PATIENT = Config(
    retries={"mode": "standard", "total_max_attempts": 8},
    connect_timeout=3,
    read_timeout=20,
    tcp_keepalive=True,
    max_pool_connections=16,
)
# What is repeated every second anyway doesn't wait for an answer that is out of date when it comes.
_BRISK = Config(
    retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=3, tcp_keepalive=True
)
_SERVER_ERROR = 500
_LATER = (408, 409, 429)
"""HTTP's request timeout, conflict and too many requests."""
_THROTTLED = ("Throttl", "SlowDown", "TooManyRequests", "RequestLimitExceeded", "ThroughputExceeded", "RequestTimeout")
"""S3's RequestTimeout has status 400."""
_CREDENTIALS = ("Token", "AccessKey", "Signature", "Credential", "RequestTimeTooSkewed", "RequestExpired")


@dataclass(frozen=True)
class WorkerClients:
    """What a worker talks to: DynamoDB, with little patience."""

    dynamodb: DynamoDBClient

    @classmethod
    def connect(cls) -> WorkerClients:
        """Make the client; no call is made. Raises BotoCoreError where the environment can't be used."""
        return cls(cast("DynamoDBClient", get_session().create_client("dynamodb", config=_BRISK)))


@dataclass(frozen=True)
class LeaderClients:
    """What a leader talks to. `heartbeat` and `brisk_s3` have little patience, for what is repeated every second."""

    sqs: SQSClient
    s3: S3Client
    brisk_s3: S3Client
    dynamodb: DynamoDBClient
    heartbeat: DynamoDBClient

    @classmethod
    def connect(cls, settings: Settings) -> LeaderClients:
        """Make the clients; no call is made. Raises BotoCoreError where the environment can't be used.

        The project's bucket is used only if it is the project's account's; a problem may be in anybody's.
        Through botocore alone: importing boto3 takes a node another tenth of a second to start, for nothing it uses.
        """
        session: Session = get_session()
        s3, brisk_s3 = (cast("S3Client", session.create_client("s3", config=config)) for config in (_PATIENT, _BRISK))
        for client in (s3, brisk_s3):
            expect_owner(client, lambda bucket: settings.account if bucket == settings.bucket else "")
        return cls(
            sqs=cast("SQSClient", session.create_client("sqs", config=_PATIENT)),
            s3=s3,
            brisk_s3=brisk_s3,
            dynamodb=cast("DynamoDBClient", session.create_client("dynamodb", config=_PATIENT)),
            heartbeat=cast("DynamoDBClient", session.create_client("dynamodb", config=_BRISK)),
        )


def error_code(error: BaseException) -> str:
    """AWS's code for the error; empty where it is not AWS's answer but the lack of one."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def is_outage(error: BaseException) -> bool:
    """Whether AWS is out of reach, out of order or overloaded: the same call may succeed later."""
    if not isinstance(error, ClientError):
        return isinstance(error, BotoCoreError)
    status = http_status(error)
    return status >= _SERVER_ERROR or status in _LATER or any(word in error_code(error) for word in _THROTTLED)


def is_about_credentials(error: ClientError) -> bool:
    """Whether AWS doesn't know who has asked: the node's credentials have expired, or its clock is wrong."""
    return any(word in error_code(error) for word in _CREDENTIALS)


def http_status(error: ClientError) -> int:
    """The answer's HTTP status; 0 where it is not known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def in_words(error: BaseException) -> str:
    """The error as one line for the log."""
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        return f"{error.operation_name} failed: {answer.get('Code', '')}: {answer.get('Message', '')}"
    return " ".join(f"{error or type(error).__name__}".split())
