"""Checking models: against a plain checker, over formulas and models in all layouts, and what there is to be said."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from satcomp_infra.jobs import Job, S3Uri, Verdict
from satcomp_infra.node.check import Outcome, check
from satcomp_infra.node.checking import ModelCheck
from satcomp_infra.node.clauses import Unsatisfied, first_unsatisfied, stretches, walk
from satcomp_infra.node.context import Context
from satcomp_infra.node.files import gap, open_file, pieces
from satcomp_infra.node.identity import Identity
from satcomp_infra.node.log import LOG
from satcomp_infra.node.model import Assignment, Model
from satcomp_infra.node.offspring import Offspring
from satcomp_infra.node.outputs import CAPTURED_STDOUT, Outputs
from satcomp_infra.node.settings import Settings, Timing
from satcomp_infra.node.verdict import Judgement

from ..waiting import AT_ONCE

Clauses = list[list[int]]
FORMULA = b"c of two variables\np cnf 2 2\n1 2 0\n-1 0\n"


def plain(clauses: Clauses, model: list[int]) -> int:
    """The reference: the number of the first clause without a true literal; 0 if there is none."""
    for number, clause in enumerate(clauses, 1):
        if not any(literal in model for literal in clause):
            return number
    return 0


def random_formula(dice: random.Random, variables: int, count: int) -> Clauses:
    def clause() -> list[int]:
        return [dice.choice((1, -1)) * dice.randint(1, variables) for _ in range(dice.choice((1, 2, 3, 3, 3, 9)))]

    return [[] if dice.random() < 0.02 else clause() for _ in range(count)]


def random_model(dice: random.Random, variables: int) -> list[int]:
    return [dice.choice((1, -1)) * variable for variable in range(1, variables + 1) if dice.random() < 0.9]


def written(dice: random.Random, clauses: Clauses, variables: int) -> bytes:
    """A formula's file, in some layout that solvers read."""
    blank, new_line = dice.choice((" ", "  ", "\t", " \t ")), dice.choice(("\n", "\n", "\n\n", "\r\n", " \n"))
    comments, breaks, joins = (dice.choice((0.0, 0.0, 0.3)) for _ in range(3))
    text = [f"c written by {dice.random()} 1 -2 0{new_line}"] if dice.random() < 0.5 else []
    if dice.random() < 0.8:
        text.append(f"p cnf {variables} {len(clauses)}{new_line}")
    for clause in clauses:
        if dice.random() < comments and (not text or text[-1].endswith("\n")):
            text.append(f"c {' '.join(map(str, range(-9, 9)))}{new_line}")
        for literal in clause:
            text += [str(literal), new_line if dice.random() < breaks else blank]
        text += ["0", blank if dice.random() < joins else new_line]
    if dice.random() < 0.2:
        text += [] if not text or text[-1].endswith("\n") else ["\n"]
        text.append(f"%{new_line}0{new_line}")
    elif dice.random() < 0.3 and clauses and clauses[-1]:
        del text[-2:]
    return "".join(text).encode()


def printed(dice: random.Random, model: list[int]) -> bytes:
    """A solver's output with a model in it."""
    words = [*map(str, dice.sample(model, len(model))), "0"]
    lines = [b"c a comment, v 1 0", b"s SATISFIABLE"]
    while words:
        width = dice.choice((0, 1, 7, 1000))
        lines.append(" ".join(["v", *words[:width]]).encode())
        del words[:width]
        if dice.random() < 0.1:
            lines.append(b"c still writing")
    return dice.choice((b"\n", b"\n", b"\r\n")).join([*lines, b"c done", b""])


def outcome(directory: Path, formula: bytes, stdout: bytes, processes: int = 1, *, complete: bool = True) -> Outcome:
    (directory / "problem.cnf").write_bytes(formula)
    (directory / "stdout").write_bytes(stdout)
    return check(directory / "problem.cnf", directory / "stdout", processes, complete=complete)


