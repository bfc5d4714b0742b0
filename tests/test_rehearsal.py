"""The rehearsal, as it is typed: the walkthrough's own commands, the node runtime, a real solver."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from satcomp_infra.suites.formulas import factoring

from .typing_commands import plain, too_wide

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def rehearse(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "rehearse", *words], capture_output=True, text=True, check=False, timeout=240
    )


def scripts(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def test_both_tracks_solve_real_formulas_and_leave_nothing() -> None:
    answer = rehearse()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    table = answer.stdout[answer.stdout.index("\ncommand ") :]
    assert len(re.findall(r"  SAT in ", table)) == 4
    assert len(re.findall(r"  UNSAT in ", table)) == 2
    scores = re.search(r"^run +wrong +errors +solved +SAT +UNSAT +PAR-2\n(.*)$", answer.stdout, re.MULTILINE)
    assert scores
    assert scores[1].split()[1:6] == ["0", "0", "6", "3", "3"]
    assert "nothing is left" in table
    assert "all as it should" in table


def test_an_own_solver_solves_an_own_problem(tmp_path: Path) -> None:
    problem = tmp_path / "my problem.cnf"
    problem.write_text(factoring(15).dimacs())
    solver = scripts(tmp_path, solver='exec kissat -q "$1/problem.cnf"')
    answer = rehearse("--solver", str(solver), "--problem", str(problem))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "the parallel track alone is rehearsed" in answer.stdout
    assert re.search(r"^send_message 'my problem.cnf' --workers 0 .* SAT in ", answer.stdout, re.MULTILINE)


def test_a_wrong_answer_fails_the_rehearsal_and_leaves_nothing(tmp_path: Path) -> None:
    solver = scripts(tmp_path, solver="echo s UNSATISFIABLE; exit 20")
    answer = rehearse("--solver", str(solver), "--track", "parallel")
    assert answer.returncode == 1
    assert "(should be SAT)" in answer.stdout
    assert "The rehearsal failed: ./send_message" in plain(answer.stderr)


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
def test_a_mistake_is_told_before_anything_is_started(words: list[str], said: str) -> None:
    answer = rehearse(*words)
    assert answer.returncode == 2
    assert said in plain(answer.stderr)
    assert "Traceback" not in answer.stderr
    assert too_wide(answer.stderr) == []


def test_a_solver_without_a_worker_cant_rehearse_the_cloud_track(tmp_path: Path) -> None:
    answer = rehearse("--solver", str(scripts(tmp_path, solver="exit 0")), "--track", "cloud")
    assert answer.returncode == 2
    assert "it holds no 'worker'" in answer.stderr


def test_a_script_that_is_not_executable_is_named(tmp_path: Path) -> None:
    scripts(tmp_path, solver="exit 0")
    (tmp_path / "solver").chmod(0o644)
    answer = rehearse("--solver", str(tmp_path))
    assert answer.returncode == 2
    assert f"chmod +x {tmp_path / 'solver'}" in answer.stderr


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
        assert rehearsal.wait(30) == 143
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


def test_kept_the_local_cloud_serves_until_ctrl_c_and_is_gone_then() -> None:
    with subprocess.Popen(
        [sys.executable, ROOT / "rehearse", "--track", "none", "--keep"], stdout=subprocess.PIPE, text=True
    ) as kept:
        assert kept.stdout
        printed = ""
        while "push-ecr is not needed" not in printed:
            printed += kept.stdout.readline()
        exports = dict(re.findall(r"^  export (\w+)=(.*)$", printed, re.MULTILINE))
        environment = {**os.environ, **exports}

        def typed(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, ROOT / words[0], *words[1:]],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )

        created = typed("create-solver-infrastructure", "--project", "by-hand", "--solver-type", "parallel")
        assert created.returncode == 0, created.stderr
        deadline = time.monotonic() + 10
        while (started := typed("update_instances", "--option", "setup")).returncode and time.monotonic() < deadline:
            pass  # until the images are registered
        assert started.returncode == 0, started.stderr
        kept.send_signal(signal.SIGINT)
        assert kept.wait(30) == 0
    gone = typed("update_instances", "--option", "shutdown")
    assert gone.returncode == 1
    assert "AWS can't be reached" in gone.stderr
