"""Storing and announcing how a job ended."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ..jobs import Result, result_key, result_prefix
from .aws import error_code
from .background import all_done, background
from .files import open_file, shortened
from .log import JobLog

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

_MAX_ANNOUNCED_BYTES = 128 * 1024
"""Of a solver's own solver_out.json. SQS takes messages of 1 MiB."""


class Results:
    """The results of jobs: objects in the project's bucket, and messages on the result queue."""

    def __init__(self, s3: S3Client, sqs: SQSClient, bucket: str, queue_url: str) -> None:
        self._s3 = s3
        self._sqs = sqs
        self._bucket = bucket
        self._queue_url = queue_url

    def location(self, job_id: str) -> str:
        """The S3 prefix of a job's files."""
        return f"s3://{self._bucket}/{result_prefix(job_id)}"

    def find(self, job_id: str) -> Result | None:
        """The result that the job already has; None if it has none. Raises AWS's errors."""
        try:
            response = self._s3.get_object(Bucket=self._bucket, Key=result_key(job_id))
        except ClientError as error:
            if error_code(error) in {"NoSuchKey", "404"}:
                return None
            raise
        return Result.from_json(response["Body"].read())

    def store_files(self, job_id: str, files: Mapping[str, Path], log: JobLog) -> None:
        """Store a run's files. Raises AWS's errors."""
        all_done(*(background(self._store_file, job_id, name, path, log) for name, path in files.items()))

    def store(self, result: Result) -> Result:
        """Store a job's result, whose files are stored already; return the job's result. Raises AWS's errors.

        That is another one if the job has been done before: result.json is written once.
        """
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=result_key(result.job_id),
                Body=result.to_json().encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            # A conflict is another leader that is just storing its own (409), a failed precondition one that has. It
            # can also be this leader's own request, repeated because the answer to it was lost.
            if error_code(error) not in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
                raise
            earlier = self.find(result.job_id)
            if earlier is None:
                raise
            return earlier
        return result

    def announce(self, result: Result, directory: Path) -> None:
        """Tell whoever waits at the result queue. Raises AWS's errors."""
        if len(json.dumps(result.solver_output)) > _MAX_ANNOUNCED_BYTES:
            short = {key: result.solver_output[key] for key in ("return_code",) if key in result.solver_output}
            result = dataclasses.replace(result, solver_output=short)
        self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=result.announcement(str(directory)))

    def _store_file(self, job_id: str, name: str, path: Path, log: JobLog) -> None:
        """Store one of a run's files. One that can't be read is left out: it is not worth the job's result."""
        kind = "application/json" if name.endswith(".json") else "text/plain; charset=utf-8"
        key = result_prefix(job_id) + name
        try:
            with open_file(path) as file:
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=shortened(file) or file, ContentType=kind)
        except OSError as error:
            log.warning("%s is not stored: %s", path, error.strerror or error)