@pytest.mark.parametrize("seed", range(150))
def test_a_model_is_right_or_wrong_as_a_plain_checker_says(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    variables = dice.choice((1, 3, 9, 12, 99, 105))
    model = random_model(dice, variables)
    clauses = random_formula(dice, variables, dice.randrange(30))
    if seed % 3 == 0:  # most random models are wrong
        clauses = [clause for clause in clauses if not plain([clause], model) and clause]
    number = plain(clauses, model)
    formula = written(dice, clauses, variables)
    found = outcome(tmp_path, formula, printed(dice, model))
    if number:
        assert found.model == "wrong"
        assert f"model does not satisfy clause {number} of the formula" in found.reason
    else:
        assert found == Outcome("right")
    # The same in any number of stretches.
    with open_file(tmp_path / "stdout") as file:
        assignment = Assignment(Model.read(file) or Model())
    path = tmp_path / "problem.cnf"
    for count in (1, 2, 3, 5, 50):
        unsatisfied, _ = first_unsatisfied(walk(path, stretch, assignment) for stretch in stretches(path, count))
        assert (unsatisfied.number if unsatisfied else 0) == number
        if unsatisfied and unsatisfied.literals:
            assert list(unsatisfied.literals) == clauses[number - 1]


@pytest.mark.parametrize("seed", range(12))
def test_formulas_of_many_pieces_are_no_different(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    variables = 20_000
    model = random_model(dice, variables)
    true = set(model)
    clauses = [clause for clause in random_formula(dice, variables, 9000) if not true.isdisjoint(clause)]
    expected = 0
    if seed % 2:
        expected = dice.randint(1, len(clauses))
        clauses.insert(expected - 1, [-literal for literal in dice.sample(model, 3)])
    formula, stdout = written(dice, clauses, variables), printed(dice, model)
    if seed % 4 > 1:  # all of it on one line, as nobody should, with the longest comment before it
        formula = b" c" + b" 1 2 0" * 40_000 + b"\n" + b" ".join(b"%d" % x for c in clauses for x in (*c, 0)) + b"\n"
        stdout = b"c" + b" v" * 70_000 + b"\nv " + b" ".join(b"%d" % literal for literal in model) + b" 0\n"
    assert len(formula) > 2.5 * 64 * 1024
    found = outcome(tmp_path, formula, stdout)
    assert found.model == ("wrong" if expected else "right")
    if expected:
        literals = " ".join(map(str, clauses[expected - 1]))
        assert found.reason.startswith(f"The solver's model does not satisfy clause {expected} of the formula")
        assert found.reason.endswith((f": {literals} 0.", "formula."))  # not where it lies in two pieces


def test_a_formula_is_checked_by_several_processes_at_a_time(tmp_path: Path) -> None:
    satisfied = b"-1000002 1000001 0\n" * 2**21  # two stretches
    assert outcome(tmp_path, satisfied, b"v 1000001 0\n", processes=2) == Outcome("right")
    wrong = outcome(tmp_path, satisfied + b"2 0\n", b"v 1000001 0\n", processes=2)
    assert wrong.reason == f"The solver's model does not satisfy clause {2**21 + 1} of the formula: 2 0."


@pytest.mark.parametrize(
    ("formula", "stdout", "expected"),
    [
        (FORMULA, b"v -1 2 0\n", "right"),
        (FORMULA, b"v -1 2 0", "right"),
        (FORMULA, b"v -1\nv 2\nv 0\n", "right"),
        (FORMULA, b"v\nv -1 2\nv\t0\n", "right"),
        (FORMULA, b"s SATISFIABLE\n", "missing"),
        (FORMULA, b"", "missing"),
        (FORMULA, b"vote 1 0\n", "missing"),
        (FORMULA, b"v 0\n", "wrong"),
        (FORMULA, b"v -1 2\n", "right: its v lines don't end with a 0"),
        (FORMULA, b"v -1 2 3 0\n", "right: it holds 3, and the formula has 2 variables"),
        (FORMULA, b"v -1 2 0\nv 1 0\n", "right: only what stands before the first 0 of its v lines was looked at"),
        (FORMULA, b"v -1 0\nv 2 0\n", "wrong"),
        (FORMULA, b"v -1 2 0 0\n", "right: only what stands before the first 0 of its v lines was looked at"),
        (FORMULA, b"v -1 x2 0\n", "not checked: its v lines hold 'x2', which is no literal"),
        (FORMULA, b"v -1 1_0 0\n", "not checked: its v lines hold '1_0', which is no literal"),
        (FORMULA, b"v -1 99999999999 0\n", "not checked: its v lines hold '99999999999', which is no literal"),
        (
            FORMULA,
            b"v -1 2147483647 0\n",
            "not checked: it holds 2147483647, and models of up to 999999999 variables are checked",
        ),
        (FORMULA, b"v 1 -2 -1 0\n", "wrong"),
        (b"p cnf 2 2\n1 0\n0\n", b"v 1 2 0\n", "wrong"),
        (b"0\n", b"v 1 2 0\n", "wrong"),
        (b"p cnf 0 0\n", b"v 0\n", "right"),
        (b"p cnf 2 1\n1 +2 -0\n", b"v 2 0\n", "right"),
        (b"1 02 00 3 0\n", b"v 2 0\n", "wrong"),
        (b"1 2\n", b"v -1 -2 0\n", "wrong"),
        (b"-14 0\n", b"v 7 0\n", "wrong"),  # in a list of 21 values, the one at -14 is the one at 7
        (b"p wcnf 2 1\n1 1 2 0\n", b"v 1 2 0\n", "not checked: the formula holds 'p', which is not DIMACS CNF"),
        (b"x1 2 0\n", b"v 1 2 0\n", "not checked: the formula holds 'x1', which is not DIMACS CNF"),
        (b"1_0 0\n", b"v 10 0\n", "not checked: the formula holds '1_0', which is not DIMACS CNF"),
        (b"1" * 5000 + b" 0\n", b"v 1 0\n", f"not checked: the formula holds '{'1' * 40}', which is not DIMACS CNF"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_models_and_formulas_of_all_kinds(tmp_path: Path, formula: bytes, stdout: bytes, expected: str) -> None:
    found = outcome(tmp_path, formula, stdout)
    assert found.model == expected
    assert bool(found.reason) == (found.model == "wrong")


def test_a_wrong_model_is_told_by_the_clause_or_the_variable(tmp_path: Path) -> None:
    assert outcome(tmp_path, FORMULA, b"v 1 2 0\n").reason == (
        "The solver's model does not satisfy clause 2 of the formula: -1 0."
    )
    assert outcome(tmp_path, FORMULA, b"v -1 -2 2 0\n").reason == (
        "The solver's model contradicts itself: it holds both 2 and -2."
    )
    assert outcome(tmp_path, FORMULA, b"v 1\n").reason.endswith(
        "clause 2 of the formula: -1 0. Note that its v lines don't end with a 0."
    )
    long = b" ".join(b"%d" % literal for literal in range(1, 1000)) + b" 0\n"
    assert outcome(tmp_path, long, b"v 0\n").reason.endswith(
        "clause 1 of the formula: " + str(list(range(1, 21)))[1:-1].replace(",", "") + " ...."
    )


def test_a_model_of_which_some_is_left_out_can_be_right_but_not_wrong(tmp_path: Path) -> None:
    left_out = b"v -1 23" + gap(99) + b"4 5 0\n"  # which was 234, not 23
    assert outcome(tmp_path, b"-1 0\n", left_out).model == "right"
    for formula in (b"23 0\n", b"4 0\n"):
        assert outcome(tmp_path, formula, left_out).model == "not checked: some of the solver's output was not kept"
    assert outcome(tmp_path, FORMULA, b"v -1\n", complete=False).model.startswith("not checked")
    assert outcome(tmp_path, FORMULA, b"c\n", complete=False).model.startswith("not checked")


def test_the_first_of_two_wrong_clauses_is_named_whichever_process_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "problem.cnf"
    path.write_bytes(b"1 0\n" * 100 + b"2 0\n" + b"1 0\n" * 100 + b"3 0\n")
    model = Model()
    model.literals.append(1)
    walks = (walk(path, stretch, Assignment(model)) for stretch in stretches(path, 9))
    assert first_unsatisfied(walks)[0] == Unsatisfied(101, (2,))


def test_of_a_clause_that_lies_in_several_pieces_no_part_is_shown_as_the_whole(tmp_path: Path) -> None:
    literals = b" ".join(b"%d" % literal for literal in range(2, 40_000))
    found = outcome(tmp_path, b"1 0\n" + literals + b" 0\n", b"v 1 0\n")
    assert found.reason == "The solver's model does not satisfy clause 2 of the formula."


def test_a_file_without_lines_and_words_comes_in_pieces_too(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1" * 1_000_000)
    with open_file(path) as file:
        assert {len(piece) <= 200_000 for piece in pieces(file)} == {True}


def test_pieces_of_a_file_are_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    words = [b"%d" % number for number in range(200_000)]
    path.write_bytes(b"v " + b" ".join(words) + b"\nlast")
    with open_file(path) as file:
        found = list(pieces(file))
    assert max(map(len, found)) < 200_000
    assert all(piece.startswith((b"v ", b"last")) for piece in found)
    assert [word for piece in found for word in piece.split() if word != b"v"] == [*words, b"last"]


def test_many_variables_take_little_memory(tmp_path: Path) -> None:
    variables = 99_999_999
    assert outcome(tmp_path, b"-%d 0\n" % variables, b"v -%d 0\n" % variables).model == "right"


class Bench:
    """A leader's check, as it is after a solver's run."""

    def __init__(self, directory: Path, **timing: float) -> None:
        self.directory = directory
        self.formula = directory / "problem.cnf"
        settings = Settings("us-east-1", "jobs", "results", "bucket", "", directory, directory)
        self.context = Context(settings, Identity("10.0.1.5"), {}, timing=Timing(**timing))
        self.offspring = Offspring(5.0)

    def judge(self, job: Job, formula: bytes, stdout: bytes, changed: bytes = b"") -> Judgement:
        self.formula.write_bytes(formula)
        checking = ModelCheck(self.context, self.offspring, job, self.formula)
        if changed:
            self.formula.write_bytes(changed)
        (self.directory / CAPTURED_STDOUT).write_bytes(stdout)
        judgement = Judgement(Verdict.SAT, return_code=10)
        return checking.applied_to(judgement, Outputs.read(self.directory), complete=True, log=LOG)


JOB = Job(S3Uri("bucket", "problem.cnf"))
LARGE = b"1 2 -3 4 -5 6 0\n" * 40_000


def test_a_wrong_model_makes_the_verdict_an_error(tmp_path: Path) -> None:
    assert Bench(tmp_path).judge(JOB, FORMULA, b"v 1 0\n") == Judgement(
        Verdict.ERROR, "The solver's model does not satisfy clause 2 of the formula: -1 0.", 10, model="wrong"
    )


@pytest.mark.parametrize("last", [b"", b"2 0\n"], ids=["right", "wrong"])
def test_a_large_formula_is_checked_by_a_process(tmp_path: Path, last: bytes) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('what a solver leaves in its directory is not run')")
    bench = Bench(tmp_path)
    judgement = bench.judge(JOB, LARGE + last, b"v 1 0\n")
    assert judgement.verdict == (Verdict.ERROR if last else Verdict.SAT)
    assert judgement.model == ("wrong" if last else "right")
    assert bench.offspring.take_usage().cpu_seconds == 0  # the next solver's


def test_a_check_that_takes_too_long_leaves_the_answer_as_it_is(tmp_path: Path) -> None:
    started = time.monotonic()
    judgement = Bench(tmp_path, model_check=0.01).judge(JOB, LARGE * 20, b"v 1 0\n")
    assert time.monotonic() - started < AT_ONCE
    assert (judgement.verdict, judgement.model) == (Verdict.SAT, "not checked: that takes more than 0.01 s")


def test_a_node_that_is_to_stop_does_not_wait_long_for_the_check(tmp_path: Path) -> None:
    bench = Bench(tmp_path, stopped_check=0.01)
    bench.context.stop.set()
    judgement = bench.judge(JOB, LARGE * 20, b"v 1 0\n")
    assert (judgement.verdict, judgement.model) == (Verdict.SAT, "not checked: the node was stopped")


def test_a_wrong_model_is_found_also_where_the_node_is_to_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path, stopped_check=20)  # on a busy machine
    bench.context.stop.set()
    judgement = bench.judge(JOB, LARGE + b"-1 0\n", b"v 1 0\n")
    assert (judgement.verdict, judgement.model) == (Verdict.ERROR, "wrong")


@pytest.mark.parametrize(
    ("job", "changed", "model"),
    [
        (Job(S3Uri("bucket", "problem.cnf"), check_models=False), b"", "not checked: --check-models off"),
        (Job(S3Uri("bucket", "problem.smt2")), b"", "not checked: the formula is not DIMACS CNF"),
        (Job(S3Uri("bucket", "problem.cnf"), language="SMTLIB2"), b"", "not checked: the formula is not DIMACS CNF"),
        (Job(S3Uri("bucket", "problem.xy"), language="dimacs"), b"", "wrong"),
        (JOB, b"1 0\n", "not checked: the formula's file has been changed"),
    ],
)
def test_what_is_not_to_be_checked_is_not(tmp_path: Path, job: Job, changed: bytes, model: str) -> None:
    assert Bench(tmp_path).judge(job, FORMULA, b"v 1 0\n", changed).model == model


def test_a_formula_that_the_solver_has_removed_is_not_checked(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.formula.write_bytes(FORMULA)
    checking = ModelCheck(bench.context, bench.offspring, JOB, bench.formula)
    bench.formula.unlink()
    judgement = checking.applied_to(Judgement(Verdict.SAT), Outputs.read(tmp_path), complete=True, log=LOG)
    assert judgement.model == "not checked: the formula's file has been changed"
