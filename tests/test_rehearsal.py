"""The rehearsal: the walkthrough's own commands as processes, the node runtime, a real solver.

`make rehearse` runs all of it: both tracks, a suite, and problems that take a solver a second.
"""

from __future__ import annotations

import io
import lzma
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from satcomp_infra import cli
from satcomp_infra.progress import Console
from satcomp_infra.suites.formulas import factoring

from .typing_commands import Answer, plain, run, too_wide
from .waiting import eventually

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def rehearse(*words: str) -> Answer:
    """In this process; the walkthrough's commands are processes all the same."""
    out, err = io.StringIO(), io.StringIO()
    code = cli.main("local.rehearsal", list(words), Console(out, err))
    return Answer(code, out.getvalue(), err.getvalue())


def scripts(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def test_leader_and_worker_solve_real_formulas_and_leave_nothing(tmp_path: Path) -> None:
    problem = tmp_path / "small.cnf.xz"
    problem.write_bytes(lzma.compress(factoring(10403).dimacs().encode()))
    words = [sys.executable, ROOT / "rehearse", "--track", "cloud", "--workers", "1", "--problem", problem]
    answer = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
    in_order = (
        r"^Starting the leader and 1 worker \.\.\.(\n.*)+?\nTo solve(.*\n)+?Job .*\nWaiting for the result \.\.\.$"
    )
    assert re.search(in_order, answer.stdout, re.MULTILINE), answer.stdout
    table = answer.stdout[answer.stdout.index("\ncommand ") :]
    for name in ("test.cnf", "small.cnf.xz"):
        assert re.search(rf"^send_message {name} --workers 1 .* SAT in ", table, re.MULTILINE)
    assert "nothing is left" in table
    assert "all as it should" in table


def test_an_own_solver_solves_an_own_problem(tmp_path: Path) -> None:
    problem = tmp_path / "my problem.cnf"
    problem.write_text(factoring(15).dimacs())
    solver = scripts(tmp_path, solver='exec kissat -q "$1/problem.cnf"')
    answer = rehearse("--solver", str(solver), "--problem", str(problem))
    assert answer.code == 0, answer.out + answer.err
    assert "the parallel track alone is rehearsed" in answer.out
    assert re.search(r"^send_message 'my problem.cnf' --workers 0 .* SAT in ", answer.out, re.MULTILINE)


def test_a_wrong_answer_fails_the_rehearsal_and_leaves_nothing(tmp_path: Path) -> None:
    solver = scripts(tmp_path, solver="echo s UNSATISFIABLE; exit 20")
    answer = rehearse("--solver", str(solver), "--track", "parallel")
    assert answer.code == 1
    assert "(should be SAT)" in answer.out
    assert "The rehearsal failed: ./send_message" in plain(answer.err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--solver", "no/such/folder"], "there is no such folder"),
        (["--solver", "."], "it holds no 'solver'"),
        (["--problem", "no-such.cnf"], "there is no such file"),
        (["--workers", "0"], "is not a whole number from 1"),
        (["--track", "fog"], "'cloud', 'parallel'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_started(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        answer = rehearse(*words)
        code, err = answer.code, answer.err
    except SystemExit as ended:  # as argparse does
        code, err = ended.code, capsys.readouterr().err
    assert code == 2
    assert said in plain(err)
    assert "Traceback" not in err
    assert too_wide(err) == []


def test_a_solver_without_a_worker_cant_rehearse_the_cloud_track(tmp_path: Path) -> None:
    answer = rehearse("--solver", str(scripts(tmp_path, solver="exit 0")), "--track", "cloud")
    assert answer.code == 2
    assert "it holds no 'worker'" in plain(answer.err)


def test_a_script_that_is_not_executable_is_named(tmp_path: Path) -> None:
    scripts(tmp_path, solver="exit 0")
    (tmp_path / "solver").chmod(0o644)
    answer = rehearse("--solver", str(tmp_path))
    assert answer.code == 2
    assert f"chmod +x {tmp_path / 'solver'}" in answer.err


def test_nothing_is_left_of_one_that_is_ended(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    solver = scripts(tmp_path, solver="sleep 1000 & sleep 1000")
    with subprocess.Popen(
        [sys.executable, ROOT / "rehearse", "--track", "parallel", "--solver", str(solver)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as rehearsal:
        assert rehearsal.stdout
        printed = ""
        while "being solved" not in printed:
            printed += (line := rehearsal.stdout.readline())
            assert line, printed
        assert {"rehearse", "send_message", "satcomp_infra.node", "sleep"} <= set(words_of_processes(temporary))
        rehearsal.terminate()
        printed = rehearsal.stdout.read()
        assert rehearsal.wait() == 143
    assert "The local cloud is stopped, and nothing of it is left." in printed
    assert "Traceback" not in printed
    assert list(temporary.iterdir()) == []
    assert words_of_processes(temporary) == []


def words_of_processes(directory: Path) -> list[str]:
    """The words of the command lines of all processes that have this directory, or one in it, in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile
            if str(directory).encode() in (process / "environ").read_bytes():
                found += [Path(word).name for word in (process / "cmdline").read_text().split("\0")]
    return found


def test_kept_the_local_cloud_serves_until_ctrl_c_and_is_gone_then(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(
        [sys.executable, ROOT / "rehearse", "--track", "none", "--keep"], stdout=subprocess.PIPE, text=True
    ) as kept:
        assert kept.stdout
        printed = ""
        while "push-ecr is not needed" not in printed:
            printed += (line := kept.stdout.readline())
            assert line, printed
        for name, value in re.findall(r"^  export (\w+)=(.*)$", printed, re.MULTILINE):
            monkeypatch.setenv(name, value)
        created = run("create", "--project", "by-hand", "--solver-type", "parallel")
        assert created.code == 0, created.err
        setup = ("instances", "--option", "setup", "--no-wait")
        eventually(lambda: run(*setup).code == 0, "a setup, which needs the images to be registered")
        kept.send_signal(signal.SIGINT)
        assert kept.wait() == 0
    gone = run("instances", "--option", "shutdown")
    assert gone.code == 1
    assert "AWS can't be reached" in gone.err
