"""What a solver's run leaves in its directory: solver_out.json, the files it names, and the captured output."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ..jobs import Verdict

CAPTURED_STDOUT = "captured_stdout.log"
CAPTURED_STDERR = "captured_stderr.log"
"""Not `stdout.log` and `stderr.log`: those are the names that solvers give to their own."""
_MAX_OUTPUT_BYTES = 1024 * 1024
_TAIL_BYTES = 4096
_TAIL_LINES = 5
_TAIL_LINE = 300
_STATEMENTS = {b"SATISFIABLE": Verdict.SAT, b"UNSATISFIABLE": Verdict.UNSAT, b"UNKNOWN": Verdict.UNKNOWN}


@dataclass(frozen=True)
class Outputs:
    """A run's files. `reported` is solver_out.json as the solver wrote it, empty where it can't be used.

    `return_code` is what it says, None where it is missing or can't be used; of the latter, `fault` says why. `stdout`
    and `stderr` are the files that it names, or else hold the captured output.
    """

    directory: Path
    stdout: Path
    stderr: Path
    reported: Mapping[str, Any] = field(default_factory=dict)
    return_code: int | None = None
    fault: str = ""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """See what the solver has left in the job's directory. Never raises: whatever is there is a solver's doing."""
        reported, fault = _read_report(directory / "solver_out.json")
        return cls(
            directory,
            stdout=_artifact(reported, "stdout_path", directory) or directory / CAPTURED_STDOUT,
            stderr=_artifact(reported, "stderr_path", directory) or directory / CAPTURED_STDERR,
            reported=reported,
            return_code=reported.get("return_code"),
            fault=fault,
        )

    def files(self) -> dict[str, Path]:
        """What is worth keeping, by the name it is kept under."""
        files = {
            "input.json": self.directory / "input.json",
            "solver_out.json": self.directory / "solver_out.json",
            "stdout": self.stdout,
            "stderr": self.stderr,
            CAPTURED_STDOUT: self.directory / CAPTURED_STDOUT,
            CAPTURED_STDERR: self.directory / CAPTURED_STDERR,
        }
        kept: dict[str, Path] = {}
        for name, path in files.items():
            # What was captured beside a solver's own files is where its start script's errors are: kept if not empty.
            if path.is_file() and path not in kept.values() and (name in _ALWAYS or path.stat().st_size):
                kept[name] = path
        return kept

    def statements(self) -> set[Verdict]:
        """What the `s` lines of stdout say. Lines that are not of the competition's three are someone else's."""
        found = set()
        try:
            with self.stdout.open("rb") as lines:
                for line in lines:
                    if line.startswith(b"s ") and (verdict := _STATEMENTS.get(line[2:].strip())):
                        found.add(verdict)
        except OSError:
            return set()
        return found

    def last_words(self) -> str:
        """The last lines of stderr, the solver's own or else the captured one, on one line; empty if there are none."""
        return _tail(self.stderr) or _tail(self.directory / CAPTURED_STDERR)


_ALWAYS = {"input.json", "solver_out.json", "stdout", "stderr"}


def _read_report(path: Path) -> tuple[dict[str, Any], str]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_OUTPUT_BYTES + 1)
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"solver_out.json can't be read: {error.strerror}."
    if len(text) > _MAX_OUTPUT_BYTES:
        return {}, f"solver_out.json is larger than {_MAX_OUTPUT_BYTES} bytes."
    try:
        report = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, f"solver_out.json is not JSON: {error}."
    if not isinstance(report, dict):
        return {}, "solver_out.json is not a JSON object."
    code = report.get("return_code")
    if not isinstance(code, int) or isinstance(code, bool):
        return {}, f"solver_out.json has no whole number 'return_code', but {json.dumps(code)[:100]}."
    return report, ""


def _artifact(reported: Mapping[str, Any], name: str, directory: Path) -> Path | None:
    artifacts = reported.get("artifacts")
    path = artifacts.get(name) if isinstance(artifacts, dict) else None
    if not isinstance(path, str) or not path:
        return None
    located = directory / path  # relative to the directory that the solver was started in
    try:
        return located if located.is_file() else None
    except OSError:  # too long a name, for example
        return None


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [" ".join(line.split())[:_TAIL_LINE] for line in text.splitlines()]
    return " | ".join([line for line in lines if line][-_TAIL_LINES:])
