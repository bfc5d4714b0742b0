"""What a run means: every way to answer, and every way to contradict oneself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from satcomp_infra.jobs import Verdict
from satcomp_infra.node.outputs import CAPTURED_STDERR, CAPTURED_STDOUT, Outputs
from satcomp_infra.node.settings import Timing
from satcomp_infra.node.solver import Run
from satcomp_infra.node.verdict import Judgement, judge

SAT, UNSAT = "s SATISFIABLE\n", "s UNSATISFIABLE\n"


def report(directory: Path, code: Any, stdout: str | None = None, stderr: str = "") -> None:
    """A solver_out.json with its files."""
    artifacts = {}
    if stdout is not None:
        (directory / "stdout.log").write_text(stdout)
        (directory / "stderr.log").write_text(stderr)
        artifacts = {"stdout_path": f"{directory}/stdout.log", "stderr_path": f"{directory}/stderr.log"}
    (directory / "solver_out.json").write_text(json.dumps({"return_code": code, "artifacts": artifacts}))


def verdict(directory: Path, returncode: int = 0, *, timed_out: bool = False, obeyed: bool = True) -> Judgement:
    run = Run(returncode, wall_seconds=1.5, started_at=0.0, timed_out=timed_out, obeyed=obeyed)
    return judge(run, Outputs.read(directory), 60, Timing())


@pytest.mark.parametrize(("code", "expected"), [(10, Verdict.SAT), (20, Verdict.UNSAT), (0, Verdict.UNKNOWN)])
def test_solver_out_json_decides(tmp_path: Path, code: int, expected: Verdict) -> None:
    report(tmp_path, code)
    judged = verdict(tmp_path, returncode=1 if code else 0)
    assert (judged.verdict, judged.return_code, judged.reason) == (expected, code, "")
    assert judged.solver_output == {"return_code": code, "artifacts": {}}


@pytest.mark.parametrize(("code", "expected"), [(10, Verdict.SAT), (20, Verdict.UNSAT), (0, Verdict.UNKNOWN)])
def test_without_it_the_exit_code_does(tmp_path: Path, code: int, expected: Verdict) -> None:
    judged = verdict(tmp_path, code)
    assert (judged.verdict, judged.return_code) == (expected, code)
    assert bool(judged.reason) == (code == 0)  # an UNKNOWN of which nobody says that it is one


@pytest.mark.parametrize(
    ("line", "expected"), [(SAT, Verdict.SAT), (UNSAT, Verdict.UNSAT), ("s UNKNOWN\n", Verdict.UNKNOWN)]
)
def test_or_the_s_line_of_a_script_that_ends_with_0(tmp_path: Path, line: str, expected: Verdict) -> None:
    (tmp_path / CAPTURED_STDOUT).write_text(f"c hello\n{line}v 1 0\n")
    judged = verdict(tmp_path, 0)
    assert (judged.verdict, judged.reason) == (expected, "")


def test_carriage_returns_and_repetitions_change_nothing(tmp_path: Path) -> None:
    (tmp_path / CAPTURED_STDOUT).write_bytes(b"s SATISFIABLE \r\ns SATISFIABLE\n")
    assert verdict(tmp_path, 10).verdict == Verdict.SAT


def test_a_solver_out_json_that_is_not_json_counts_as_missing_and_is_mentioned(tmp_path: Path) -> None:
    (tmp_path / "solver_out.json").write_text('{"return_code": 10')
    judged = verdict(tmp_path, 20)
    assert judged.verdict == Verdict.UNSAT
    assert "solver_out.json is not JSON" in judged.reason


@pytest.mark.parametrize("code", ["10", None, 10.0, True])
def test_a_return_code_must_be_a_whole_number(tmp_path: Path, code: object) -> None:
    report(tmp_path, code)
    judged = verdict(tmp_path, 1)
    assert judged.verdict == Verdict.ERROR
    assert "no whole number 'return_code'" in judged.reason


@pytest.mark.parametrize(
    ("code", "line", "returncode", "named"),
    [
        (10, UNSAT, 0, ["return code 10", "SAT", "'s UNSATISFIABLE'"]),
        (0, SAT, 0, ["return code 0", "UNKNOWN", "'s SATISFIABLE'"]),
        (20, None, 10, ["return code 20", "UNSAT", "exit code 10"]),
        (10, SAT + UNSAT, 10, ["'s SATISFIABLE' and 's UNSATISFIABLE'"]),
    ],
)
def test_contradictions_are_errors(
    tmp_path: Path, code: int, line: str | None, returncode: int, named: list[str]
) -> None:
    report(tmp_path, code, line)
    judged = verdict(tmp_path, returncode)
    assert judged.verdict == Verdict.ERROR
    assert "contradicts itself" in judged.reason
    for part in named:
        assert part in judged.reason


@pytest.mark.parametrize(("returncode", "line"), [(20, SAT), (10, UNSAT), (10, "s UNKNOWN\n")])
def test_contradictions_without_solver_out_json_are_errors_too(tmp_path: Path, returncode: int, line: str) -> None:
    (tmp_path / CAPTURED_STDOUT).write_text(line)
    judged = verdict(tmp_path, returncode)
    assert judged.verdict == Verdict.ERROR
    assert f"exit code {returncode}" in judged.reason
    assert line.strip() in judged.reason


def test_another_exit_code_is_an_error_with_the_last_words(tmp_path: Path) -> None:
    (tmp_path / CAPTURED_STDERR).write_text("".join(f"line {n}\n" for n in range(2000)) + "out of luck\n\n")
    judged = verdict(tmp_path, 3)
    assert (judged.verdict, judged.return_code) == (Verdict.ERROR, 3)
    assert judged.reason.startswith("The solver ended with exit code 3.")
    assert judged.reason.endswith("line 1998 | line 1999 | out of luck")
    assert len(judged.reason) < 500


def test_another_return_code_is_an_error_with_the_solvers_own_stderr(tmp_path: Path) -> None:
    report(tmp_path, 1, "", stderr="bad option\n")
    judged = verdict(tmp_path, 1)
    assert (judged.verdict, judged.return_code) == (Verdict.ERROR, 1)
    assert "return code 1 in solver_out.json" in judged.reason
    assert judged.reason.endswith("bad option")


def test_a_signal_is_named_and_an_error_whatever_was_written(tmp_path: Path) -> None:
    report(tmp_path, 10, SAT)
    judged = verdict(tmp_path, -11)
    assert judged.verdict == Verdict.ERROR
    assert "SIGSEGV" in judged.reason


def test_a_shells_code_for_a_signal_is_explained(tmp_path: Path) -> None:
    judged = verdict(tmp_path, 137)
    assert "exit code 137" in judged.reason
    assert "SIGKILL" in judged.reason
    assert "memory" in judged.reason


def test_a_timeout_needs_no_reason(tmp_path: Path) -> None:
    judged = verdict(tmp_path, -15, timed_out=True)
    assert (judged.verdict, judged.reason) == (Verdict.TIMEOUT, "")


def test_an_answer_of_a_solver_that_goes_on_running_is_a_timeout_that_says_so(tmp_path: Path) -> None:
    report(tmp_path, 10, SAT)
    judged = verdict(tmp_path, -9, timed_out=True, obeyed=False)
    assert (judged.verdict, judged.return_code) == (Verdict.TIMEOUT, None)
    assert "return code 10" in judged.reason
    assert "had not ended after 60 s" in judged.reason
    assert "10 s after SIGTERM" in judged.reason


def test_artifacts_that_are_not_there_are_replaced_by_the_captured_output(tmp_path: Path) -> None:
    (tmp_path / CAPTURED_STDOUT).write_text(UNSAT)
    for path in (f"{tmp_path}/gone", str(tmp_path), "x" * 5000, "a\0b", "\ud800"):
        gone = {"stdout_path": path, "stderr_path": 7}
        (tmp_path / "solver_out.json").write_text(json.dumps({"return_code": 10, "artifacts": gone}))
        assert "'s UNSATISFIABLE'" in verdict(tmp_path, 10).reason


def test_captured_output_beside_a_solvers_own_is_kept_if_there_is_any(tmp_path: Path) -> None:
    report(tmp_path, 10, SAT)
    (tmp_path / CAPTURED_STDOUT).write_text("")
    (tmp_path / CAPTURED_STDERR).write_text("a warning")
    assert set(Outputs.read(tmp_path).files()) == {"solver_out.json", "stdout", "stderr", CAPTURED_STDERR}
