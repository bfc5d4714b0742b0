"""The project's bucket: what is put into it, looked up in it, and taken out of it at the end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .aws import error_code
from .errors import SatcompError
from .jobs import S3Uri
from .project import TEST_PROBLEM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .aws import Aws

# The walkthrough's first problem: satisfiable, and solved at once by any solver.
TEST_FORMULA = """\
c The first problem to try a cluster with: satisfiable.
p cnf 5 6
1 -2 0
2 3 -4 0
-1 4 5 0
-3 -5 0
2 -5 0
-1 2 4 0
"""

_CONCURRENT_DELETES = 8
_LINES_BYTES = 64 * 1024


def provide_test_problem(aws: Aws, bucket: str) -> None:
    """Put the walkthrough's first problem into the bucket, unless one is there under its name."""
    if _object_error(aws, S3Uri(bucket, TEST_PROBLEM)):
        aws.s3.put_object(Bucket=bucket, Key=TEST_PROBLEM, Body=TEST_FORMULA.encode())


def check_exists(aws: Aws, uri: S3Uri) -> None:
    """Raise SatcompError, with what to do, where the object isn't there or may not be read."""
    error = _object_error(aws, uri)
    if error:
        raise error


def _object_error(aws: Aws, uri: S3Uri) -> SatcompError | None:
    from botocore.exceptions import ClientError

    try:
        aws.s3.head_object(Bucket=uri.bucket, Key=uri.key)
    except ClientError as error:
        code = error_code(error)
        if code in ("404", "NoSuchKey", "NoSuchBucket"):
            return SatcompError(
                f"There is no object {uri}.",
                f"See what there is:\naws s3 ls s3://{uri.bucket}/\nOr upload it:\naws s3 cp FILE {uri}",
            )
        if code in ("403", "AccessDenied"):
            return SatcompError(
                f"You may not read {uri}: the bucket is another account's, or your user lacks the permission.",
                "See your own buckets with 'aws s3 ls', and copy the problem into the project's with 'aws s3 cp'.",
            )
        if code in ("301", "PermanentRedirect"):
            return SatcompError(
                f"Bucket {uri.bucket} is not in region {aws.region}.",
                "Copy the problem into the project's bucket with 'aws s3 cp'.",
            )
        raise
    return None


def lines(aws: Aws, uri: S3Uri) -> Iterator[bytes]:
    """An object's lines, without their ends, as they are fetched; none where there is no such object."""
    from botocore.exceptions import ClientError

    try:
        body = aws.s3.get_object(Bucket=uri.bucket, Key=uri.key)["Body"]
    except ClientError as error:
        if error_code(error) in ("404", "NoSuchKey"):
            return
        raise
    yield from body.iter_lines(_LINES_BYTES)


def exists(aws: Aws, bucket: str) -> bool:
    """Whether this account has the bucket, which is named after it."""
    from botocore.exceptions import ClientError

    try:
        aws.s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error_code(error) in ("404", "NoSuchBucket", "403", "AccessDenied"):  # 403: somebody else's
            return False
        raise
    return True


def empty(aws: Aws, bucket: str, deleted: Callable[[int], None]) -> int:
    """Delete everything in the bucket: objects, all their versions, delete markers, unfinished uploads.

    `deleted` is called with the number deleted so far. Returns how many there were. No bucket: nothing to do. Raises
    SatcompError where AWS refuses to delete something.
    """
    from botocore.exceptions import ClientError

    done = 0
    try:
        with ThreadPoolExecutor(_CONCURRENT_DELETES) as pool:
            for count in pool.map(lambda keys: _delete(aws, bucket, keys), _versions(aws, bucket)):
                done += count
                deleted(done)
            list(pool.map(lambda upload: aws.s3.abort_multipart_upload(**upload), list(_uploads(aws, bucket))))
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise
    return done


def _delete(aws: Aws, bucket: str, keys: list[Any]) -> int:
    answer = aws.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    for failure in answer.get("Errors", ()):
        raise SatcompError(
            f"S3 didn't delete '{failure.get('Key')}' from {bucket}: {failure.get('Message') or failure.get('Code')}.",
            "Delete it in the S3 console, and run the command again.",
        )
    return len(keys)


def _versions(aws: Aws, bucket: str) -> Iterator[list[dict[str, str]]]:
    """Every version and delete marker, in lists of at most 1000, which is what one call can delete."""
    for page in aws.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        entries = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if entries:
            yield [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]


def _uploads(aws: Aws, bucket: str) -> Iterator[dict[str, str]]:
    for page in aws.s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", ()):
            yield {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
