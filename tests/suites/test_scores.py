"""What runs are worth, and above all whether they are right."""

from __future__ import annotations

import pytest

from satcomp_infra.suites.scores import compare

from .rows import row, run


def test_par_2_is_the_mean_per_problem_where_the_unsolved_cost_twice_their_timeout() -> None:
    (score,) = compare(
        [
            run(
                "a",
                row("p", "SAT", 10.0),
                row("q", "UNSAT", 20.0),
                row("r", "TIMEOUT", 100.0),
                row("s", "UNKNOWN", 5.0),
                row("t", "ERROR", 1.0),
                row("u", ""),
            )
        ]
    ).scores
    assert score.par2 == pytest.approx((10 + 20 + 4 * 200) / 6)
    assert (score.solved, score.sat, score.unsat) == (2, 1, 1)
    assert (score.timeouts, score.unknown, score.errors, score.missing) == (1, 1, 1, 1)
    assert not score.disqualified


def test_the_virtual_best_solver_takes_the_best_of_each() -> None:
    comparison = compare(
        [
            run("a", row("p", "SAT", 10.0), row("q", "TIMEOUT", 100.0), row("r", "TIMEOUT", 100.0)),
            run("b", row("p", "SAT", 2.0), row("q", "UNSAT", 50.0), row("r", "TIMEOUT", 100.0)),
        ]
    )
    best = comparison.scores[-1]
    assert (best.name, best.solved, best.sat, best.unsat) == ("virtual best solver", 2, 1, 1)
    assert best.par2 == pytest.approx((2 + 50 + 200) / 3)


def test_one_run_has_no_virtual_best_solver() -> None:
    assert len(compare([run("a", row("p"))]).scores) == 1


def test_an_answer_against_the_expected_one_disqualifies_and_is_not_solved() -> None:
    comparison = compare([run("a", row("p", "UNSAT", expected="SAT"), row("q", "UNSAT", 1.0, expected="UNSAT"))])
    (found,) = comparison.contradictions
    assert (found.problem, found.text) == ("p", "a answered UNSAT, but it is known to be SAT.")
    (score,) = comparison.scores
    assert score.disqualified
    assert (score.wrong, score.solved) == (1, 1)
    assert score.par2 == pytest.approx((200 + 1) / 2)


def test_a_wrong_model_disqualifies_though_its_verdict_is_error() -> None:
    comparison = compare([run("a", row("p", "ERROR", model="wrong: clause 3"))])
    assert comparison.scores[0].disqualified
    assert "a model that doesn't satisfy it" in comparison.contradictions[0].text


def test_where_a_model_was_checked_it_is_known_who_is_wrong() -> None:
    comparison = compare([run("a", row("p", "UNSAT")), run("b", row("p", "SAT", model="right"))])
    (found,) = comparison.contradictions
    assert found.text == "a answered UNSAT, but a checked model of b satisfies it."
    assert [score.disqualified for score in comparison.scores] == [True, False, False]
    assert [score.solved for score in comparison.scores] == [0, 1, 1]


def test_where_nobody_knows_who_is_wrong_neither_is_solved_nor_disqualified() -> None:
    comparison = compare([run("a", row("p", "UNSAT")), run("b", row("p", "SAT", model="missing"))])
    (found,) = comparison.contradictions
    assert found.text == "a answered UNSAT, b answered SAT: one of them is wrong."
    assert [(score.contradicted, score.solved, score.disqualified) for score in comparison.scores] == [
        (1, 0, False),
        (1, 0, False),
        (0, 0, False),
    ]


def test_a_checked_model_is_worth_more_than_what_was_expected() -> None:
    comparison = compare([run("a", row("p", "SAT", expected="UNSAT", model="right"))])
    (found,) = comparison.contradictions
    assert "expected to be UNSAT, but a checked model of a satisfies it" in found.text
    assert not comparison.scores[0].disqualified
    assert comparison.scores[0].solved == 1


def test_an_unknown_or_a_timeout_contradicts_nothing() -> None:
    runs = [run("a", row("p", "TIMEOUT")), run("b", row("p", "UNKNOWN")), run("c", row("p", "SAT", expected="SAT"))]
    assert compare(runs).contradictions == ()


def test_only_problems_that_all_runs_have_are_counted_and_that_is_said() -> None:
    comparison = compare([run("a", row("p"), row("q")), run("b", row("q"), row("r"))])
    assert comparison.problems == ("q",)
    assert comparison.notes == ("Only the 1 problem that all runs have are counted.",)


def test_what_makes_numbers_not_comparable_is_said() -> None:
    location = "s3://b/problems/{}.cnf"
    comparison = compare(
        [
            run("a", row("p", timeout=10, location=location.format("0" * 64)), row("q", "")),
            run("b", row("p", timeout=20, location=location.format("1" * 64)), row("q")),
        ]
    )
    said = " ".join(comparison.notes)
    assert "1 problem of the same name had another content" in said
    assert "Timeouts differ: 10 s, 20 s" in said
    assert "a is not finished: 1 problem without a result" in said


def test_runs_of_the_same_name_are_told_apart() -> None:
    assert compare([run("a", row("p")), run("a", row("p"))]).names == ("a (1)", "a (2)")


def test_a_problem_is_wrong_once_however_many_things_are_wrong_about_it() -> None:
    runs = [run("a", row("p", "UNSAT", expected="SAT", model="wrong: clause 1")), run("b", row("p", "SAT"))]
    assert compare(runs).scores[0].wrong == 1
