"""AWS at the edge: one session with its clients, and AWS's errors in words."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .bucket_owner import ANOTHERS, expect_owner
from .errors import SatcompError, UsageError
from .node.background import all_done, background

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_efs import EFSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_sqs import SQSClient

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

_ATTEMPTS = 10
"""Of a call that is throttled or fails on AWS's side. Together they wait about a minute before they give up."""
_FIRST_ATTEMPTS = 3
"""Of connecting at all. Once AWS has answered, a lost connection is worth waiting for; before, it is a mistake."""
_ACCOUNT_DIGITS = 12


class Aws:
    """One account in one region, and the clients to talk to it. Clients are made when first used; all are thread-safe.

    Where AWS is, and who is asking, is botocore's to find out: configuration files, environment, instance roles.
    """

    def __init__(self, session: boto3.Session, region: str | None = None) -> None:
        self._session = session
        self._asked_region = region or session.region_name
        self._session.events.register("needs-retry", self._give_up_early)
        self._reached = False
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @classmethod
    def connect(cls, profile: str | None = None, region: str | None = None) -> Aws:
        """A session for the profile and region given, or else for those that are configured.

        No call is made. Raises SatcompError where there is no such profile or no region is configured.
        """
        import boto3

        return cls(boto3.Session(profile_name=profile, region_name=region))

    def in_region(self, region: str) -> Aws:
        """The same account in another region."""
        return Aws(self._session, region)

    @cached_property
    def region(self) -> str:
        """The region's name. Raises UsageError where none is configured or the name can't be one."""
        if not self._asked_region:
            raise UsageError(
                "No AWS region is configured.",
                "Add --region REGION (for example one that the organisers named), or set AWS_DEFAULT_REGION.",
            )
        return self._asked_region

    @cached_property
    def account(self) -> str:
        """The account's 12 digits (one call, the first time)."""
        return str(self._client("sts").get_caller_identity()["Account"])

    @property
    def autoscaling(self) -> AutoScalingClient:  # noqa: D102
        client: AutoScalingClient = self._client("autoscaling")
        return client

    @property
    def cloudformation(self) -> CloudFormationClient:  # noqa: D102
        client: CloudFormationClient = self._client("cloudformation")
        return client

    @property
    def dynamodb(self) -> DynamoDBClient:  # noqa: D102
        client: DynamoDBClient = self._client("dynamodb")
        return client

    @property
    def ec2(self) -> EC2Client:  # noqa: D102
        client: EC2Client = self._client("ec2")
        return client

    @property
    def ecr(self) -> ECRClient:  # noqa: D102
        client: ECRClient = self._client("ecr")
        return client

    @property
    def ecs(self) -> ECSClient:  # noqa: D102
        client: ECSClient = self._client("ecs")
        return client

    @property
    def efs(self) -> EFSClient:  # noqa: D102
        client: EFSClient = self._client("efs")
        return client

    @property
    def logs(self) -> CloudWatchLogsClient:  # noqa: D102
        client: CloudWatchLogsClient = self._client("logs")
        return client

    @property
    def s3(self) -> S3Client:
        """Refuses buckets named after this account (as the project's is) that are another's (see `bucket_owner`)."""
        client: S3Client = self._client("s3")
        return client

    @property
    def service_quotas(self) -> ServiceQuotasClient:  # noqa: D102
        client: ServiceQuotasClient = self._client("service-quotas")
        return client

    @property
    def sqs(self) -> SQSClient:  # noqa: D102
        client: SQSClient = self._client("sqs")
        return client

    def _owner_of(self, bucket: str) -> str:
        """Whose a bucket must be: this account's where its name begins with the account's number, else anybody's."""
        number, dash, _ = bucket.partition("-")
        looks_like_one = dash and len(number) == _ACCOUNT_DIGITS and number.isdecimal()
        return number if looks_like_one and number == self.account else ""

    def _give_up_early(self, attempts: int, response: object, caught_exception: Exception | None, **_: object) -> None:
        """Botocore asks all its handlers whether to try again; one that raises ends the trying."""
        from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

        self._reached = self._reached or response is not None
        unreachable = isinstance(caught_exception, EndpointConnectionError | ConnectTimeoutError)
        if caught_exception and unreachable and not self._reached and attempts >= _FIRST_ATTEMPTS:
            raise caught_exception

    def _client(self, service: str) -> Any:
        with self._lock:  # making a client is not thread-safe, using one is (boto3's guide to resources and threads)
            if service not in self._clients:
                from botocore.config import Config

                self._clients[service] = self._session.client(
                    service,  # type: ignore[call-overload]
                    region_name=self.region,
                    config=Config(
                        connect_timeout=5,
                        read_timeout=60,
                        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                        max_pool_connections=50,
                    ),
                )
                if service == "s3":
                    expect_owner(self._clients[service], self._owner_of)
            return self._clients[service]


