"""The sample suite: always the same problems, and the answers that it says are right."""

from __future__ import annotations

import csv
import hashlib
import lzma
import subprocess
from pathlib import Path

import pytest

from satcomp_infra.jobs import Verdict
from satcomp_infra.local.processes import solver_path
from satcomp_infra.suites import sample
from satcomp_infra.suites.families import mycielski_colouring, pigeonhole, ramsey
from satcomp_infra.suites.formulas import Formula

HARD = {
    "random-3sat-250-2.cnf",
    "random-3sat-250-5.cnf",
    "random-3sat-300-4.cnf",
    "random-3sat-300-5.cnf",
    "pigeonhole-11-10.cnf",
    "factoring-1000000007.cnf",
    "factoring-68715282487.cnf",
    "factoring-10000000019.cnf",
}
"""What Kissat needs more than a second for; that these are still the problems that it has solved, a hash says."""


@pytest.fixture(scope="module")
def formulas() -> list[Formula]:
    return list(sample.formulas())


def kissat(formula: Formula) -> str:
    answer = subprocess.run(
        ["kissat", "-q", "-n"],
        input=formula.dimacs(),
        env={"PATH": solver_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    return {10: "SAT", 20: "UNSAT"}[answer.returncode]


@pytest.mark.slow
def test_kissat_finds_the_answers_that_are_known(formulas: list[Formula]) -> None:
    easy = [formula for formula in formulas if formula.name not in HARD]
    assert len(easy) == 22
    assert [kissat(formula) for formula in easy] == [formula.verdict for formula in easy]


@pytest.mark.parametrize(
    ("formula", "verdict"),
    [
        (pigeonhole(4, 4), "SAT"),
        (pigeonhole(5, 4), "UNSAT"),
        (ramsey(3, 3, 5), "SAT"),
        (ramsey(3, 3, 6), "UNSAT"),
        (mycielski_colouring(4, 4), "SAT"),
        (mycielski_colouring(4, 3), "UNSAT"),
    ],
)
def test_a_theorem_s_two_sides(formula: Formula, verdict: str) -> None:
    assert formula.verdict == verdict == kissat(formula)


def test_the_problems_are_those_whose_answers_were_found_out(formulas: list[Formula]) -> None:
    digest = hashlib.sha256("".join(formula.dimacs() for formula in formulas).encode())
    assert digest.hexdigest() == "69b9c3cd708c350a2e3f66bf0d2aa1179a2f7095021518f4f034f1bd3e8ac0a2", (
        "a random formula's answer holds for this formula alone"
    )


def test_it_is_written_the_same_each_time_with_the_right_answers_beside_it(tmp_path: Path) -> None:
    assert sample.write(tmp_path / "a", limit=6) == sample.write(tmp_path / "b", limit=6) == 6
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    rows = list(csv.DictReader((tmp_path / "a" / sample.EXPECTED).read_text().splitlines()))
    assert {row["problem"] for row in rows} | {sample.EXPECTED} == set(files)
    assert {row["verdict"] for row in rows} == {Verdict.SAT, Verdict.UNSAT}
    assert all(row["known"] for row in rows)
    compressed = [name for name in files if name.endswith(".xz")]
    assert len(compressed) == 2
    assert all(lzma.decompress(files[name]).startswith(b"c ") for name in compressed)


def test_each_family_is_in_a_small_suite_and_all_of_it_in_a_large_one(formulas: list[Formula]) -> None:
    families = {formula.name.split("-")[0] for formula in sample.formulas(limit=6)}
    assert families == {"random", "pigeonhole", "ramsey", "mycielski", "factoring"}
    assert len(list(sample.formulas(limit=1000))) == len(formulas) == 30
