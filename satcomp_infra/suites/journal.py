"""A run that is being carried out, as it is kept in a directory: what was sent, and what has come of it.

    run.json        what was asked for              problems.csv    the problems, and what is known of them
    jobs.jsonl      what was sent, and its ids      results.jsonl   each result, as it came

The two journals (.jsonl) are only ever appended to, a line at a time, and are on the disk before anything follows from
them: so a run can be picked up wherever its command ended, and several commands can follow the same one.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ..errors import UsageError
from .records import RESULTS, RUN, Problem, Row, Settings, read_settings, replacing, write_rows

_PROBLEMS, _JOBS, _RESULTS = "problems.csv", "jobs.jsonl", "results.jsonl"


@dataclass
class Run:
    """A run that is being carried out. `jobs` has the id and the time of each problem's newest job, by its place."""

    directory: Path
    settings: Settings
    problems: list[Problem]
    jobs: dict[int, tuple[str, int]] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    unsure: set[int] = field(default_factory=set)
    """Places of which a job may have been sent: the command ended before AWS's answer was known."""
    pending: dict[str, int] = field(default_factory=dict)
    """The jobs that were sent and have no result yet: their places by their ids."""
    place_of: dict[str, int] = field(default_factory=dict)
    """The place of each job ever sent, by its id."""
    _read: int = 0

    @staticmethod
    def check_is_new(directory: Path) -> None:
        """Raise UsageError where the directory holds a run already."""
        if (directory / RUN).exists():
            raise UsageError(
                f"{directory} holds a run already.",
                f"Go on with it (--resume {directory}), or name another directory (--output).",
            )

    def store(self) -> None:
        """Write what was asked for, unless it is there already."""
        if (self.directory / RUN).exists():
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        with replacing(self.directory / _PROBLEMS) as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("problem", "location", "expected"))
            table.writerows((problem.name, problem.location, problem.expected) for problem in self.problems)
        with replacing(self.directory / RUN) as file:  # last: what has this file is complete
            file.write(json.dumps(asdict(self.settings), indent=2) + "\n")

    @classmethod
    def open(cls, directory: Path) -> Self:
        """A run that was begun. Raises UsageError where the directory holds none."""
        settings = read_settings(directory)
        if settings is None or not (directory / _PROBLEMS).exists():
            raise UsageError(f"{directory} holds no run.", "Name a directory that run_benchmarks has made.")
        with (directory / _PROBLEMS).open(newline="") as file:
            problems = [Problem(row["problem"], row["location"], row["expected"]) for row in csv.DictReader(file)]
        run = cls(directory, settings, problems)
        run.read_journals()
        return run

    def read_journals(self) -> None:
        """See what was sent and what came, also by another command that follows the same run."""
        self._read = self._journal_size()
        for line in _lines(self.directory / _JOBS):
            self._about_to_send(line.get("sending", ()))
            for place, job in line.get("sent", {}).items():
                self._know(int(place), job, line["second"])
        for line in _lines(self.directory / _RESULTS):
            self._take(Row(**line))

    def read_new(self) -> None:
        """The same, where another command has sent jobs meanwhile."""
        if self._journal_size() != self._read:
            self.read_journals()

    def _journal_size(self) -> int:
        path = self.directory / _JOBS
        return path.stat().st_size if path.exists() else 0

    @property
    def missing(self) -> list[int]:
        """Places of problems of which no job was sent, as far as is known."""
        return [place for place in range(len(self.problems)) if place not in self.jobs and place not in self.unsure]

    @property
    def unfinished(self) -> int:
        """How many problems have no result yet."""
        return len(self.problems) - len(self.rows)

    def sending(self, places: list[int]) -> None:
        """Note that jobs are about to be sent; what came of earlier ones of these problems counts no more."""
        _append(self.directory / _JOBS, [{"sending": places}])
        self._about_to_send(places)

    def sent(self, ids: Mapping[int, str], second: int) -> None:
        """Note what was sent, by place, and when (epoch seconds)."""
        if ids:
            _append(
                self.directory / _JOBS, [{"sent": {str(place): job for place, job in ids.items()}, "second": second}]
            )
        for place, job in ids.items():
            self._know(place, job, second)

    def not_sent(self, places: Iterable[int]) -> None:
        """Forget that these were about to be sent: AWS has refused them."""
        self.unsure.difference_update(places)

    def add(self, rows: list[Row]) -> None:
        """Note results."""
        _append(self.directory / _RESULTS, [asdict(row) for row in rows])
        for row in rows:
            self._take(row)

    def write_results(self) -> None:
        """Write results.csv, as far as it is known."""
        rows = [self.rows.get(place) or self._empty(place) for place in range(len(self.problems))]
        write_rows(self.directory / RESULTS, rows)

    def _empty(self, place: int) -> Row:
        problem, job = self.problems[place], self.jobs.get(place, ("", 0))[0]
        timeout = self.settings.timeout
        return Row(problem.name, expected=problem.expected, timeout=timeout, job=job, location=problem.location)

    def _about_to_send(self, places: Iterable[int]) -> None:
        for place in places:
            self.unsure.add(place)
            self.rows.pop(place, None)
            self.pending.pop(self.jobs.get(place, ("", 0))[0], None)

    def _know(self, place: int, job: str, second: int) -> None:
        self.unsure.discard(place)
        known = self.place_of.setdefault(job, place)
        earlier = self.jobs.get(place, ("", 0))[0]
        if known == place and earlier != job:
            self.pending.pop(earlier, None)
            self.rows.pop(place, None)
            self.jobs[place] = job, second
            self.pending[job] = place

    def _take(self, row: Row) -> None:
        place = self.place_of.get(row.job)
        if place is not None and place not in self.unsure and self.jobs[place][0] == row.job:
            self.rows[place] = row
            self.pending.pop(row.job, None)


def _append(path: Path, lines: list[dict[str, Any]]) -> None:
    """Add lines to a journal, behind a line break if the last one was not finished; on disk when this returns."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(errors="replace")
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                text = b"\n" + text
        file.write(text)  # at once: a second command may be writing, too
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """A journal's lines; one that was being written when the command was killed is passed over."""
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                yield value
    except FileNotFoundError:
        return
