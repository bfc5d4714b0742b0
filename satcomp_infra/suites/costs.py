"""What a run will cost, before it is begun, and what it has cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import prices, template
from ..errors import SatcompError, UsageError
from ..jobs import Verdict
from ..project import Project
from ..units import count, dollars, duration
from .records import RESULTS, read
from .uploading import content_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..stack import Infrastructure
    from .journal import Run
    from .records import Problem

OVERHEAD_SECONDS = 90
"""What a job may need beside its solver: fetching the problem, ending the solver, checking its model, storing."""
MARGIN_SECONDS = 600
"""Between the worst case and the automatic stop: machines boot, and jobs may have to be done twice."""
BOOT_SECONDS = 300
"""What machines cost money for before the first job is taken, at worst; they mostly need two to five minutes."""
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
    boot_seconds: float = 0.0
    """Until machines that are yet to be started can solve anything."""

    @property
    def worst_seconds(self) -> float:
        """How long it takes if no problem is solved, from the first job on."""
        return math.ceil(self.jobs / self.leaders) * (self.timeout + OVERHEAD_SECONDS)

    @property
    def worst(self) -> float:
        """In dollars."""
        return self._dollars(self.boot_seconds + self.worst_seconds)

    @property
    def likely(self) -> float | None:
        """In dollars; None where it isn't known."""
        if self.likely_seconds is None:
            return None
        return self._dollars(self.boot_seconds + self.likely_seconds / self.leaders)

    def _dollars(self, seconds: float) -> float:
        return seconds / 3600 * self.nodes * self.node_hour

    def lines(self) -> list[str]:
        """What to say before money is spent."""
        workers = self.nodes - self.leaders
        nodes = count(self.leaders, "leader") + (f", {count(workers, 'worker')}" if workers > 0 else "")
        start = f", and {duration(self.boot_seconds)} to start" if self.boot_seconds else ""
        solving = f"{count(self.jobs, 'problem')} in {duration(self.worst_seconds)}"
        lines = [
            f"  machines        {self.nodes} ({nodes}), {dollars(self.nodes * self.node_hour)} per hour",
            f"  at worst        {dollars(self.worst)}: {solving}{start}",
        ]
        if self.likely is None:
            lines.append("  likely          not known: no earlier run has solved these problems")
        else:
            lines.append(f"  likely          {dollars(self.likely)}, by earlier runs of {count(self.known, 'problem')}")
        return lines

    def check_budget(self, budget: float, spent: float = 0.0, *, fixed: bool = False) -> None:
        """Raise SatcompError where the worst case is above the budget (0: there is none), of which so much is spent.

        It says which shorter timeout or fewer problems would do, unless these are fixed.
        """
        left = max(budget - spent, 0.0)
        if not budget or self.worst <= left:
            return
        seconds = left / (self.nodes * self.node_hour) * 3600 - self.boot_seconds
        timeout = math.floor(seconds / math.ceil(self.jobs / self.leaders)) - OVERHEAD_SECONDS
        jobs = math.floor(seconds / (self.timeout + OVERHEAD_SECONDS)) * self.leaders
        fits = [f"--timeout {timeout}"] * (timeout > 0) + [f"--limit {jobs}"] * (jobs > 0)
        of = f"the {dollars(left)} that are left of the budget" if spent >= 0.005 else "the budget"
        raise SatcompError(
            f"At worst this costs {dollars(self.worst)}, more than {of} of {dollars(budget)}.",
            "Raise --budget" + (f", or take less: {' or '.join(fits)}." if fits and not fixed else "."),
        )


def likely_seconds(problems: Sequence[Problem], runs: Path, timeout: int) -> tuple[float | None, int]:
    """How long the solver will take for all problems together, by the runs in a directory, and how many were known.

    The newest time of a problem counts, and the timeout where it was not enough then or would not be now; those that no
    run has had are taken to need the mean of the others.
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
            if key in wanted and row.verdict not in ("", Verdict.ERROR):  # an error says nothing of the time
                known.setdefault(key, timeout if row.verdict == Verdict.TIMEOUT else min(row.wall, timeout))
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


class Meter:
    """What a run has cost, by all commands: machines by the hour, as often as it is told how many there are.

    Of several commands at work on the same run at the same time, one `notes` what they cost.
    """

    def __init__(self, run: Run, clock: Callable[[], float]) -> None:
        self._run = run
        self._clock = clock
        self._machines = 0
        self._at = clock()
        self._before = run.spent
        self._here = 0.0
        self.notes = True

    def read(self, machines: int) -> None:
        """So many machines run now."""
        now = self._clock()
        spent = (now - self._at) / 3600 * self._machines * self._run.settings.node_hour
        self._machines, self._at = machines, now
        self._here += spent
        if spent and self.notes:
            self._run.spend(spent)

    @property
    def dollars(self) -> float:
        """What was spent until the last reading."""
        return max(self._run.spent, self._before + self._here)
