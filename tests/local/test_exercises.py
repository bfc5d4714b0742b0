"""The acceptance test's problems, and how models are checked."""

from __future__ import annotations

import lzma

import pytest

from satcomp_infra.local.exercises import Exercise, exercises
from satcomp_infra.local.walkthrough import Problem

TWO_CLAUSES = Exercise("two", Problem("two.cnf", b"", "SAT"), ("SAT",), "SAT", clauses=((1, -2), (2, 3)))


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("v 1 2 -3 0", ""),
        ("v 1\nv 3 0", ""),
        ("", "has no model"),
        ("v 1 -1 3 0", "variable 1 both true and false"),
        ("v 1 -2 -3 0", "doesn't satisfy the clause 2 3 0"),
        ("v one two", "something else than numbers"),
    ],
)
def test_a_model_is_checked(model: str, fault: str) -> None:
    said = TWO_CLAUSES.model_fault(f"c a solver\ns SATISFIABLE\n{model}\n")
    assert fault in said
    assert bool(said) == bool(fault)


def test_the_large_one_is_as_large_as_it_has_to_be_and_satisfied_by_all_true() -> None:
    (large,) = exercises(8, ("memory-hungry",))
    lines = lzma.decompress(large.problem.content).decode().splitlines()
    _, _, variables, clauses = lines[0].split()
    assert int(clauses) == len(lines) - 1 >= 8 * 2**20 / 24
    for line in lines[1:50_001]:
        *literals, end = map(int, line.split())
        assert end == 0
        assert max(literals) > 0
        assert max(map(abs, literals)) <= int(variables)
