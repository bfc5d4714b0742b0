"""Bringing the problems that are files here into the bucket, each content once.

Where a file will be is known before it is there: its content says it. So what a run costs can be told, and refused,
before a byte is sent.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SatcompError
from ..jobs import S3Uri
from ..node.decompress import split_name
from ..units import count
from .problems import ObjectLister
from .records import Problem

if TYPE_CHECKING:
    from ..aws import Aws
    from ..progress import Wait
    from .problems import Source

PREFIX = "problems/"
"""Of the keys of uploaded problems; the rest is the content's SHA-256 and the file's suffixes."""
_CONCURRENT = 16
_LARGEST = 5 * 1024**3
"""Bytes that one upload may have (S3 user guide, "Uploading objects")."""


def content_of(location: str) -> str:
    """What stands for a problem's content, by its location; empty where it was not uploaded under its hash."""
    match = re.search(rf"/{PREFIX}([0-9a-f]{{64}})\.", location)
    return match[1] if match else ""


@dataclass(frozen=True)
class Located:
    """Problems with the locations that they have, or will have when these `files` are in the bucket, by their keys."""

    problems: list[Problem]
    files: dict[str, Path]


def locate(bucket: str, sources: Sequence[Source], expected: Mapping[str, str], wait: Wait) -> Located:
    """Where all problems are in S3, or will be. `expected` has what is right of them, by name.

    Several files are read at a time. Raises SatcompError for one that is empty or too large.
    """
    local = [source.where for source in sources if isinstance(source.where, Path)]
    keys: dict[Path, str] = {}
    with ThreadPoolExecutor(min(_CONCURRENT, (os.cpu_count() or 1) * 2)) as pool:
        for done, (path, digest) in enumerate(zip(local, pool.map(_digest, local), strict=True), start=1):
            keys[path] = f"{PREFIX}{digest}{_suffixes(path)}"
            wait.draw(f"Reading problems: {done} of {len(local)}", done)
    problems = []
    for source in sources:
        location = source.where if isinstance(source.where, S3Uri) else S3Uri(bucket, keys[source.where])
        problems.append(Problem(source.name, str(location), expected.get(source.name, "")))
    return Located(problems, {key: path for path, key in keys.items()})


@dataclass(frozen=True)
class Upload:
    """What came of an upload: how many files were sent, with their bytes."""

    files: int
    size: int

    def __str__(self) -> str:
        if not self.files:
            return "All problems are in the bucket already: nothing was uploaded."
        return f"Uploaded {count(self.files, 'problem')} ({self.size / 1e6:.1f} MB)."


def upload(aws: Aws, bucket: str, files: Mapping[str, Path], wait: Wait) -> Upload:
    """Bring files into the bucket, by their keys, unless it has them already.

    Several are sent at a time. Raises SatcompError for one that has changed.
    """
    there = dict(ObjectLister(aws)(S3Uri(bucket, PREFIX))) if files else {}
    new = {key: path for key, path in files.items() if there.get(key) != path.stat().st_size}
    sent = 0
    with ThreadPoolExecutor(_CONCURRENT) as pool:
        for done, size in enumerate(pool.map(lambda key: _put(aws, bucket, key, new[key]), new), start=1):
            sent += size
            wait.draw(f"Uploading: {done} of {count(len(new), 'problem')}, {sent / 1e6:.0f} MB", done)
    return Upload(len(new), sent)


def _digest(path: Path) -> str:
    size = path.stat().st_size
    if not size:
        raise SatcompError(f"{path} is empty.", "Remove it from the suite, or get it again.")
    if size > _LARGEST:
        raise SatcompError(f"{path} has {size / 1024**3:.1f} GiB: more than 5 GiB can't be uploaded.", "Compress it.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(aws: Aws, bucket: str, key: str, path: Path) -> int:
    from botocore.exceptions import ClientError

    from ..aws import error_code

    digest = key.removeprefix(PREFIX).partition(".")[0]
    checksum = base64.b64encode(bytes.fromhex(digest)).decode()
    with path.open("rb") as file:
        try:  # S3 compares the checksum with what it gets: the key never lies about the content
            aws.s3.put_object(Bucket=bucket, Key=key, Body=file, ChecksumSHA256=checksum)
        except ClientError as error:
            if error_code(error) in ("BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"):
                raise SatcompError(f"{path} has changed while it was uploaded.", "Type the command again.") from error
            raise
        return file.tell()


def _suffixes(path: Path) -> str:
    name, compression = split_name(path.name)
    return f"{Path(name).suffix.lower()}{compression}"
