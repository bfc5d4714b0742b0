"""Tab: what the commands offer, in a real bash and a real zsh, and that pressing it never does anything else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.reference import MODULES

from .test_terminal import Screen

ROOT = Path(__file__).parent.parent
SHELLS = {"bash": "bash --norc --noprofile", "zsh": "zsh -f"}


def require(*programs: str) -> None:
    """Skip without these programs; fail where tests may not be skipped."""
    absent = [program for program in programs if not shutil.which(program)]
    if absent and os.environ.get("CI") == "true":
        pytest.fail(f"these tests may not be skipped here: {absent} not installed")
    if absent:
        pytest.skip(f"not installed: apt install {' '.join(absent)}")


def offered(line: str, tmp_path: Path, *python: str, **environment: str) -> list[str]:
    """What is offered behind a line, asked as argcomplete's function for bash asks."""
    answer = tmp_path / "answer"
    answer.touch()
    ended = subprocess.run(
        [sys.executable, *python, ROOT / line.partition(" ")[0]],
        env={
            "PATH": "/usr/bin:/bin",
            "AWS_EC2_METADATA_DISABLED": "true",
            **environment,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_SHELL": "bash",
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "COMP_LINE": f"./{line}",
            "COMP_POINT": str(len(f"./{line}")),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stdout == ""
    assert ended.returncode == (1 if python else 0), ended.stderr
    return answer.read_text().split("\v") if answer.read_text() else []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("update_instances --option ", ["setup", "shutdown"]),
        ("create-solver-infrastructure --solver-type=p", ["--solver-type=parallel"]),
        ("send_message --location ", []),
        ("send_message --args -p --await", ["--await-response"]),
        ("run_benchmarks --sample ", ["suite/"]),
        ("run_benchmarks --expected ", ["suite/", "right.csv"]),
        ("rehearse --problem ", ["a.cnf", "right.csv", "suite/"]),
        ("show_status --profile ", ["for-tests"]),
        ("show_status --region eu-central-", ["eu-central-1", "eu-central-2"]),
        ("push-ecr --leader my", ["my-solver:leader", "my-solver:worker"]),
    ],
)
def test_what_can_stand_there_is_offered(line: str, expected: list[str], tmp_path: Path) -> None:
    here, config = tmp_path / "here", tmp_path / "config"
    (here / "suite").mkdir(parents=True)
    (here / "a.cnf").touch()
    (here / "right.csv").touch()
    config.write_text("[profile for-tests]\n")
    engine = tmp_path / "bin" / "docker"
    engine.parent.mkdir()
    engine.write_text("#!/bin/sh\nprintf '%s\\n' my-solver:leader my-solver:worker other:1 '<none>:<none>'\n")
    engine.chmod(0o755)
    found = offered(line, here, PATH=f"{engine.parent}:/usr/bin:/bin", AWS_CONFIG_FILE=str(config))
    assert sorted(set(found) - {"answer"}) == sorted(expected)


def test_all_options_are_offered_before_one_is_typed(tmp_path: Path) -> None:
    assert offered("push-ecr ", tmp_path) == [
        "--leader", "--worker", "--restart", "--project", "--region", "--profile", "--debug", "--help",
    ]  # fmt: skip


def test_without_an_engine_no_image_is_offered(tmp_path: Path) -> None:
    assert offered("push-ecr --leader ", tmp_path, PATH=str(tmp_path)) == []


@pytest.mark.parametrize("command", ["rehearse", "show_status"])
def test_without_its_dependencies_a_command_offers_nothing_and_does_nothing(command: str, tmp_path: Path) -> None:
    assert offered(f"{command} ", tmp_path, "-S") == []


def test_all_commands_of_the_folder_are_registered() -> None:
    words = re.search(r"^_satcomp_register (.+)", (ROOT / "completion.sh").read_text().replace("\\\n", ""), re.M)
    assert words
    assert sorted(words[1].split()) == sorted(MODULES)


@pytest.mark.parametrize("shell", SHELLS)
def test_without_the_environment_it_says_how_to_get_it(shell: str, tmp_path: Path) -> None:
    require(shell)
    shutil.copy(ROOT / "completion.sh", tmp_path)
    (tmp_path / "dirname").symlink_to(str(shutil.which("dirname")))
    words = [*SHELLS[shell].split(), "-c", f"source {tmp_path}/completion.sh"]
    answer = subprocess.run(
        [str(shutil.which(words[0])), *words[1:]],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == f"Completion needs what 'make .venv' installs: type it in {tmp_path}, then this again.\n"


class Shell(Screen):
    """A terminal with bash or zsh in it, and completion."""

    def __init__(self, shell: str) -> None:
        binaries = Path(sys.executable).parent
        super().__init__({"PATH": f"{binaries}:/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED": "true"})
        self.type(f"cd {ROOT} && exec {SHELLS[shell]}")
        self._run(f"PS1='$ '; source {ROOT}/completion.sh")

    def begin(self, folder: Path = ROOT) -> None:
        """An empty screen, in a folder."""
        self.press("C-u")  # not Ctrl-C: zsh loses some of what is typed right after it
        self._run(f"cd {folder}")

    def _run(self, line: str) -> None:
        self._mark = f"=== {uuid.uuid4().hex}"
        self.type(f"{line}; clear; echo; echo '{self._mark}'")
        self.wait_for(r"^\$ ")

    def tab(self, text: str) -> None:
        """Type a text, without Enter, and Tab."""
        self._tmux("send-keys", "-l", "--", text)
        self.press("Tab")


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest) -> Iterator[Shell]:
    require(request.param, "tmux")
    terminal = Shell(request.param)
    yield terminal
    terminal.close()


def test_tab_completes_an_option_its_choice_and_a_directory(shell: Shell) -> None:
    shell.begin()
    shell.tab("./run_benchmarks --format b")
    shell.wait_for(r"^\$ ./run_benchmarks --format benchexec $")
    shell.tab("--rep")
    shell.wait_for(r"--format benchexec --report $")
    shell.tab("docs/ref")
    shell.wait_for(r"--format benchexec --report docs/reference/ ?$")


def test_tab_does_not_run_a_command_of_another_folder(shell: Shell, tmp_path: Path) -> None:
    other = tmp_path / "update_instances"
    other.write_text("#!/bin/sh\ntouch was-run\n")
    other.chmod(0o755)
    (tmp_path / "a-file").touch()
    shell.begin(tmp_path)
    shell.tab("./update_instances a-f")
    shell.wait_for(r"^\$ ./update_instances a-file $")  # files, as without completion
    assert not (tmp_path / "was-run").exists()
