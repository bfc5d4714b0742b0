"""Walking through a formula in DIMACS CNF, and finding the first clause that an assignment does not satisfy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import cast

from .files import open_file, pieces
from .model import END, TRUE, Assignment, CheckError

SHOWN_LITERALS = 20
"""How many of a clause's literals are of interest."""
_PLAIN = b"0123456789- \n"
_COMMAS = bytes.maketrans(b" \n", b",,")
_ONE_DIGIT = bytes.maketrans(b"123456789", b"0" * 9)
_COMMENT = re.compile(rb"^[ \t]*c.*$", re.MULTILINE)
_HEADER = re.compile(rb"^[ \t]*p[ \t]+cnf[ \t]+(\d{1,18})[ \t]+\d{1,18}[ \t\r]*$", re.MULTILINE)
_TRAILER = re.compile(rb"^[ \t]*%", re.MULTILINE)
_NUMBER = re.compile(rb"[+-]?\d{1,1000}")
_END, _TRUE = bytes([END]), bytes([TRUE])


@dataclass(frozen=True)
class Unsatisfied:
    """A clause without a true literal: its number, counted from 1, and its literals, where they are at hand."""

    number: int
    literals: tuple[int, ...] = ()


@dataclass
class Walk:
    """What there is in a stretch of a formula: `ends` clauses end in it.

    `first` says whether the one of them that ends first, and may have begun earlier, has a true literal in here, and
    `first_literals` what it has in here. `unsatisfied` is the first of the others that has none; its number counts from
    this stretch's first end. `open` says whether there are literals after the last end, `last` whether a true one is
    among them. `finished`: the formula ends here, whatever follows. `variables` is the header's number, 0 without one.
    """

    ends: int = 0
    first: bool = False
    first_literals: tuple[int, ...] = ()
    unsatisfied: Unsatisfied | None = None
    open: bool = False
    last: bool = False
    finished: bool = False
    variables: int = 0


def walk(formula: Path, stretch: tuple[int, int], assignment: Assignment) -> Walk:
    """Look at the clauses of a stretch of the file. Raises CheckError where that is not DIMACS CNF, and OSError.

    All of the loops over literals are the interpreter's own, which makes it several times as fast as one in Python.
    A piece of the formula becomes a string with a character for each of its numbers: without those that stand for false
    literals, a clause that is not satisfied is an END behind an END.
    """
    found = Walk()
    state = _TRUE  # how the first clause began is not known here
    with open_file(formula) as file:
        file.seek(stretch[0])
        for piece in pieces(file, stretch[1]):
            numbers, keys = _numbers(piece, assignment, found)
            # Of a single number itemgetter makes no tuple: so it always gets two more.
            codes = bytes(itemgetter(*keys, 0, 0)(assignment.values))[:-2]
            if not found.ends:
                head = codes.partition(_END)[0]
                found.first = found.first or _TRUE in head
                found.first_literals = (*found.first_literals, *numbers[: len(head)])[: SHOWN_LITERALS + 1]
            text = state + codes.translate(None, b"\0")
            at = text.find(_END + _END)
            if at >= 0:
                number = text.count(_END, 0, at + 1) - (state == _END) + 1  # in this piece
                begins_here = number > 1 or not found.open
                literals = _clause(numbers, number) if begins_here else ()
                found.ends += number
                found.unsatisfied = Unsatisfied(found.ends, literals)
                break
            if codes:
                found.ends += codes.count(_END)
                found.open = codes[-1] != END
                state = text[-1:]
                found.last = state == _TRUE if found.ends else found.first
            if found.finished:
                break
    return found


def first_unsatisfied(walks: Iterable[Walk]) -> tuple[Unsatisfied | None, Walk]:
    """Put together the stretches that follow each other: the first unsatisfied clause of all, and all as one walk."""
    whole = Walk()
    for part in walks:
        whole.variables = whole.variables or part.variables
        if part.ends:
            if not (whole.last or part.first):
                return Unsatisfied(whole.ends + 1, () if whole.open else part.first_literals), whole
            if part.unsatisfied:
                return Unsatisfied(whole.ends + part.unsatisfied.number, part.unsatisfied.literals), whole
            whole.ends += part.ends
            whole.open, whole.last = part.open, part.last
        else:
            whole.open, whole.last = whole.open or part.open, whole.last or part.last
        if part.finished:
            break
    if whole.open and not whole.last:  # a last clause without its 0
        return Unsatisfied(whole.ends + 1), whole
    return None, whole


def stretches(formula: Path, count: int) -> list[tuple[int, int]]:
    """Cut the file into so many stretches, or fewer, of whole lines, by their first and their end's position."""
    with open_file(formula) as file:
        size = file.seek(0, 2)
        cuts = {0, size}
        for number in range(1, count):
            file.seek(size * number // count)
            file.readline()
            cuts.add(file.tell())
    return list(pairwise(sorted(cuts)))


def _numbers(piece: bytes, assignment: Assignment, found: Walk) -> tuple[Sequence[int], Sequence[int]]:
    """A piece's literals and zeros, and what to look up for each. Notes in `found` what else it holds."""
    # A number with more digits than any of the model's variables could be mistaken for another one's negation.
    if b"0" * (assignment.digits + 1) not in piece.translate(_ONE_DIGIT) and not piece.translate(None, _PLAIN):
        try:
            plain = _parsed(piece)
        except ValueError:
            pass
        else:
            return plain, plain
    if trailer := _TRAILER.search(piece):  # of SATLIB's uniform random formulas, which have a 0 behind it
        piece = piece[: trailer.start()]
        found.finished = True
    piece = _COMMENT.sub(b"", piece)
    if header := _HEADER.search(piece):
        found.variables = int(header[1])
        piece = piece[: header.start()] + piece[header.end() :]
    words = piece.split()
    for word in words:
        if not _NUMBER.fullmatch(word):
            raise CheckError(f"the formula holds '{word[:40].decode(errors='replace')}', which is not DIMACS CNF")
    numbers, limit = tuple(map(int, words)), assignment.limit
    return numbers, tuple(number if -limit < number < limit else limit for number in numbers)


def _parsed(piece: bytes) -> Sequence[int]:
    """The numbers in a text of digits, signs, blanks and line ends. Raises ValueError."""
    with suppress(ValueError):  # it is one where there is more than a blank or a line end between two numbers
        # Nothing in the standard library reads numbers as fast as the JSON scanner does.
        return cast("list[int]", json.loads(f"[{piece.translate(_COMMAS).decode('ascii').rstrip(',')}]"))
    return tuple(map(int, piece.split()))


def _clause(numbers: Sequence[int], number: int) -> tuple[int, ...]:
    """The literals of the clause that ends as the piece's so-and-so-manieth."""
    start = 0
    for _ in range(number - 1):
        start = numbers.index(0, start) + 1
    return tuple(numbers[start : numbers.index(0, start)][: SHOWN_LITERALS + 1])
