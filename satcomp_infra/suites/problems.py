"""Collecting the problems of a suite, and putting those that are files here into the bucket, each content once."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SatcompError, UsageError
from ..jobs import S3Uri
from ..node.decompress import split_name
from ..units import count
from .records import Problem

if TYPE_CHECKING:
    from ..aws import Aws
    from ..progress import Wait

PREFIX = "problems/"
"""Of the keys of uploaded problems; the rest is the content's SHA-256 and the file's suffixes."""
FORMATS = (".cnf", ".smt2")
LIST = ".uri"
_WHAT = "A problem is a .cnf or .smt2 file, compressed (.gz, .bz2, .xz, .zst) or not."
_CONCURRENT = 16
_LARGEST = 5 * 1024**3
"""Bytes that one upload may have (S3 user guide, "Uploading objects")."""


@dataclass(frozen=True)
class Source:
    """A problem as it was found: a file here, or an object in S3. No other has its `name`.

    `short` is the name that it has in `folder`, the directory here in which it was found.
    """

    name: str
    where: Path | S3Uri
    short: str = ""
    folder: Path | None = None


def is_problem(name: str) -> bool:
    """Whether a name is that of a problem."""
    return Path(split_name(name)[0]).suffix.lower() in FORMATS


def content_of(location: str) -> str:
    """What stands for a problem's content, by its location; empty where it was not uploaded under its hash."""
    match = re.search(rf"/{PREFIX}([0-9a-f]{{64}})\.", location)
    return match[1] if match else ""


def collect(words: Sequence[str], objects: ObjectLister) -> list[Source]:
    """All problems that the words name: files, directories, `s3://` prefixes, and lists of any of these, by order.

    Each is there once, under a name that no other has. `objects` lists the keys of a bucket that begin with a prefix.
    Raises UsageError for a word that names none.
    """
    found: dict[str, Source] = {}
    for word in words:
        for source in _expand(word, Path(), objects, ()):
            found.setdefault(str(source.where), source)
    return _named(list(found.values()))


class ObjectLister:
    """Lists objects in S3: what `collect` needs of AWS."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def __call__(self, uri: S3Uri) -> Iterator[tuple[str, int]]:
        """Keys and sizes of the objects whose key begins with the URI's. Raises AWS's errors."""
        pages = self._aws.s3.get_paginator("list_objects_v2").paginate(Bucket=uri.bucket, Prefix=uri.key)
        for page in pages:
            for entry in page.get("Contents", ()):
                yield entry["Key"], entry["Size"]


def _expand(word: str, base: Path, objects: ObjectLister, lists: tuple[Path, ...]) -> Iterator[Source]:
    """The problems that a word names, with the names that they have below it."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", word):
        yield from _in_s3(word, objects)
        return
    path = base / word
    if path.is_dir():
        inside = sorted(
            Path(directory, name) for directory, _, names in os.walk(path, followlinks=True) for name in names
        )
        problems = [file for file in inside if is_problem(file.name)]
        if not problems:
            raise UsageError(f"There is no problem in {path}.", _WHAT)
        yield from (_file(str(file.relative_to(path)), path) for file in problems)
    elif not path.exists():
        raise UsageError(f"There is no file or directory {path}{_from(lists)}.", _WHAT)
    elif path.suffix.lower() == LIST:
        yield from _in_list(path, objects, lists)
    elif is_problem(path.name):
        yield _file(path.name, path.parent)
    else:
        raise UsageError(f"{path} is no problem{_from(lists)}.", f"{_WHAT} A list of problems ends in {LIST}.")


def _file(name: str, folder: Path) -> Source:
    return Source(name, (folder / name).resolve(), name, folder)


def _in_s3(word: str, objects: ObjectLister) -> Iterator[Source]:
    if not word.lower().startswith("s3://"):
        raise UsageError(
            f"'{word}' can't be fetched: only files and S3 locations can.", "Download it first, and name the file."
        )
    uri = S3Uri.parse(word if "/" in word[5:].rstrip("/") or is_problem(word) else f"{word.rstrip('/')}/.")
    if uri.key == ".":  # all of the bucket
        uri = S3Uri(uri.bucket, "")
    keys = [key for key, _ in objects(uri) if is_problem(key)]
    if not keys:
        raise UsageError(f"There is no problem at {word}.", f"{_WHAT} See what there is:\naws s3 ls {word}")
    if uri.key in keys:
        keys = [uri.key]
    folder = uri.key[: uri.key.rfind("/") + 1]
    yield from (Source(key.removeprefix(folder), S3Uri(uri.bucket, key)) for key in keys)


