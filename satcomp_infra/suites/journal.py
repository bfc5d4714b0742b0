"""A run that is being carried out, as it is kept in a directory: what was sent, and what has come of it.

    run.json        what was asked for              problems.csv    the problems, and what is known of them
    jobs.jsonl      what was sent, and its ids      results.jsonl   each result, as it came
    costs.jsonl     what was spent, in dollars

The journals (.jsonl) are only ever appended to, a line at a time, and are on the disk before anything follows from
them: so a run can be picked up wherever its command ended, and several commands can follow the same one.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from ..errors import UsageError
from ..jobs import Verdict
from .lines import SharedLines
from .records import RESULTS, RUN, Problem, Row, Settings, read_settings, replacing, write_rows

_PROBLEMS, _JOBS, _RESULTS, _COSTS = "problems.csv", "jobs.jsonl", "results.jsonl", "costs.jsonl"


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
    spent: float = 0.0
    """Dollars that all commands of this run have spent, as far as they have noted it."""
    _jobs: SharedLines = field(init=False, repr=False)
    _results: SharedLines = field(init=False, repr=False)
    _costs: SharedLines = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._jobs = SharedLines(self.directory / _JOBS)
        self._results = SharedLines(self.directory / _RESULTS)
        self._costs = SharedLines(self.directory / _COSTS)

    @staticmethod
    def check_is_new(directory: Path) -> None:
        """Raise UsageError where the directory holds a run already."""
        if (directory / RUN).exists():
            raise UsageError(
                f"{directory} holds a run already.",
                f"Go on with it (--resume {directory}), or name another directory (--output).",
            )

    def store(self) -> None:
        """Write what was asked for, or what has changed of it; the directory is this run's from then on.

        Raises UsageError where it is another's, which may have been begun at the same time.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with _locked(self.directory):
            there = read_settings(self.directory)
            if there is None:
                self._write_problems()
            elif there.id != self.settings.id:
                self.check_is_new(self.directory)
            if there != self.settings:
                self._write_settings()

    def _write_problems(self) -> None:
        with replacing(self.directory / _PROBLEMS) as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("problem", "location", "expected"))
            table.writerows((problem.name, problem.location, problem.expected) for problem in self.problems)

    def _write_settings(self) -> None:
        with replacing(self.directory / RUN) as file:  # last: what has this file is complete
            file.write(json.dumps(asdict(self.settings), indent=2) + "\n")

    @classmethod
    def open(cls, directory: Path) -> Self:
        """A run that was begun. Raises UsageError where the directory holds none."""
        settings = read_settings(directory)
        if settings is None or not (directory / _PROBLEMS).exists():
            raise UsageError(f"{directory} holds no run.", "Name a directory that run_benchmarks has made.")
        with (directory / _PROBLEMS).open(newline="", encoding="utf-8") as file:
            problems = [Problem(row["problem"], row["location"], row["expected"]) for row in csv.DictReader(file)]
        run = cls(directory, settings, problems)
        run.read_new()
        return run

    def read_new(self) -> None:
        """See what was sent and what came since the last time, also by other commands that follow the same run."""
        results = self._results.size()  # first: whatever has a result by now was noted as sent before
        for line in self._jobs.new(self._jobs.size()):
            self._about_to_send(line.get("sending", ()))
            for place, job in line.get("sent", {}).items():
                self._know(int(place), job, line["second"])
        for line in self._results.new(results):
            self._take(Row(**line))
        self.spent += sum(line["dollars"] for line in self._costs.new(self._costs.size()))

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
        self._jobs.append([{"sending": places}])
        self._about_to_send(places)

    def sent(self, ids: Mapping[int, str], second: int) -> None:
        """Note what was sent, by place, and when (epoch seconds)."""
        if ids:
            self._jobs.append([{"sent": {str(place): job for place, job in ids.items()}, "second": second}])
        for place, job in ids.items():
            self._know(place, job, second)

    def not_sent(self, places: Iterable[int]) -> None:
        """Forget that these were about to be sent: AWS has refused them."""
        self.unsure.difference_update(places)

    def add(self, rows: list[Row]) -> None:
        """Note results."""
        self._results.append(asdict(row) for row in rows)
        for row in rows:
            self._take(row)

    def spend(self, dollars: float) -> None:
        """Note what was spent."""
        self._costs.append([{"dollars": dollars}])
        self.spent += dollars

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
        if place is None or place in self.unsure or self.jobs[place][0] != row.job:
            return
        self.pending.pop(row.job, None)
        earlier = self.rows.get(place)
        if earlier is None or earlier.verdict == Verdict.ERROR:  # two commands may have found it, or one missed it
            self.rows[place] = row


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """No other command is in here, for this directory, at the same time."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
