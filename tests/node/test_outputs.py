"""What a solver leaves in its directory, read without harm."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from satcomp_infra.jobs import Result, Verdict
from satcomp_infra.node.outputs import CAPTURED_STDOUT, Outputs


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A job's directory, beside what is none of its solver's business."""
    (tmp_path / "secret").write_text("s SATISFIABLE\n")
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def report(directory: Path, stdout: str) -> None:
    text = json.dumps({"return_code": 10, "artifacts": {"stdout_path": stdout}})
    (directory / "solver_out.json").write_text(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"\xff\xfe\x00garbage", "is not JSON"),
        (b" " * 2_000_000, "is larger than 1048576 bytes"),
        (b'{"return_code": NaN}', "NaN is no number"),
        (b'{"return_code": 10, "a": ' + b"[" * 60 + b"]" * 60 + b"}", "is nested more than 50 levels deep"),
        (b"[" * 900_000, "is not JSON"),
        (b'{"return_code": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[10]", "is not a JSON object"),
        (b"", "is not JSON"),
    ],
    ids=lambda value: value[:20],
)
def test_a_report_that_can_not_be_used_says_why(directory: Path, text: bytes, fault: str) -> None:
    (directory / "solver_out.json").write_bytes(text)
    outputs = Outputs.read(directory)
    assert (outputs.return_code, outputs.reported) == (None, {})
    assert fault in outputs.fault
    assert len(outputs.fault) < 500


def test_an_odd_report_goes_into_the_result_as_it_is(directory: Path) -> None:
    odd = {"return_code": 10**300, "artifacts": [], "\ud800": "\0", "deep": [[[[{}]]]]}
    (directory / "solver_out.json").write_text(json.dumps(odd))
    outputs = Outputs.read(directory)
    result = Result("id", Verdict.ERROR, "", solver_output=outputs.reported)
    assert Result.from_json(result.to_json().encode()).solver_output == odd


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda stdout: stdout.symlink_to("../secret"), "outside of the job's directory"),
        (lambda stdout: stdout.symlink_to("/proc/self/environ"), "outside of the job's directory"),
        (lambda stdout: stdout.symlink_to(stdout), "symbolic links"),
        (os.mkfifo, "it is not a file"),
        (Path.mkdir, "it is not a file"),
        (lambda stdout: None, "No such file"),
    ],
    ids=["link", "link into proc", "loop", "pipe", "directory", "nothing"],
)
def test_what_is_no_file_of_the_job_is_not_read(directory: Path, make: Callable[[Path], None], fault: str) -> None:
    make(directory / "stdout.log")
    (directory / CAPTURED_STDOUT).write_text("s UNKNOWN\n")
    report(directory, f"{directory}/stdout.log")
    outputs = Outputs.read(directory)
    assert fault in outputs.fault
    assert outputs.statements() == {Verdict.UNKNOWN}
    assert outputs.files() == {
        "stdout": directory / CAPTURED_STDOUT,
        "solver_out.json": directory / "solver_out.json",
    }


@pytest.mark.parametrize("path", ["../secret", "link/secret", "/etc/passwd", "a\0b", "\ud800", "x" * 5000, "."])
def test_a_path_that_leads_elsewhere_or_nowhere_is_not_followed(directory: Path, path: str) -> None:
    (directory / "link").symlink_to("..")
    report(directory, path)
    outputs = Outputs.read(directory)
    assert "can't be read" in outputs.fault
    assert len(outputs.fault) < 500
    assert outputs.statements() == set()
    assert set(outputs.files()) == {"solver_out.json"}


def test_a_link_within_the_directory_is_as_good_as_a_file(directory: Path) -> None:
    (directory / "run").mkdir()
    (directory / "run" / "1").write_text("s SATISFIABLE\n")
    (directory / "stdout.log").symlink_to("run/1")
    report(directory, "stdout.log")
    outputs = Outputs.read(directory)
    assert (outputs.statements(), outputs.fault) == ({Verdict.SAT}, "")
    assert outputs.files()["stdout"] == directory / "run" / "1"


def test_the_shared_directory_itself_may_be_a_link(directory: Path) -> None:
    (directory / "stdout.log").write_text("s SATISFIABLE\n")
    report(directory, "stdout.log")
    (directory.parent / "mount").symlink_to(".")
    outputs = Outputs.read(directory.parent / "mount" / "job")
    assert (outputs.return_code, outputs.statements(), outputs.fault) == (10, {Verdict.SAT}, "")


def test_last_words_are_plain_text(directory: Path) -> None:
    (directory / "stderr.log").write_bytes(b"\x1b[31mred\x1b[0m\x07 \xff\n\n\tbye\r\n")
    text = json.dumps({"return_code": 1, "artifacts": {"stderr_path": "stderr.log"}})
    (directory / "solver_out.json").write_text(text)
    assert Outputs.read(directory).last_words() == "red \ufffd | bye"
