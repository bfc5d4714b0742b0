"""What is drawn on a terminal, seen on one: 80 columns by 24 lines of tmux."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.walkthrough import register_images
from tools.tmux import Screen

ROOT = Path(__file__).parent.parent
PROJECT = "team/solver_1"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed: apt install tmux"),
]


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCloud]:
    with cloud.start(stack_delay=1.2) as running:
        yield running


def typed(local: LocalCloud, *words: str) -> None:
    command = [sys.executable, ROOT / words[0], *words[1:]]
    subprocess.run(command, env={**os.environ, **local.environment()}, capture_output=True, check=True)


def is_there(local: LocalCloud) -> bool:
    return bool(local.client("cloudformation").describe_stacks()["Stacks"])


@pytest.fixture
def project(local: LocalCloud) -> None:
    """The project's infrastructure, whichever test was run before."""
    if not is_there(local):
        typed(local, "create-solver-infrastructure", "--project", PROJECT, "--solver-type", "cloud")


@pytest.fixture
def no_project(local: LocalCloud) -> None:
    if is_there(local):
        typed(local, "delete-solver-infrastructure", "--project", PROJECT, "--yes")


@pytest.fixture
def screen(local: LocalCloud) -> Iterator[Screen]:
    terminal = Screen(local.environment())
    yield terminal
    terminal.close()


@pytest.mark.usefixtures("no_project")
def test_a_creation_is_drawn_in_place_and_told_event_by_event(screen: Screen) -> None:
    screen.command("create-solver-infrastructure", "--project", PROJECT, "--solver-type", "cloud")
    shown = screen.wait_for(r"^. [━╸╺ ]+ 0:0\d \d+/49 done; \w+")
    assert "Traceback" not in shown
    shown = screen.wait_for(r"^code=0")
    assert re.search(r"^0:0\d +49/49 +create complete +job-queue-team-solver-1", shown, re.MULTILINE)
    assert "Vpc" not in shown  # the line at the bottom has told of that
    assert "done;" not in shown  # and is gone


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("setting", "is_coloured", "is_ascii"), [({"NO_COLOR": "1"}, False, False), ({"LANG": "C"}, True, True)]
)
def test_colours_can_be_refused_and_unicode_be_lacking(
    local: LocalCloud, setting: dict[str, str], is_coloured: bool, is_ascii: bool
) -> None:
    register_images(local)
    terminal = Screen({**local.environment(), **setting})
    try:
        terminal.command("update_instances", "--option", "setup", "--workers", "1", "--project", "nobody-s")
        shown = terminal.wait_for(r"^code=1")
        assert "There is no infrastructure of project 'nobody-s'" in shown
        assert ("\x1b[31mThere is no" in terminal.pane(colours=True)) is is_coloured
        local.set_faults(slow_boot=1000)
        terminal.command("update_instances", "--option", "setup", "--workers", "1")
        shown = terminal.wait_for(r"^  machines +2 wanted +2 booting")
        assert shown.isascii() is is_ascii
        assert bool(re.search(r"\x1b\[[\d;]*3\d", terminal.pane(colours=True))) is is_coloured
        terminal.press("C-c")
        terminal.wait_for(r"^code=130")
    finally:
        local.set_faults(slow_boot=None)
        terminal.command("update_instances", "--option", "shutdown")
        terminal.wait_for(r"^code=0")
        terminal.close()


@pytest.mark.usefixtures("project")
def test_a_setup_shows_machines_tasks_time_and_cost_in_place(local: LocalCloud, screen: Screen) -> None:
    register_images(local)
    local.set_faults(slow_boot=1000)
    setup = ("update_instances", "--option", "setup", "--workers", "2")
    screen.command(*setup)
    shown = screen.wait_for(r"^  machines +3 wanted +3 booting +0 joined *$")
    assert re.search(r"^. [━╸╺ ]+ 0:0\d Starting the leader and 2 workers; 0\.0\d USD so far$", shown, re.MULTILINE)
    assert re.search(r"^  leader +1 wanted +0 pending +0 running", shown, re.MULTILINE)
    assert re.search(r"^  workers +2 wanted +0 pending +0 running", shown, re.MULTILINE)
    local.set_faults(slow_boot=None)
    shown = screen.wait_for(r"^code=0")
    assert "The leader and 2 workers run, after " in shown
    assert "booting" not in shown
    screen.command("update_instances", "--option", "shutdown")
    screen.wait_for(r"^code=0")


@pytest.mark.usefixtures("project")
def test_a_run_asks_before_it_costs_money_and_is_drawn_until_ctrl_c_and_again(screen: Screen, tmp_path: Path) -> None:
    for place in range(3):
        (tmp_path / f"{place}.cnf").write_text(f"c {place}\np cnf 1 1\n1 0\n")
    begin = ("run_benchmarks", str(tmp_path), "--timeout", "60", "--output", str(tmp_path / "run"))
    screen.command(*begin)
    screen.wait_for(r"^Type yes to go on: ")
    screen.type("no")
    assert "Nothing was sent." in screen.wait_for(r"^code=1")

    screen.command(*begin)
    screen.wait_for(r"^Type yes to go on: ")
    screen.type("yes")
    shown = screen.wait_for(r"^. [━╸╺ ]+ 0:0\d 0 of 3 problems, 0 solved *$")
    assert "Sent 3 jobs in " in shown
    screen.wait_for(r"^  no leader is running *$")
    screen.press("C-c")
    shown = screen.wait_for(r"^code=130")
    assert "The jobs go on in AWS. To follow them again:\n  ./run_benchmarks --resume" in shown
    assert "Traceback" not in shown
    screen.command("run_benchmarks", "--resume", str(tmp_path / "run"))
    screen.wait_for(r"0 of 3 problems, 0 solved")
    screen.press("C-c")
    screen.wait_for(r"^code=130")


@pytest.mark.usefixtures("project")
def test_a_deletion_asks_for_the_name_and_takes_no_other(screen: Screen) -> None:
    delete = ("delete-solver-infrastructure", "--project", PROJECT)
    screen.command(*delete)
    screen.wait_for(r"^Type the project's name to go on: ")
    screen.type("yes")
    shown = screen.wait_for(r"^code=1")
    assert "'yes' is not the project's name: nothing was deleted." in shown

    screen.command(*delete)
    screen.wait_for(r"^Type the project's name to go on: ")
    screen.press("C-c")
    shown = screen.wait_for(r"^code=130")
    assert "Stopped by Ctrl-C." in shown
    assert "Traceback" not in shown

    screen.command(*delete)
    screen.wait_for(r"^Type the project's name to go on: ")
    screen.type(PROJECT)
    shown = screen.wait_for(r"^code=0")
    assert "Nothing of it is left in us-east-1." in shown


@pytest.mark.usefixtures("no_project")
def test_ctrl_c_while_creating_says_what_goes_on(screen: Screen) -> None:
    create = ("create-solver-infrastructure", "--project", PROJECT, "--solver-type", "cloud")
    screen.command(*create)
    screen.wait_for(r"\d/49 done; ")
    screen.press("C-c")
    shown = screen.wait_for(r"^code=130")
    assert "AWS goes on creating the infrastructure (which costs nothing per hour)" in shown
    assert "Traceback" not in shown
    screen.command(*create)
    shown = screen.wait_for(r"^code=0")
    assert "exists and is complete" in shown
    screen.command("delete-solver-infrastructure", "--project", PROJECT, "--yes")
    screen.wait_for(r"^code=0")
