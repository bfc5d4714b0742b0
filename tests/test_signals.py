"""What ends a command from outside: signals, and terminals and pipes that are gone. What is to be done then is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from satcomp_infra.signals import Ending

ROOT = Path(__file__).parent.parent
HUP, INT, TERM = signal.SIGHUP, signal.SIGINT, signal.SIGTERM
COMMAND = """\
import time
from pathlib import Path
from satcomp_infra.command_line import Parser
def parser():
    return Parser("x", "purpose", usage=[""], examples=[], exit_codes={})
def run(args, console):
    console.when_interrupted = "Machines may be running."
    try:
        console.say("begun")
        time.sleep(60)
    finally:
        with console.waiting("Stopping"):
            console.say("stopping")
            console.result("stopped")
        Path("stopped").touch()
        console.when_interrupted = "No machine is running."
"""
START = """\
import os, satcomp_infra.commands
satcomp_infra.commands.__path__.append(os.getcwd())
from satcomp_infra.cli import start
start("commands.satcomp_waiting")
"""


class Heard:
    """An ending that is told of signals, at times that a test chooses."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ending = Ending(lambda: self.now)

    def ends(self, number: signal.Signals) -> bool:
        try:
            self.ending.hear(number)
        except KeyboardInterrupt:
            return True
        return False


@pytest.mark.parametrize(("number", "code"), [(HUP, 129), (INT, 130), (TERM, 143)])
def test_the_exit_code_tells_the_signal(number: signal.Signals, code: int) -> None:
    heard = Heard()
    assert heard.ending.exit_code(1) == 1
    assert heard.ends(number)
    assert heard.ending.exit_code(130) == code


@pytest.mark.parametrize("first", [HUP, INT, TERM])
def test_what_comes_with_a_signal_does_not_cut_short_what_is_done_at_the_end(first: signal.Signals) -> None:
    heard = Heard()
    assert heard.ends(first)
    assert not heard.ends(TERM)
    assert not heard.ends(HUP)
    heard.now += 60
    assert not heard.ends(HUP)


@pytest.mark.parametrize(("again", "after"), [(INT, 0), (INT, 60), (TERM, 60)])
@pytest.mark.parametrize("first", [HUP, INT, TERM])
def test_who_insists_is_heard(first: signal.Signals, again: signal.Signals, after: float) -> None:
    heard = Heard()
    assert heard.ends(first)
    heard.now += after
    assert heard.ends(again)


@contextmanager
def begun(directory: Path, output: int, reader: int, *started_by: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that waits, whose output goes there."""
    (directory / "satcomp_waiting.py").write_text(COMMAND)
    command = subprocess.Popen(
        [*started_by, sys.executable, "-c", START],
        stdin=output,
        stdout=output,
        stderr=output,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"},
    )
    os.close(output)
    try:
        seen = b""
        while not seen.endswith(b"\n"):
            seen += (data := os.read(reader, 1000))
            assert data, seen
        yield command
    finally:
        command.kill()
        command.wait()


def the_rest(reader: int) -> str:
    seen = b""
    while data := os.read(reader, 1000):
        seen += data
    return seen.decode()


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(TERM, 143, "SIGTERM"), (HUP, 129, "SIGHUP, as when its terminal is closed")],
)
def test_a_signal_lets_a_command_finish_and_say_what_runs(
    tmp_path: Path, number: signal.Signals, code: int, words: str
) -> None:
    reader, output = os.pipe()
    with begun(tmp_path, output, reader) as command:
        command.send_signal(number)
        assert command.wait(20) == code
        assert the_rest(reader) == f"Stopping ...\nstopping\nstopped\nStopped by {words}. No machine is running.\n"
    os.close(reader)


def test_a_terminal_that_is_closed_keeps_nothing_from_being_done(tmp_path: Path) -> None:
    reader, output = os.openpty()
    with begun(tmp_path, output, reader, "setsid", "--ctty") as command:
        os.close(reader)
        assert command.wait(20) == 129
    assert (tmp_path / "stopped").exists()


def test_a_pipe_without_a_reader_keeps_nothing_from_being_done(tmp_path: Path) -> None:
    reader, output = os.pipe()  # as in ./run_benchmarks 2>&1 | tee log: Ctrl-C ends tee, too
    with begun(tmp_path, output, reader) as command:
        os.close(reader)
        command.send_signal(INT)
        assert command.wait(20) == 130
    assert (tmp_path / "stopped").exists()


def test_with_nohup_it_goes_on_when_the_terminal_is_closed(tmp_path: Path) -> None:
    reader, output = os.pipe()
    with begun(tmp_path, output, reader, "nohup") as command:
        command.send_signal(HUP)
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(0.3)
        command.send_signal(TERM)
        assert command.wait(20) == 143
    os.close(reader)
