"""The model that a solver prints: the literals on the `v` lines of its stdout."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from operator import neg
from typing import BinaryIO

from .files import GAP, pieces

TRUE, END = 1, 10
"""What stands in an assignment for a true literal, and for the 0 that ends a clause."""
_LARGEST = 2**31 - 1
_LARGEST_CHECKED = 10**9 - 1
_BLANK = {b"", b" ", b"\t", b"\r"}


class CheckError(Exception):
    """The model can't be checked; the message says why."""


@dataclass
class Model:
    """A model as it was printed: its literals up to the first 0.

    `ended`: there was that 0. `several`: something comes after it. `shortened`: some of the output was not kept, so
    that literals may be missing.
    """

    literals: array[int] = field(default_factory=lambda: array("i"))
    ended: bool = False
    several: bool = False
    shortened: bool = False

    @classmethod
    def read(cls, file: BinaryIO) -> Model | None:
        """Find it in a solver's output; None where there is no `v` line. Raises CheckError for what is no model."""
        model, found = cls(), False
        for line, whole in _value_lines(file, model):
            found = True
            words = line.split()
            if not whole:  # the last word was perhaps cut in two by what is left out
                words = words[:-1]
            try:
                literals = array("i", map(int, words))
            except (ValueError, OverflowError):
                literals = None
            if literals is None or b"_" in line:
                word = next(filter(_is_no_literal, words), b"")
                raise CheckError(f"its v lines hold '{word[:40].decode(errors='replace')}', which is no literal")
            model.add(literals)
        return model if found else None

    def add(self, literals: array[int]) -> None:
        """Add the next literals, a 0 perhaps among them."""
        if self.ended:
            self.several = self.several or bool(literals)
            return
        if 0 in literals:
            end = literals.index(0)
            self.ended = True
            self.several = end + 1 < len(literals)
            del literals[end:]
        self.literals += literals

    @property
    def largest(self) -> int:
        """The largest of its variables; 0 if there is none."""
        return max(map(abs, self.literals), default=0)

    def contradiction(self, assignment: Assignment) -> int | None:
        """A variable that this model, whose assignment this is, makes both true and false."""
        if not any(map(assignment.values.__getitem__, map(neg, self.literals))):
            return None
        return next(abs(literal) for literal in self.literals if assignment.values[-literal])


class Assignment:
    """What is true: `values[literal]` is TRUE or 0, also for negative literals, which count from the end.

    `values[0]` is END. Any literal of at most `digits` digits may be looked up: the numbers between the two ends are
    of no variable of the model's. They take up addresses, but no memory.
    """

    def __init__(self, model: Model) -> None:
        """Raises CheckError where the model's variables are too many, and OSError."""
        if model.largest > _LARGEST_CHECKED:
            raise CheckError(f"it holds {model.largest}, and models of up to {_LARGEST_CHECKED} variables are checked")
        self.digits = len(str(model.largest))
        self.limit = 10**self.digits
        """A literal that is not true, as is its negation."""
        # Not a bytearray, all of which is written when it is made.
        self.values = mmap(-1, 2 * self.limit + 1, MAP_PRIVATE | MAP_ANONYMOUS)
        for literal in model.literals:
            self.values[literal] = TRUE
        self.values[0] = END


def _value_lines(file: BinaryIO, model: Model) -> Iterator[tuple[bytes, bool]]:
    """What stands on each `v` line, and whether the line is whole; sets the model's `shortened`."""
    last: bytes | None = None
    for piece in pieces(file):
        for line in piece.split(b"\n"):
            if line.startswith(b"v") and line[1:2] in _BLANK:
                if last is not None:
                    yield last, True
                last = line[1:]
            elif line.startswith(b"[") and GAP.fullmatch(line):
                model.shortened = True
                if last is not None:
                    yield last, False
                last = None
    if last is not None:
        yield last, True


def _is_no_literal(word: bytes) -> bool:
    return not re.fullmatch(rb"[+-]?\d{1,20}", word) or abs(int(word)) > _LARGEST
