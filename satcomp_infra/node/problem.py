"""Fetching a job's problem from S3 into its directory, decompressed."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, FlexibleChecksumError, HTTPClientError, IncompleteReadError

from ..jobs import S3Uri
from .aws import error_code, http_status, is_about_credentials, is_outage
from .decompress import decompressed, split_name
from .failure import JobError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PIECE_BYTES = 128 * 1024
_RESUMPTIONS = 5
_WRITE_BUFFER_BYTES = 1024 * 1024
"""A file system on the network wants few large writes."""
_CHANGED = {"PreconditionFailed", "412", "InvalidRange", "416"}
"""While it was downloaded, the problem has become another one."""
_LANGUAGES = {".cnf": "DIMACS", ".smt2": "SMTLIB2"}


def problem_file(problem: S3Uri) -> str:
    """The name that the solver sees: `problem`, with the suffix of the original's name, or `.cnf` if it has none."""
    suffix = Path(split_name(problem.name)[0]).suffix
    return f"problem{suffix if re.fullmatch(r'[.][A-Za-z][A-Za-z0-9]{0,9}', suffix) else '.cnf'}"


def formula_language(problem: S3Uri) -> str:
    """The language that the suffix stands for; empty if it stands for none."""
    return _LANGUAGES.get(Path(problem_file(problem)).suffix.lower(), "")


def fetch(s3: S3Client, problem: S3Uri, directory: Path, check: Callable[[], None]) -> Path:
    """Download the problem into the directory, decompressing it on the way; return the file's path.

    `check` is called for each piece, and may raise to break it off. Raises JobError where the problem isn't there,
    can't be read, or is damaged; AWS's errors where it might work another time.
    """
    path = directory / problem_file(problem)
    _, suffix = split_name(problem.name)
    try:
        with path.open("wb", buffering=_WRITE_BUFFER_BYTES) as file:
            for piece in decompressed(_pieces(s3, problem, check), suffix, str(problem)):
                file.write(piece)
            if not file.tell():
                raise JobError(f"The problem {problem} is empty.", "Upload it, or correct the location in the message.")
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise JobError(
            f"The problem {problem} can't be stored in {directory}: {error.strerror}.",
            "Decompressed, it is larger than what the node's disk has left.",
        ) from error
    return path


def _pieces(s3: S3Client, problem: S3Uri, check: Callable[[], None]) -> Iterator[bytes]:
    """The object's data. Where a connection breaks, the next goes on from there: botocore retries no half-read body."""
    position = 0
    version = ""
    failures = 0
    while True:
        try:
            if position:
                response = s3.get_object(
                    Bucket=problem.bucket, Key=problem.key, Range=f"bytes={position}-", IfMatch=version
                )
            else:
                response = s3.get_object(Bucket=problem.bucket, Key=problem.key)
        except ClientError as error:
            raise (_for_good(error, problem) or error) from None
        version = response["ETag"]
        try:
            # Not the body's own context manager: that one reads past botocore's checks of length and checksum.
            with closing(response["Body"]) as body:
                while piece := body.read(PIECE_BYTES):
                    check()
                    position += len(piece)
                    yield piece
        except FlexibleChecksumError:  # what was received is not what is stored
            raise
        except (HTTPClientError, IncompleteReadError):
            failures += 1
            if failures > _RESUMPTIONS:
                raise
        else:
            return


def _for_good(error: ClientError, problem: S3Uri) -> JobError | None:
    """What S3's answer means for the job; None where another attempt may get another answer."""
    code, message = error_code(error), error.response.get("Error", {}).get("Message", "")
    if code in {"NoSuchKey", "404"}:
        return JobError(f"The problem {problem} does not exist.", "Upload it, or correct the location in the message.")
    if code == "NoSuchBucket":
        return JobError(f"The bucket of the problem {problem} does not exist.", "Correct the location in the message.")
    if code in {"AccessDenied", "403", "AllAccessDisabled"}:
        return JobError(
            f"S3 doesn't let this node read the problem {problem} ({code}: {message}).",
            "Nodes read the project's own bucket and public ones. S3 says the same of a problem that does not exist "
            "in a bucket whose contents may not be listed.",
        )
    refused = HTTPStatus.MULTIPLE_CHOICES <= http_status(error) < HTTPStatus.INTERNAL_SERVER_ERROR
    if not refused or is_outage(error) or is_about_credentials(error) or code in _CHANGED:
        return None
    return JobError(f"S3 can't hand out the problem {problem} ({code}: {message}).")