def _in_list(path: Path, objects: ObjectLister, lists: tuple[Path, ...]) -> Iterator[Source]:
    if path.resolve() in lists:
        raise UsageError(f"The list {path} names itself{_from(lists)}.")
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
    words = [line for line in lines if line and not line.startswith("#")]
    if not words:
        raise UsageError(f"The list {path} is empty.")
    for word in words:
        yield from _expand(word, path.parent, objects, (*lists, path.resolve()))


def _from(lists: tuple[Path, ...]) -> str:
    return f", which list {lists[-1]} names" if lists else ""


def _named(found: list[Source]) -> list[Source]:
    """The problems with names that tell them apart: where two have the same, with as many folders as it needs."""
    taken = Counter(source.name for source in found)
    used = {name for name, number in taken.items() if number == 1}
    sources = []
    for source in found:
        name = source.name
        if taken[name] > 1:
            name = next(name for name in _longer_names(source) if name not in used)
            used.add(name)
        sources.append(replace(source, name=name))
    return sources


def _longer_names(source: Source) -> Iterator[str]:
    """What to call a problem whose name another has: with more and more folders, then with a number."""
    where = source.where
    parts = where.parts if isinstance(where, Path) else (where.bucket, *where.key.split("/"))
    for length in range(min(source.name.count("/") + 2, len(parts)), len(parts) + 1):
        yield "/".join(parts[-length:])
    yield from (f"{'/'.join(parts)} ({number})" for number in itertools.count(2))


@dataclass(frozen=True)
class Upload:
    """What came of an upload: the problems with their locations, and how many files were sent, with their bytes."""

    problems: list[Problem]
    files: int
    size: int


def upload(aws: Aws, bucket: str, sources: Sequence[Source], expected: Mapping[str, str], wait: Wait) -> Upload:
    """Bring all problems into S3: those that are files here, unless the bucket has that content already.

    Several files are read, and sent, at a time. Raises SatcompError for one that is empty, too large, or changes.
    """
    local = [source.where for source in sources if isinstance(source.where, Path)]
    digests: dict[Path, str] = {}
    there: dict[str, int] = {}
    if local:
        there = dict(ObjectLister(aws)(S3Uri(bucket, PREFIX)))
        with ThreadPoolExecutor(min(_CONCURRENT, (os.cpu_count() or 1) * 2)) as pool:
            for done, (path, digest) in enumerate(zip(local, pool.map(_digest, local), strict=True), start=1):
                digests[path] = digest
                wait.draw(f"Reading problems: {done} of {len(local)}", done)
    keys = {path: f"{PREFIX}{digest}{_suffixes(path)}" for path, digest in digests.items()}
    new = {key: path for path, key in keys.items() if there.get(key) != path.stat().st_size}
    with ThreadPoolExecutor(_CONCURRENT) as pool:
        sent = 0
        for done, size in enumerate(
            pool.map(lambda key: _put(aws, bucket, key, new[key], digests[new[key]]), new), start=1
        ):
            sent += size
            wait.draw(f"Uploading: {done} of {count(len(new), 'problem')}, {sent / 1e6:.0f} MB", done)
    problems = []
    for source in sources:
        location = source.where if isinstance(source.where, S3Uri) else S3Uri(bucket, keys[source.where])
        problems.append(Problem(source.name, str(location), expected.get(source.name, "")))
    return Upload(problems, len(new), sent)


def _digest(path: Path) -> str:
    size = path.stat().st_size
    if not size:
        raise SatcompError(f"{path} is empty.", "Remove it from the suite, or get it again.")
    if size > _LARGEST:
        raise SatcompError(f"{path} has {size / 1024**3:.1f} GiB: more than 5 GiB can't be uploaded.", "Compress it.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(aws: Aws, bucket: str, key: str, path: Path, digest: str) -> int:
    from botocore.exceptions import ClientError

    from ..aws import error_code

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


def shown(upload: Upload) -> str:
    """What was uploaded, in a sentence."""
    if not upload.files:
        return "All problems are in the bucket already: nothing was uploaded."
    return f"Uploaded {count(upload.files, 'problem')} ({upload.size / 1e6:.1f} MB)."
