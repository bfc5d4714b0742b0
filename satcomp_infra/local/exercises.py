"""The problems of the acceptance test, whose right answers are known: from easy to too large for the memory."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..suites.formulas import Formula, factoring
from .walkthrough import Problem

_SATISFIABLE, _UNSATISFIABLE = 1071514531, 100000007
_HARD = 17592186044399
"""A prime of 44 bits: to exclude all factors takes the best of solvers hours, not seconds."""
_BLOCK = 50_000
_BYTES_PER_CLAUSE = 24
"""What a solver needs at least for a clause of three literals, its two watches not counted."""
_MIB = 1 << 20


@dataclass(frozen=True)
class Exercise:
    """A problem with the verdicts that are right for it. `answer` is the true one, empty where it has none."""

    title: str
    problem: Problem
    expected: tuple[str, ...]
    answer: str = ""
    hard: bool = False
    clauses: tuple[tuple[int, ...], ...] = ()

    def wrong(self, verdict: str) -> str:
        """Why that verdict can't be, as a sentence."""
        return (
            f"it is {self.answer}, not {verdict}." if self.answer else f"it is no formula at all, so never {verdict}."
        )

    def model_fault(self, output: str) -> str:
        """What is wrong with the model in a solver's output, as a sentence; empty where nothing is."""
        words = [word for line in output.splitlines() if line.startswith("v ") for word in line.split()[1:]]
        if not words:
            return "Its output has no model ('v' lines), which these tracks require of SAT."
        try:
            model = {int(word) for word in words}
        except ValueError:
            return "Its model ('v' lines) has something else than numbers in it."
        contradicting = next((literal for literal in model if literal and -literal in model), None)
        if contradicting:
            return f"Its model has variable {abs(contradicting)} both true and false."
        open_clause = next((clause for clause in self.clauses if not model.intersection(clause)), None)
        if open_clause:
            return f"Its model is wrong: it doesn't satisfy the clause {' '.join(map(str, open_clause))} 0."
        return ""


TITLES = ("satisfiable", "unsatisfiable", "too hard", "malformed", "memory-hungry")


def exercises(memory: int, titles: Collection[str] = TITLES) -> list[Exercise]:
    """Those of these titles; the last one is too large for `memory` MiB, the solver's container."""
    hungry, malformed = ("ERROR", "UNKNOWN", "TIMEOUT", "SAT"), b"p cnf 3 2\n1 -2 zebra 0\n"
    made: dict[str, Callable[[], Exercise]] = {
        "satisfiable": lambda: _of("satisfiable", factoring(_SATISFIABLE), "SAT"),
        "unsatisfiable": lambda: _of("unsatisfiable", factoring(_UNSATISFIABLE), "UNSAT"),
        "too hard": lambda: _of("too hard", factoring(_HARD), "TIMEOUT", "UNKNOWN", "UNSAT", hard=True),
        "malformed": lambda: Exercise("malformed", Problem("malformed.cnf", malformed, ""), ("ERROR", "UNKNOWN")),
        "memory-hungry": lambda: Exercise("memory-hungry", _large(memory), hungry, answer="SAT"),
    }
    return [make() for title, make in made.items() if title in titles]


def _of(title: str, formula: Formula, *expected: str, hard: bool = False) -> Exercise:
    answer = "SAT" if formula.satisfiable else "UNSAT"
    problem = Problem(formula.name, formula.dimacs().encode(), answer)
    return Exercise(title, problem, expected, answer, hard, formula.clauses)


def _large(memory: int) -> Problem:
    """A formula that needs more than so many MiB, and is satisfied by all variables being true."""
    clauses, variables = memory * _MIB // _BYTES_PER_CLAUSE, 3 * _BLOCK
    block = "".join(f"{n} -{n % variables + 7} -{(n * 7) % variables + 11} 0\n" for n in range(1, _BLOCK + 1)).encode()
    rounds = clauses // _BLOCK + 1
    compressor = lzma.LZMACompressor(preset=0)
    parts = [compressor.compress(f"p cnf {variables + 20} {rounds * _BLOCK}\n".encode())]
    parts += [compressor.compress(block) for _ in range(rounds)]
    return Problem("memory-hungry.cnf.xz", b"".join([*parts, compressor.flush()]), "")
