"""Collecting the problems of a suite: files, directories, what is in S3, and lists of these."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..jobs import S3Uri
from ..node.decompress import split_name
from .records import plain

if TYPE_CHECKING:
    from ..aws import Aws

FORMATS = (".cnf", ".smt2")
LIST = ".uri"
_WHAT = "A problem is a .cnf or .smt2 file, compressed (.gz, .bz2, .xz, .zst) or not."


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
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    words = [line for line in lines if line and not line.startswith("#")]
    if not words:
        raise UsageError(f"The list {path} is empty.")
    for word in words:
        yield from _expand(word, path.parent, objects, (*lists, path.resolve()))


def _from(lists: tuple[Path, ...]) -> str:
    return f", which list {lists[-1]} names" if lists else ""


def _named(found: list[Source]) -> list[Source]:
    """The problems with names that tell them apart: where two have the same, with as many folders as it needs."""
    found = [replace(source, name=plain(source.name)) for source in found]
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
        yield plain("/".join(parts[-length:]))
    yield from (f"{plain('/'.join(parts))} ({number})" for number in itertools.count(2))
