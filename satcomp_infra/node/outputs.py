"""What a solver's run leaves in its directory: solver_out.json, the files it names, and the captured output."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from ..jobs import Verdict
from .files import locate, open_file, shortened

CAPTURED_STDOUT = "captured_stdout.log"
CAPTURED_STDERR = "captured_stderr.log"
"""Not `stdout.log` and `stderr.log`: those are the names that solvers give to their own."""
_REPORT = "solver_out.json"
_MAX_REPORT_BYTES = 1024 * 1024
_MAX_REPORT_DEPTH = 50
"""Whoever reads a result has a limit: most libraries' lie between a hundred and some thousands."""
_TAIL_BYTES = 4096
_TAIL_LINES = 5
_TAIL_LINE = 300
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f-\x9f]")
"""Colours and the like: the reason is shown on people's terminals."""
_CAPTURED = (CAPTURED_STDOUT, CAPTURED_STDERR)
_STATEMENT_BYTES = 100
_STATEMENTS = {b"SATISFIABLE": Verdict.SAT, b"UNSATISFIABLE": Verdict.UNSAT, b"UNKNOWN": Verdict.UNKNOWN}


@dataclass(frozen=True)
class Outputs:
    """A run's files. `reported` is solver_out.json as the solver wrote it, empty where it can't be used.

    `return_code` is what it says, None where it is missing or can't be used. `fault` says what is wrong with it.
    `stdout` and `stderr` are the files that it names, or else hold the captured output.

    Only files that lie in the directory are read: a link out of it would publish whatever it leads to.
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
        reported, fault = _read_report(directory)
        stdout, stdout_fault = _artifact(reported, "stdout_path", directory)
        stderr, stderr_fault = _artifact(reported, "stderr_path", directory)
        return cls(
            directory,
            stdout=stdout or directory / CAPTURED_STDOUT,
            stderr=stderr or directory / CAPTURED_STDERR,
            reported=reported,
            return_code=reported.get("return_code"),
            fault=" ".join(filter(None, (fault, stdout_fault, stderr_fault))),
        )

    def files(self) -> dict[str, Path]:
        """What is worth keeping, by the name it is kept under."""
        own = {name: Path(name) for name in ("input.json", _REPORT, *_CAPTURED)}
        kept: dict[str, Path] = {}
        for name, file in {"stdout": self.stdout, "stderr": self.stderr, **own}.items():
            with suppress(OSError):
                path = locate(self.directory, str(file))
                # What was captured beside a solver's own is where its start script's errors are: kept if not empty.
                if path not in kept.values() and (name not in _CAPTURED or path.stat().st_size):
                    kept[name] = path
        return kept

    def statements(self) -> set[Verdict]:
        """What the `s` lines of stdout say, as far as it is kept. Lines of other words are someone else's."""
        try:
            with _open(self.directory, self.stdout) as file:
                text = b"\n" + (shortened(file) or file.read())
        except OSError:
            return set()
        found = set()
        at = text.find(b"\ns ")  # line by line, a file of short lines takes a minute
        while at >= 0:
            words, *_ = text[at + 3 : at + _STATEMENT_BYTES].split(b"\n", 1)
            if verdict := _STATEMENTS.get(words.strip()):
                found.add(verdict)
            at = text.find(b"\ns ", at + 1)
        return found

    def last_words(self) -> str:
        """The last lines of stderr, the solver's own or else the captured one, on one line; empty if there are none."""
        return self._tail(self.stderr) or self._tail(self.directory / CAPTURED_STDERR)

    def _tail(self, path: Path) -> str:
        try:
            with _open(self.directory, path) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        words = [" ".join(CONTROL.sub(" ", line).split())[:_TAIL_LINE] for line in text.splitlines()]
        return " | ".join([line for line in words if line][-_TAIL_LINES:])


def _open(directory: Path, file: str | Path) -> BinaryIO:
    return open_file(locate(directory, str(file)))


def _read_report(directory: Path) -> tuple[dict[str, Any], str]:
    try:
        with _open(directory, _REPORT) as file:
            text = file.read(_MAX_REPORT_BYTES + 1)
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"{_REPORT} can't be read: {error.strerror}."
    if len(text) > _MAX_REPORT_BYTES:
        return {}, f"{_REPORT} is larger than {_MAX_REPORT_BYTES} bytes."
    try:
        report = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return {}, f"{_REPORT} is not JSON: {error}."
    if not isinstance(report, dict):
        return {}, f"{_REPORT} is not a JSON object."
    if _is_deep(report):
        return {}, f"{_REPORT} is nested more than {_MAX_REPORT_DEPTH} levels deep."
    code = report.get("return_code")
    if not isinstance(code, int) or isinstance(code, bool):
        return {}, f"{_REPORT} has no whole number 'return_code', but {json.dumps(code)[:100]}."
    return report, ""


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _is_deep(report: Any) -> bool:
    level = [report]
    for _ in range(_MAX_REPORT_DEPTH):
        lists = [part for part in level if isinstance(part, list)] + [
            list(part.values()) for part in level if isinstance(part, dict)
        ]
        level = [part for parts in lists for part in parts]
    return bool(level)


def _artifact(reported: Mapping[str, Any], name: str, directory: Path) -> tuple[Path | None, str]:
    artifacts = reported.get("artifacts")
    named = artifacts.get(name) if isinstance(artifacts, dict) else None
    if not isinstance(named, str) or not named:
        return None, ""
    try:
        return locate(directory, named), ""
    except OSError as error:
        return None, f"The {name} of {_REPORT}, {named[:200]!r}, can't be read: {error.strerror}."
