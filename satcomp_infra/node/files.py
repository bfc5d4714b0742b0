"""Files that the team's programs write, which may be anything and of any size, read without harm to the node."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PIECE_BYTES = 64 * 1024
"""What is made of a piece fits into a processor's cache: larger pieces are slower."""
MAX_FILE_BYTES = 256 * 1024 * 1024
"""Of a file that is kept. A model of twenty-five million variables fits; of a larger file the two ends are kept."""


GAP = re.compile(rb"\[\d+ bytes left out here\]\r?")
"""A line that `gap` has made, without its end."""


def open_file(path: Path) -> BinaryIO:
    """Open a file to be read. Raises OSError for what is none: a link, a pipe that nobody writes into, a device."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError as error:  # a null byte, or what no file system can encode
        raise OSError(errno.EINVAL, str(error)) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is not a file")
    return os.fdopen(number, "rb")


def locate(directory: Path, name: str) -> Path:
    """The file of this name, links followed, in or under a directory, which itself must not be a link.

    Raises OSError for what lies elsewhere, is no file, or can't be read.
    """
    base = Path(os.path.realpath(directory.parent), directory.name)
    try:
        path = Path(os.path.realpath(base / name))
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from error
    if not path.is_relative_to(base):
        raise OSError(errno.EPERM, "it lies outside of the job's directory")
    open_file(path).close()
    return path


def gap(count: int) -> bytes:
    """The line that stands for so many bytes."""
    return f"\n[{count} bytes left out here]\n".encode()


def shortened(file: BinaryIO, limit: int = MAX_FILE_BYTES) -> bytes | None:
    """The first and the last half of `limit` bytes with a line between that says so; None if the file is no larger."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size <= limit:
        return None
    half = limit // 2
    first = file.read(half)
    file.seek(-half, os.SEEK_END)
    return first + gap(size - 2 * half) + file.read(half)


def pieces(file: BinaryIO, end: int | None = None) -> Iterator[bytes]:
    """The text from here to `end` (the start of a line; None: the end of the file), in pieces that end with a line.

    In a line that is longer than a piece, they end between two words; where the line begins with a letter, as in `c`
    and `v` lines, each of its later pieces begins with it, too, indented alike.
    """
    begun = b""
    left = os.fstat(file.fileno()).st_size - file.tell() if end is None else end - file.tell()
    while left > 0 and (read := file.read(min(left, _PIECE_BYTES))):
        left -= len(read)
        rest = file.readline(min(left, _PIECE_BYTES)) if left > 0 and not read.endswith(b"\n") else b""
        left -= len(rest)
        text, begun = begun + read + rest, b""
        if left > 0 and not text.endswith(b"\n"):
            line = text.rfind(b"\n") + 1
            word = max(text.rfind(b" ", line), text.rfind(b"\t", line)) + 1 or len(text)
            first = text[line:].lstrip(b" \t")[:1]
            again = text[line : text.index(first, line)] + first + b" " if first.isalpha() else b""
            text, begun = text[:word], again + text[word:]
        yield text
    if begun:
        yield begun
