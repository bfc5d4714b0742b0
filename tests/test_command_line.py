"""What is typed: options, help, mistakes, and the one place where errors become words."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docs.reference import MODULES
from satcomp_infra import cli
from satcomp_infra.commands import send
from satcomp_infra.progress import Console

from .typing_commands import plain, too_wide
from .waiting import AT_ONCE, PATIENCE

ROOT = Path(__file__).parent.parent


def typed(
    *words: str, env: dict[str, str] | None = None, python: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell would, in an environment in which AWS is nowhere."""
    sealed = {"PATH": "/usr/bin:/bin", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    return subprocess.run(
        [sys.executable, *python, ROOT / words[0], *words[1:]],
        env={**sealed, "AWS_EC2_METADATA_DISABLED": "true", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", MODULES)
def test_help_is_shown_and_loads_nothing_that_is_slow(command: str) -> None:
    shown = typed(command, "--help", python=("-X", "importtime"))
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"usage: ./{command} ")
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in shown.stderr.splitlines()}
    assert "argparse" in names
    assert not names & {"argcomplete", "boto3", "botocore", "docker", "jinja2", "matplotlib", "moto", "rich"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create-solver-infrastructure", "--project", "Abc", "--solver-type", "cloud"), "Use for example 'abc'"),
        (("create-solver-infrastructure", "--project", "ab"), "--solver-type"),
        (("create-solver-infrastructure", "--project", "ab", "--solver-type", "fog"), "'cloud', 'parallel'"),
        (("delete-solver-infrastructure",), "--project"),
        (("push-ecr", "--project", "ab"), "There is nothing to push: name an image of yours with --leader"),
        (("rehearse", "--worker-image", "my-solver:worker"), "--worker-image goes with --images"),
        (("update_instances",), "--option"),
        (("update_instances", "--option", "setup", "--workers", "-1"), "'-1' is not a whole number from 0 to 1000"),
        (("update_instances", "--option", "setup", "--workers", "two"), "'two' is not a whole number"),
        (("update_instances", "--option", "shutdown", "--workers", "2"), "--workers goes with --option setup"),
        (("send_message", "--location", "s3://bkt/key"), "--workers"),
        (("send_message", "--location", "test.cnf", "--workers", "1"), "Write it as s3://BUCKET/KEY"),
        (
            ("send_message", "--location", "s3://bkt/key", "--workers", "1", "--timeout", "0"),
            "'0' is not a whole number",
        ),
        (("send_message", "--locat", "s3://bkt/key", "--workers", "1"), "--location"),
        (("run_benchmarks",), "Give one of PROBLEMS, --resume, --report, --sample"),
        (("run_benchmarks", "suite", "--resume", "runs/a"), "not PROBLEMS and --resume"),
        (("run_benchmarks", "suite"), "--timeout is missing"),
        (("run_benchmarks", "suite", "--timeout", "9", "--budget", "much"), "'much' is not an amount of dollars"),
        (("run_benchmarks", "suite", "--timeout", "9", "--retry", "errors"), "--retry goes with --resume"),
        (("run_benchmarks", "suite", "--timeout", "9", "--format", "benchexec"), "--format goes with --report"),
        (("run_benchmarks", "--resume", "runs/a", "--args", "-p"), "--args goes with PROBLEMS"),
        (("run_benchmarks", "--report", "no/such"), "no/such holds no results.csv"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_2(words: tuple[str, ...], said: str) -> None:
    answer = typed(*words)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert said in plain(answer.stderr)
    assert "Traceback" not in answer.stderr
    assert too_wide(answer.stderr) == []


@pytest.mark.parametrize(
    ("env", "options", "said", "code"),
    [
        ({}, ["--region", "us-east-1"], "No usable AWS credentials", 1),
        ({"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}, [], "No AWS region is configured. Add --region", 2),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, ["--profile", "nope"], "profile (nope) could not be found", 1),
        (
            {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            ["--region", "us-east-1"],
            "AWS can't be reached",
            1,
        ),
        (
            {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
            ["--region", "not a region"],
            "not a region",
            2,
        ),
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        ["create-solver-infrastructure", "--project", "ab", "--solver-type", "cloud"],
        ["delete-solver-infrastructure", "--project", "ab", "--yes"],
        ["send_message", "--location", "s3://bkt/key", "--workers", "0"],
    ],
)
def test_without_aws_a_command_says_what_is_missing(
    words: list[str], env: dict[str, str], options: list[str], said: str, code: int
) -> None:
    answer = typed(*words, *options, env=env)
    assert said in plain(answer.stderr)
    assert answer.returncode == code
    assert "Traceback" not in answer.stderr
    assert too_wide(answer.stderr) == []


def test_debug_shows_the_traceback() -> None:
    answer = typed("send_message", "--location", "s3://bkt/key", "--workers", "0", "--region", "us-east-1", "--debug")
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr
    assert "NoCredentialsError" in answer.stderr


def test_without_its_dependencies_a_command_says_how_to_get_them() -> None:
    answer = typed(
        "send_message", "--location", "s3://bkt/key", "--workers", "0", "--region", "us-east-1", python=("-S",)
    )
    assert answer.returncode == 1
    assert plain(answer.stderr) == (
        "The Python package 'boto3' is missing. In the project's folder, type 'make .venv' and then "
        "'source .venv/bin/activate'."
    )


@pytest.mark.parametrize(
    ("words", "for_solver", "own"),
    [
        ([], [], False),
        (["--args", "-p", "--seed=7"], ["-p", "--seed=7"], False),
        (["--args", "-p", "x y", "--await-response"], ["-p", "x y"], True),
        (["--args", "-h"], ["-h"], False),
        (["--args=--timeout=5", "--await-response"], ["--timeout=5"], True),
        (
            ["--args", "-p", "--", "--timeout", "5", "--await-response"],
            ["-p", "--timeout", "5", "--await-response"],
            False,
        ),
        (["--args", "-a", "--await-response", "--args", "-b"], ["-a", "-b"], True),
        (["--args"], [], False),
        (["--await-response", "--args", ""], [""], True),
    ],
)
def test_the_solver_s_arguments_may_look_like_anything(words: list[str], for_solver: list[str], own: bool) -> None:
    args = send.parser().parse(["--location", "s3://bkt/key", "--workers", "1", *words])
    assert args.args == for_solver
    assert args.await_response is own
    assert args.timeout == 60


class Terminal:
    """A console that keeps what is said."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.console = Console(self.out, self.err, sleep=lambda seconds: None)


def test_ctrl_c_says_what_goes_on_and_ends_with_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "satcomp_interrupted.py"
    command.write_text(
        "from satcomp_infra.command_line import Parser\n"
        "def parser():\n"
        "    return Parser('x', 'purpose', usage=[''], examples=[], exit_codes={})\n"
        "def run(args, console):\n"
        "    console.when_interrupted = 'Machines may be running.'\n"
        "    raise KeyboardInterrupt\n"
    )
    monkeypatch.setattr("satcomp_infra.commands.__path__", [str(tmp_path)])
    terminal = Terminal()
    assert cli.main("commands.satcomp_interrupted", [], terminal.console) == 130
    assert terminal.err.getvalue() == "Stopped by Ctrl-C. Machines may be running.\n"


def test_a_closed_pipe_is_no_error() -> None:
    head = subprocess.run(
        f"{sys.executable} {ROOT / 'send_message'} --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert head.stderr == ""


@pytest.mark.parametrize("words", [["show_status"], ["send_message", "--location", "s3://bucket/a", "--workers", "0"]])
def test_ctrl_c_is_heard_while_aws_does_not_answer(words: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        environment = {**os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}"}
        with subprocess.Popen(
            [sys.executable, ROOT / words[0], *words[1:]], env=environment, stderr=subprocess.PIPE, text=True
        ) as command:
            server.settimeout(PATIENCE)
            connections = [server.accept()]  # it has asked something, and waits for the answer
            command.send_signal(signal.SIGINT)
            started = time.monotonic()
            _, err = command.communicate()
            assert time.monotonic() - started < AT_ONCE
        for connection, _ in connections:
            connection.close()
    assert (command.returncode, err) == (130, "Stopped by Ctrl-C.\n")
