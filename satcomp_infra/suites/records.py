"""What is kept of a run of many problems, and what a report needs: `run.json`, and `results.csv`, a row a problem."""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from ..errors import SatcompError, UsageError
from ..jobs import Job, Result, S3Uri, Verdict

RESULTS = "results.csv"
RUN = "run.json"
_NO_RUN = "Name a directory that run_benchmarks has made."
SOLVED = (Verdict.SAT, Verdict.UNSAT)


def plain(text: str) -> str:
    """A text that survives any table: on one line, without control characters, and as UTF-8 can hold it."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text.encode(errors="replace").decode())


@dataclass(frozen=True)
class Problem:
    """A problem of a suite. `name` tells it from others, `location` is S3's; `expected` is SAT, UNSAT or empty."""

    name: str
    location: str
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What has come of a problem: a row of results.csv. Times are in seconds, memory in MiB. No verdict: no result yet.

    `expected` is SAT, UNSAT or empty; `timeout` what the solver got; what else there is stands in `jobs.Result`.
    """

    problem: str
    verdict: str = ""
    expected: str = ""
    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    timeout: int = 0
    model: str = ""
    node: str = ""
    attempt: int = 1
    job: str = ""
    location: str = ""
    files: str = ""
    reason: str = ""

    @property
    def answered(self) -> bool:
        """Whether the solver has said SAT or UNSAT; it may be wrong."""
        return self.verdict in SOLVED

    @classmethod
    def of(cls, problem: Problem, result: Result) -> Self:
        """From a job's result. What solvers and nodes say becomes one line, without control characters."""
        return cls(
            problem=problem.name,
            verdict=str(result.verdict),
            expected=problem.expected,
            wall=round(result.wall_seconds, 3),
            cpu=round(result.cpu_seconds, 3),
            memory=result.peak_memory_mib,
            timeout=result.timeout_seconds,
            model=plain(result.model),
            node=plain(result.node),
            attempt=result.attempt,
            job=result.job_id,
            location=problem.location,
            files=plain(result.files),
            reason=plain(result.reason)[:1000],
        )


_COLUMNS = [column.name for column in fields(Row)]
_KINDS: dict[str, type] = {"wall": float, "cpu": float, "memory": int, "timeout": int, "attempt": int}


@dataclass(frozen=True)
class Settings:
    """What was asked for. `budget` and `node_hour` (the price of a node for an hour) are in dollars; no budget: 0."""

    name: str
    id: str
    """Tells this run's jobs from all others."""
    project: str = ""
    region: str = ""
    created: float = 0.0
    """Epoch seconds."""
    timeout: int = 0
    workers: int = 0
    solver_name: str = ""
    solver_options: tuple[str, ...] = ()
    language: str = ""
    check_models: bool = True
    budget: float = 0.0
    node_hour: float = 0.0

    def job(self, place: int, problem: Problem) -> Job:
        """The job of the problem in that place of the suite."""
        return Job(
            problem=S3Uri.parse(problem.location),
            num_workers=self.workers,
            timeout_seconds=self.timeout,
            solver_name=self.solver_name,
            solver_options=self.solver_options,
            language=self.language,
            check_models=self.check_models,
            tag=f"{self.id}/{place}",
        )

    def place(self, tag: object) -> int | None:
        """The place that a job's tag is of; None where it is no job of this run."""
        run, _, place = tag.rpartition("/") if isinstance(tag, str) else ("", "", "")
        return int(place) if run == self.id and place.isdecimal() else None


@dataclass(frozen=True)
class Finished:
    """A run as a report sees it: a name, a row for each problem, and what was asked for where that is known."""

    name: str
    rows: tuple[Row, ...]
    settings: Settings | None = None


def read(directory: Path) -> Finished:
    """A run's results. Raises UsageError where there are none, or they can't be read."""
    path = directory / RESULTS
    if not path.is_file():
        raise UsageError(f"{directory} holds no {RESULTS}.", _NO_RUN)
    settings = read_settings(directory)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        table = csv.DictReader(file)
        lacking = {"problem", "verdict", "wall", "timeout"} - set(table.fieldnames or ())
        if lacking:
            raise UsageError(
                f"{path} has no column '{min(lacking)}'.", "Name a directory that run_benchmarks has made."
            )
        rows = tuple(_row(values, path, table.line_num) for values in table)
    names = {row.problem for row in rows}
    if len(names) < len(rows):
        raise UsageError(f"{path} has several rows for the same problem.")
    return Finished(settings.name if settings else directory.resolve().name, rows, settings)


def read_settings(directory: Path) -> Settings | None:
    """What was asked for in a run; None where the directory doesn't say."""
    try:
        values = json.loads((directory / RUN).read_text(encoding="utf-8"))
        known = {column.name: values[column.name] for column in fields(Settings) if column.name in values}
        return replace(Settings(**known), solver_options=tuple(known.get("solver_options", ())))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise SatcompError(f"{directory / RUN} is damaged: {error}.") from error


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a results.csv; whoever reads it at that moment sees the old one or the new one, whole."""
    with replacing(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_COLUMNS)
        table.writerows([getattr(row, column) for column in _COLUMNS] for row in rows)


def _row(values: Mapping[str | Any, Any], path: Path, line: int) -> Row:
    known = {name: value for name, value in values.items() if name in _COLUMNS and value is not None}
    try:
        row = Row(
            **{name: _KINDS.get(name, str)(value or 0) if name in _KINDS else value for name, value in known.items()}
        )
        if row.verdict:
            Verdict(row.verdict)
    except ValueError as error:
        raise UsageError(f"{path}, line {line}: {error}.", "It is not as run_benchmarks writes it.") from error
    return row


class replacing:  # noqa: N801  # used as a function is
    """A text file to write that takes another one's place when it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Any:
        handle, name = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=self._path.parent)
        os.fchmod(handle, 0o644)
        self._temporary = Path(name)
        self._file = os.fdopen(handle, "w", newline="", encoding="utf-8", errors="replace")
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink()
