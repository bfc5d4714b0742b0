"""The sample suite: 30 small problems of five families, 14 of them satisfiable, made here when they are wanted.

Kissat needs from 0.01 s to 20 s for each, 40 s for all. What is right is known for every one, and how: each formula's
`known` says it.
"""

from __future__ import annotations

import csv
import lzma
from functools import partial
from typing import TYPE_CHECKING

from .families import mycielski_colouring, pigeonhole, planted_colouring, ramsey, random_3sat
from .formulas import factoring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .formulas import Formula

EXPECTED = "expected.csv"
"""The file beside the problems that says what is right: problem, verdict, and how it is known."""

_SOLVED = "solved by Kissat 4.0 and by CaDiCaL 1.5, whose answers agree"
_RANDOM = {
    150: {1: True, 2: False},
    200: {2: True, 5: False},
    250: {3: True, 2: False, 5: False},
    300: {4: True, 5: False},
}
"""Variables, seeds, and whether such a formula is satisfiable."""
_FACTORED = (1071514531, 68715282487, 100000007, 1000000007, 10000000019)


def _makers() -> Iterator[Callable[[], Formula]]:
    for variables, seeds in _RANDOM.items():
        for seed, satisfiable in seeds.items():
            yield partial(random_3sat, variables, seed, satisfiable=satisfiable, known=_SOLVED)
    for pigeons, holes in ((7, 6), (9, 8), (10, 9), (11, 10), (12, 12), (50, 50)):
        yield partial(pigeonhole, pigeons, holes)
    for red, blue, vertices in ((3, 3, 6), (3, 4, 8), (3, 4, 9), (3, 5, 13), (4, 4, 17)):
        yield partial(ramsey, red, blue, vertices)
    for order, colours in ((4, 3), (5, 4), (7, 7)):
        yield partial(mycielski_colouring, order, colours)
    yield partial(planted_colouring, 500, 1150, colours=3, seed=1)
    yield partial(planted_colouring, 200, 860, colours=4, seed=1)
    for number in _FACTORED:
        yield partial(factoring, number)


def formulas(limit: int | None = None) -> Iterator[Formula]:
    """The problems, one after the other; with `limit`, so many that all families are among them."""
    makers = list(_makers())
    step = max(len(makers) / limit, 1) if limit else 1
    for place in range(min(limit or len(makers), len(makers))):
        yield makers[int(place * step)]()


def write(directory: Path, limit: int | None = None) -> int:
    """Write the problems into a directory, every third one compressed, and beside them EXPECTED. Returns how many.

    What is written is the same, byte by byte, each time.
    """
    directory.mkdir(parents=True, exist_ok=True)
    number = 0
    with (directory / EXPECTED).open("w", newline="") as file:
        expected = csv.writer(file, lineterminator="\n")
        expected.writerow(("problem", "verdict", "known"))
        for number, formula in enumerate(formulas(limit), start=1):
            text = formula.dimacs().encode()
            compressed = number % 3 == 0
            name = f"{formula.name}.xz" if compressed else formula.name
            (directory / name).write_bytes(lzma.compress(text) if compressed else text)
            expected.writerow((name, formula.verdict, formula.known))
    return number
