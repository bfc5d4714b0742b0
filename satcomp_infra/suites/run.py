"""Carrying a run out: sending what was not sent, following until everything has a result, at any time from anywhere."""

from __future__ import annotations

import fcntl
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ..errors import SatcompError
from ..fleet import Cluster
from ..jobs import Verdict
from ..stopping import SHUTDOWN
from ..units import count, dollars, duration, moment
from .costs import Estimate, Meter
from .following import Follower
from .sending import send
from .stop_keeper import StopKeeper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..aws import Aws
    from ..fleet import Fleet
    from ..progress import Console, Wait
    from ..stack import Infrastructure
    from .journal import Run

_FLEET_SECONDS = 30.0
_WRITE_SECONDS = 30.0
_TELL_SECONDS = 60.0
"""Between two lines about the progress, where nobody watches."""
_RATE_SECONDS = 600.0
"""The rate is that of the time before now, so long."""
_FOREVER = float("inf")


@dataclass
class Carrying:
    """A run being carried out by this command. Other commands may follow the same one; only one of them sends."""

    aws: Aws
    infrastructure: Infrastructure
    console: Console
    run: Run
    retry_errors: bool = False
    meter: Meter = field(init=False)
    _ends: list[float] = field(default_factory=list)
    """When results came, by the wait's clock: for the rate."""

    def __post_init__(self) -> None:
        self.meter = Meter(self.run, self.console.clock)

    def carry_out(self) -> None:
        """Send and follow until every problem has a result. Raises SatcompError where the budget is used up."""
        run = self.run
        with self._alone() as alone:
            run.read_new()
            self.meter.notes = alone
            if alone:
                self._send_missing()
            else:
                self.console.say("Another command is at work on this run: following it, sending nothing.")
            if run.unfinished:
                self._follow(alone=alone)
        run.write_results()

    @property
    def to_send(self) -> list[int]:
        """Places of problems whose jobs are to be sent: those that never were, and failed ones if wanted."""
        failed = [place for place, row in self.run.rows.items() if row.verdict == Verdict.ERROR]
        return sorted({*self.run.missing, *(failed if self.retry_errors else ())} - self.run.unsure)

    @property
    def to_do(self) -> list[int]:
        """Places of problems that will be solved from now on: jobs may be under way."""
        done = self.run.rows.keys() - set(self.to_send)
        return [place for place in range(len(self.run.problems)) if place not in done]

    def _send_missing(self) -> None:
        run, places = self.run, self.to_send
        if places:
            with self.console.waiting(f"Sending {count(len(places), 'job')}", len(places)) as wait:
                send(self.aws, self.infrastructure, run, places, wait)
                elapsed = wait.elapsed
            self.console.say(f"Sent {count(len(places), 'job')} in {duration(elapsed)}.")

    def _follow(self, *, alone: bool) -> None:
        """Look for results until all are there."""
        run, console = self.run, self.console
        cluster = Cluster.of(self.aws, self.infrastructure)
        fleet = cluster.look()
        keeper = self._keeper(fleet)
        follower = Follower(self.aws, self.infrastructure, run, console.clock)
        next_fleet = next_write = next_line = console.clock()
        told, known = "", len(run.rows)

        def look() -> None:  # all calls of AWS are made in here: trouble that may pass is waited for
            nonlocal fleet, next_fleet
            run.read_new()
            follower.look()
            if console.clock() >= next_fleet:
                fleet = cluster.look()
                self.meter.read(fleet.instances)
                self._keep_running(keeper, fleet, wait)
                next_fleet = console.clock() + _FLEET_SECONDS
            if alone and follower.never_sent:
                send(self.aws, self.infrastructure, run, follower.never_sent, wait)

        with console.waiting(f"Following {count(run.unfinished, 'job')}", len(run.problems)) as wait:
            for _ in wait.looks(look, _FOREVER, lambda: SatcompError("")):
                now = console.clock()
                self._ends += [now] * (len(run.rows) - known)
                known = len(run.rows)
                self._check_budget()
                head, *details = self.lines(fleet, follower)
                text = "; ".join([head, *details])
                if not wait.draw(head, known, [f"  {line}" for line in details]) and now >= next_line and text != told:
                    wait.event(text)
                    next_line, told = now + _TELL_SECONDS, text
                if now >= next_write:
                    run.write_results()
                    next_write = now + _WRITE_SECONDS
                if not run.unfinished:
                    break
            elapsed = wait.elapsed
        follower.clear_announcements()
        keeper.give_back()
        self.meter.read(0)
        cost = f", for {dollars(self.meter.dollars)}" if self.meter.dollars else ""
        all_have = count(len(run.problems), "problem has", "problems have")
        console.say(f"All done: {all_have} a result, after {duration(elapsed)}{cost}.")

    def _keeper(self, fleet: Fleet) -> StopKeeper:
        """The automatic stop's, which may be moved as far as the budget allows it from now on."""
        settings, latest = self.run.settings, None
        if settings.budget and settings.node_hour:
            nodes = max(fleet.instances, fleet.desired_instances, 1)
            left = max(settings.budget - self.meter.dollars, 0.0)
            latest = datetime.now(UTC) + timedelta(hours=left / (nodes * settings.node_hour))
        return StopKeeper(self.aws, self.infrastructure.auto_scaling_group, latest)

    def _keep_running(self, keeper: StopKeeper, fleet: Fleet, wait: Wait) -> None:
        leaders, settings = max(fleet.leaders.desired, 1), self.run.settings
        if not fleet.desired_instances:
            return
        rest = Estimate(self.run.unfinished, settings.timeout, leaders, fleet.instances, settings.node_hour)
        moved = keeper.keep(rest.worst_seconds)
        if moved:
            wait.event(f"The automatic stop was moved to {moment(moved)}, for the jobs that remain.")

    def _check_budget(self) -> None:
        budget = self.run.settings.budget
        if budget and self.meter.dollars > budget and self.run.unfinished:
            raise SatcompError(
                f"The budget of {dollars(budget)} is used up; "
                f"{count(self.run.unfinished, 'problem has', 'problems have')} no result.",
                f"Stop the machines, unless --setup does it:\n{SHUTDOWN}",
            )

    def lines(self, fleet: Fleet, follower: Follower) -> list[str]:
        """How far the run is; each line is short enough for a narrow terminal."""
        run, verdicts = self.run, Counter(row.verdict for row in self.run.rows.values())
        solved = verdicts[Verdict.SAT] + verdicts[Verdict.UNSAT]
        what = [f"{verdicts[Verdict.SAT]} SAT", f"{verdicts[Verdict.UNSAT]} UNSAT"]
        for verdict, noun in ((Verdict.TIMEOUT, "timeout"), (Verdict.ERROR, "error")):
            if verdicts[verdict]:
                what.append(count(verdicts[verdict], noun))
        if verdicts[Verdict.UNKNOWN]:
            what.append(f"{verdicts[Verdict.UNKNOWN]} unknown")
        how = []
        if not fleet.leaders.running:
            how.append("no leader is running")
        elif follower.backlog:
            how.append(f"{follower.backlog.taken} being solved")
        per_minute, left = self._rate()
        if per_minute:
            how.append(f"{per_minute:.1f} per minute, {duration(left)} left")
        if self.meter.dollars:
            how.append(f"{dollars(self.meter.dollars)} so far")
        lines = [f"{len(run.rows)} of {len(run.problems)} problems, {solved} solved", ", ".join(what), ", ".join(how)]
        return [line for line in lines if line]

    def _rate(self) -> tuple[float, float]:
        """Results per minute, and the seconds that the rest takes at this rate; zeros while it isn't known."""
        now = self.console.clock()
        recent = [end for end in self._ends if end > now - _RATE_SECONDS]
        self._ends = recent
        if len(recent) < 2 or now <= recent[0]:
            return 0.0, 0.0
        per_second = len(recent) / (now - recent[0])
        return per_second * 60, self.run.unfinished / per_second

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether this is the command that may send; it is, for as long as it runs, if it is the first."""
        with (self.run.directory / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
