"""Storing and announcing how a job ended.

A job may be run twice at a time, by a leader that stood still and the one that has got its message meanwhile. So that
no result has another run's files, a prefix is one run's for good: `results/{job id}/`, where result.json lies, is that
of the first run that comes to storing its files and writes `run.json` there, which can be written once. Another one,
after that leader has died for example, has `results/{job id}/runs/{run}/`. A result's `files` names its run's.
"""

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

    def find(self, job_id: str) -> Result | None:
        """The result that the job already has; None if it has none. Raises AWS's errors."""
        text = self._read(result_key(job_id))
        return None if text is None else Result.from_json(text)

    def store_files(self, job_id: str, run: str, files: Mapping[str, Path], log: JobLog) -> str:
        """Store a run's files; return their S3 prefix, under which no other run stores any. Raises AWS's errors.

        `run` is the run's own name. May be repeated.
        """
        prefix = result_prefix(job_id)
        if not self._is_first(f"{prefix}run.json", run):
            prefix += f"runs/{run}/"
        all_done(*(background(self._store_file, prefix + name, path, log) for name, path in files.items()))
        return f"s3://{self._bucket}/{prefix}"

    def store(self, result: Result) -> Result:
        """Store a job's result, whose files are stored already; return the job's result. Raises AWS's errors.

        That is another one if the job has been done before: result.json is written once.
        """
        if conflict := self._write_once(result_key(result.job_id), result.to_json()):
            earlier = self.find(result.job_id)
            if earlier is None:
                raise conflict
            return earlier
        return result

    def announce(self, result: Result, directory: Path) -> None:
        """Tell whoever waits at the result queue. Raises AWS's errors."""
        if len(json.dumps(result.solver_output)) > _MAX_ANNOUNCED_BYTES:
            short = {key: result.solver_output[key] for key in ("return_code",) if key in result.solver_output}
            result = dataclasses.replace(result, solver_output=short)
        self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=result.announcement(str(directory)))

    def _is_first(self, key: str, run: str) -> bool:
        """Whether this run is the first to write its name there."""
        name = json.dumps({"run": run})
        return not self._write_once(key, name) or self._read(key) == name.encode()

    def _write_once(self, key: str, text: str) -> ClientError | None:
        """Write a JSON object where there is none; return S3's refusal if there is one. Raises AWS's other errors.

        A conflict is another leader that is just writing (409), a failed precondition one that has. It can also be
        this leader's own request, repeated because the answer to it was lost.
        """
        try:
            self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=text.encode(), ContentType="application/json", IfNoneMatch="*"
            )
        except ClientError as error:
            if error_code(error) not in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
                raise
            return error
        return None

    def _read(self, key: str) -> bytes | None:
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error_code(error) in {"NoSuchKey", "404"}:
                return None
            raise

    def _store_file(self, key: str, path: Path, log: JobLog) -> None:
        """Store one of a run's files. One that can't be read is left out: it is not worth the job's result."""
        kind = "application/json" if key.endswith(".json") else "text/plain; charset=utf-8"
        try:
            with open_file(path) as file:
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=shortened(file) or file, ContentType=kind)
        except OSError as error:
            log.warning("%s is not stored: %s", path, error.strerror or error)
