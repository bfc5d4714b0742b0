"""Capturing what a solver prints, however much that is, and finding the answer in it."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from satcomp_infra.jobs import Verdict
from satcomp_infra.node.capture import Capture
from satcomp_infra.node.files import shortened
from satcomp_infra.node.outputs import CAPTURED_STDOUT, Outputs


def captured(directory: Path, script: str, limit: int = 1000) -> tuple[bytes, str]:
    path = directory / CAPTURED_STDOUT
    with Capture(path, limit) as capture:
        subprocess.run(["sh", "-c", script], stdout=capture.writer, check=True)
    return path.read_bytes(), capture.fault


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000])
def test_what_is_not_too_long_is_kept_as_it_is(tmp_path: Path, count: int) -> None:
    assert captured(tmp_path, f"head -c {count} /dev/zero") == (bytes(count), "")


def test_of_what_is_too_long_the_two_ends_are_kept_and_read(tmp_path: Path) -> None:
    flood, _ = captured(tmp_path, "echo 's UNKNOWN'; yes | head -c 30000000; echo; echo 's SATISFIABLE'")
    assert flood.startswith(b"s UNKNOWN\ny\ny\n")
    assert flood.endswith(b"y\ny\n\ns SATISFIABLE\n")
    size = len(b"s UNKNOWN\n\ns SATISFIABLE\n") + 30_000_000
    assert b"\n[%d bytes left out here]\n" % (size - 1000) in flood
    assert len(flood) < 1050
    assert Outputs.read(tmp_path).statements() == {Verdict.UNKNOWN, Verdict.SAT}


def test_who_prints_goes_on_where_there_is_no_space_left(tmp_path: Path) -> None:
    (tmp_path / CAPTURED_STDOUT).symlink_to("/dev/full")
    with Capture(tmp_path / CAPTURED_STDOUT) as capture:
        subprocess.run(["sh", "-c", "yes | head -c 3000000"], stdout=capture.writer, check=True)
    assert "not complete: No space left on device" in capture.fault


def test_who_keeps_the_pipe_open_does_not_hold_up_the_node(tmp_path: Path) -> None:
    with Capture(tmp_path / "file", patience=0.05) as capture:
        kept = os.dup(capture.writer)
        os.write(kept, b"so far")
    assert (tmp_path / "file").read_bytes() == b"so far"
    assert capture.fault == "file is not complete: it is still being written."
    os.close(kept)


def test_a_small_file_is_kept_as_it_is() -> None:
    file = io.BytesIO(bytes(10))
    assert shortened(file, 10) is None
    assert len(file.read()) == 10


def test_of_a_large_file_the_ends_are_kept() -> None:
    assert shortened(io.BytesIO(b"12345" + bytes(20) + b"67890"), 10) == b"12345\n[20 bytes left out here]\n67890"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", set()),
        (b"s SATISFIABLE", {Verdict.SAT}),
        (b"c\ns  UNSATISFIABLE\t\r\nv 0\n", {Verdict.UNSAT}),
        (b"c s SATISFIABLE\n s SATISFIABLE\ns SATISFIABLE too\ns\n", set()),
        (b"s " + b"x" * 100_000 + b"\ns UNKNOWN\n", {Verdict.UNKNOWN}),
    ],
)
def test_statements_are_whole_lines(tmp_path: Path, text: bytes, found: set[Verdict]) -> None:
    (tmp_path / CAPTURED_STDOUT).write_bytes(text)
    assert Outputs.read(tmp_path).statements() == found
