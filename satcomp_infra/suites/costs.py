"""What a run will cost, before it is begun, and the automatic stop that must not cut it short nor outlive it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from .. import automatic_stop, prices, template
from ..errors import SatcompError, UsageError
from ..project import Project
from ..units import count, dollars, duration
from .problems import content_of
from .records import RESULTS, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..aws import Aws
    from ..stack import Infrastructure
    from .records import Problem

OVERHEAD_SECONDS = 90
"""What a job may need beside its solver: fetching the problem, ending the solver, checking its model, storing."""
MARGIN_SECONDS = 600
"""Between the worst case and the automatic stop: machines boot, and jobs may have to be done twice."""
_SAME = timedelta(seconds=2)
"""Auto Scaling knows the time of an action to the second."""
_RUNS = 200
"""Earlier runs that are looked at, the newest first."""


def node_per_hour(infrastructure: Infrastructure) -> float:
    """What a node costs per hour, in dollars."""
    body = template.render(Project(infrastructure.project), infrastructure.track, infrastructure.zones)
    return prices.node_per_hour(template.read(body)).total


@dataclass(frozen=True)
class Estimate:
    """What a number of jobs will cost. `likely_seconds` is all solvers' time together; None: not known."""

    jobs: int
    timeout: int
    leaders: int
    nodes: int
    node_hour: float
    likely_seconds: float | None = None
    known: int = 0
    """Of how many problems an earlier run's time is known."""

    @property
    def worst_seconds(self) -> float:
        """How long it takes if no problem is solved."""
        return math.ceil(self.jobs / self.leaders) * (self.timeout + OVERHEAD_SECONDS)

    @property
    def worst(self) -> float:
        """In dollars."""
        return self._dollars(self.worst_seconds)

    @property
    def likely(self) -> float | None:
        """In dollars; None where it isn't known."""
        return None if self.likely_seconds is None else self._dollars(self.likely_seconds / self.leaders)

    def _dollars(self, seconds: float) -> float:
        return seconds / 3600 * self.nodes * self.node_hour

    def lines(self) -> list[str]:
        """What to say before money is spent."""
        workers = self.nodes - self.leaders
        nodes = count(self.leaders, "leader") + (f", {count(workers, 'worker')}" if workers > 0 else "")
        lines = [
            f"  machines        {self.nodes} ({nodes}), {dollars(self.nodes * self.node_hour)} per hour",
            f"  at worst        {dollars(self.worst)}: {count(self.jobs, 'problem')} in {duration(self.worst_seconds)}",
        ]
        if self.likely is None:
            lines.append("  likely          not known: no earlier run has solved these problems")
        else:
            lines.append(f"  likely          {dollars(self.likely)}, by earlier runs of {count(self.known, 'problem')}")
        return lines

    def check_budget(self, budget: float) -> None:
        """Raise SatcompError where the worst case is above the budget (0: there is none)."""
        if not budget or self.worst <= budget:
            return
        seconds = budget / (self.nodes * self.node_hour) * 3600
        timeout = math.floor(seconds / math.ceil(self.jobs / self.leaders)) - OVERHEAD_SECONDS
        jobs = math.floor(seconds / (self.timeout + OVERHEAD_SECONDS)) * self.leaders
        fits = [f"--timeout {timeout}"] * (timeout > 0) + [f"--limit {jobs}"] * (jobs > 0)
        raise SatcompError(
            f"At worst this costs {dollars(self.worst)}, more than the budget of {dollars(budget)}.",
            "Raise --budget" + (f", or take less: {' or '.join(fits)}." if fits else "."),
        )


def likely_seconds(problems: Sequence[Problem], runs: Path) -> tuple[float | None, int]:
    """How long the solver will take for all problems together, by the runs in a directory, and how many were known.

    The newest time of a problem counts; those that no run has had are taken to need the mean of the others.
    """
    wanted = {_key(problem.name, problem.location) for problem in problems}
    known: dict[str, float] = {}
    for directory in _newest(runs):
        try:
            rows = read(directory).rows
        except (UsageError, SatcompError, OSError):
            continue
        for row in rows:
            key = _key(row.problem, row.location)
            if row.verdict and key in wanted:
                known.setdefault(key, row.wall)
    if not known:
        return None, 0
    mean = sum(known.values()) / len(known)
    return sum(known.get(_key(problem.name, problem.location), mean) for problem in problems), len(known)


def _newest(runs: Path) -> Iterable[Path]:
    found = [path for path in runs.glob(f"*/{RESULTS}") if path.is_file()]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent for path in found[:_RUNS]]


def _key(name: str, location: str) -> str:
    return content_of(location) or name


class StopKeeper:
    """Moves the automatic stop while jobs of a run remain: late enough for them at worst, never beyond the budget.

    Others may move it, too: another run on the same machines, or the user. So it is looked at each time, and put back
    only as long as it is the one that was put here. Where there is none, none is made. `latest` is the time at which
    the budget is used up, if there is one.
    """

    def __init__(self, aws: Aws, group: str, latest: datetime | None) -> None:
        self._aws = aws
        self._group = group
        self._latest = latest
        self._before: datetime | None = None
        self._put: datetime | None = None

    def keep(self, seconds: float) -> datetime | None:
        """Let the machines run for so many seconds more. Returns the new time of the stop, if it was moved."""
        now = datetime.now(UTC)
        at = automatic_stop.when(self._aws, self._group)
        if at is None or at >= now + timedelta(seconds=seconds):
            return None
        wanted = now + timedelta(seconds=seconds + MARGIN_SECONDS)
        if self._latest:
            wanted = min(wanted, self._latest)
        if wanted <= at:
            return None
        if not self._is_own(at):
            self._before = at
        self._put = automatic_stop.put(self._aws, self._group, (wanted - now).total_seconds())
        return self._put

    def give_back(self) -> datetime | None:
        """Put the stop back to what it was, or a little from now where that is over. Returns the time, if moved."""
        at = automatic_stop.when(self._aws, self._group) if self._put else None
        if at is None or self._before is None or not self._is_own(at):
            return None
        now = datetime.now(UTC)
        wanted = max(self._before, now + timedelta(seconds=MARGIN_SECONDS))
        return automatic_stop.put(self._aws, self._group, (wanted - now).total_seconds()) if wanted < at else None

    def _is_own(self, at: datetime) -> bool:
        return self._put is not None and abs(at - self._put) < _SAME


class Meter:
    """What a run has cost so far: machines by the hour, as often as it is told how many there are."""

    def __init__(self, node_hour: float, clock: float) -> None:
        self._node_hour = node_hour
        self._machines = 0
        self._at = clock
        self.dollars = 0.0

    def read(self, machines: int, clock: float) -> None:
        """So many machines run now."""
        self.dollars += (clock - self._at) / 3600 * self._machines * self._node_hour
        self._machines, self._at = machines, clock