@overload
def together(first: Callable[[], A], second: Callable[[], B], /) -> tuple[A, B]: ...
@overload
def together(first: Callable[[], A], second: Callable[[], B], third: Callable[[], C], /) -> tuple[A, B, C]: ...


def together(*calls: Callable[[], Any]) -> tuple[Any, ...]:
    """Make independent calls at the same time; the results in their order, once all are done.

    Raises what the first failing one raises. Ctrl-C ends the wait at once, whatever a call is waiting for.
    """
    futures = [background(call) for call in calls]
    all_done(*futures)
    return tuple(future.result() for future in futures)


def aws_time(response: Any) -> datetime:
    """When AWS gave an answer, by its own clock, in whole seconds."""
    said = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(said).astimezone(UTC) if said else datetime.now(UTC)


def error_code(error: ClientError) -> str:
    """AWS's short code of an error, for example 'AccessDenied'."""
    return str(error.response.get("Error", {}).get("Code", ""))


def error_message(error: ClientError) -> str:
    """AWS's own words of an error."""
    return str(error.response.get("Error", {}).get("Message", ""))


_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_UNKNOWN_KEY = ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure")
_REFUSED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "AuthorizationError")
_SERVER_ERROR = 500
_THROTTLED = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown")
_SQUATTED = "Where 'aws s3 ls' doesn't list the bucket, somebody else has its name: choose another project name."
_LOG_IN = "Log in again (aws sso login, or put new keys into your profile), or choose another one with --profile."


def passing(error: Exception) -> str:
    """In words, an error of AWS that may pass by itself: no connection, throttling, AWS's own trouble. Else empty."""
    from botocore import exceptions as aws

    if isinstance(error, aws.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        may_pass = error_code(error) in _THROTTLED or status >= _SERVER_ERROR
        return str(in_words(error).message) if may_pass else ""
    return in_words(error).message if isinstance(error, aws.ConnectionError | aws.HTTPClientError) else ""


def in_words(error: BotoCoreError | ClientError) -> SatcompError:
    """An AWS error as one sentence, with what to do about it."""
    from botocore import exceptions as aws

    if isinstance(error, aws.ClientError):
        return _refusal_in_words(error)
    if isinstance(error, aws.ProfileNotFound):
        return SatcompError(f"{error}.", "List the profiles that there are with:\naws configure list-profiles")
    if isinstance(error, aws.NoCredentialsError | aws.PartialCredentialsError | aws.CredentialRetrievalError):
        return SatcompError(
            f"No usable AWS credentials were found ({str(error).rstrip('.')}).",
            "Set up a profile with 'aws configure sso' or 'aws configure' and name it with --profile.",
        )
    if isinstance(error, aws.SSOError | aws.TokenRetrievalError | aws.LoginError):
        return SatcompError(f"Your AWS login can't be used: {str(error).rstrip('.')}.", _LOG_IN)
    if isinstance(error, aws.NoRegionError):
        return UsageError("No AWS region is configured.", "Add --region REGION, or set AWS_DEFAULT_REGION.")
    if isinstance(error, aws.InvalidRegionError):
        return UsageError(f"{str(error).rstrip('.')}.", "Name a region of AWS with --region.")
    if isinstance(error, aws.ConnectionError | aws.HTTPClientError):
        return SatcompError(
            f"AWS can't be reached: {str(error).rstrip('.')}.",
            "Check the network connection, the region's spelling, and AWS_ENDPOINT_URL if it is set.",
        )
    return SatcompError(f"{type(error).__name__}: {error}")


def _refusal_in_words(error: ClientError) -> SatcompError:
    code, message, operation = error_code(error), error_message(error).rstrip("."), error.operation_name
    if code in _EXPIRED:
        return SatcompError("Your AWS credentials have expired.", _LOG_IN)
    if code in _UNKNOWN_KEY:
        return SatcompError(f"AWS doesn't accept your credentials: {message}.", _LOG_IN)
    if code == "SignatureDoesNotMatch":
        return SatcompError(
            "AWS doesn't accept your credentials: the secret key doesn't belong to the access key.",
            "Copy both again from where you got them:\naws configure",
        )
    if code in _REFUSED:
        return SatcompError(
            f"Your AWS user may not call {operation}: {message or code}.",
            "Use a profile that may (--profile), or ask the account's administrator for the permission."
            + (f" {_SQUATTED}" if ANOTHERS in message else ""),
        )
    if code in _THROTTLED:
        return SatcompError(
            f"AWS kept asking to slow down ({operation}: {code}), {_ATTEMPTS} times over.",
            "Wait a minute and run the command again.",
        )
    return SatcompError(f"AWS refused {operation}: {message or code} ({code}).")
