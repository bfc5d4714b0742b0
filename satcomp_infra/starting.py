"""Bringing a cluster to a size: one zone after the other, until all nodes run or it is clear why they don't."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import quota
from .aws import in_words, passing
from .errors import SatcompError
from .known_causes import LAUNCH, START, first
from .layout import join
from .units import count, duration, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from .fleet import Cluster, Fleet, Service
    from .known_causes import Finding
    from .progress import Wait

_DIAGNOSIS_SECONDS = 3.0
_DIAGNOSIS_SECONDS_PER_NODE = 0.02
"""Between close looks at the cluster: so that their calls per minute stay the same, however large it is."""
SETTLE_SECONDS = 5.0
"""That nodes must have run which never say that they work, as those of earlier years might."""
_HANDLED = {"no-capacity-in-zone", "no-capacity-anywhere", "type-not-in-zone", "quota-exceeded", "too-few-machines"}
"""Findings of which the start itself makes the most, or that it causes for a moment."""
_ENDED = {cause.kind for cause in START}
"""Findings that say of a node that it doesn't run for long."""


@dataclass(frozen=True)
class Size:
    """How many nodes of each kind a cluster has, or should have."""

    leaders: int
    workers: int

    @property
    def nodes(self) -> int:
        """All nodes; each is a machine."""
        return self.leaders + self.workers

    def __str__(self) -> str:
        leaders = "the leader" if self.leaders == 1 else count(self.leaders, "leader")
        return f"{leaders} and {count(self.workers, 'worker')}" if self.workers else leaders


class StartError(SatcompError):
    """The cluster can't be brought to its size: the message says why."""


class Start:
    """The way from one size to another. `zones` are (name, subnet) of the zones to try, in order.

    Where machines run already, theirs is the only zone: nodes of one cluster stay together. `diagnose` finds out what
    is wrong with the cluster, counting only what has happened since a time. `heard` says how many leaders and workers
    are known to work. `seen` is called with each look at the cluster.
    """

    def __init__(
        self,
        cluster: Cluster,
        before: Fleet,
        size: Size,
        zones: list[tuple[str, str]],
        diagnose: Callable[[datetime], list[Finding]],
        heard: Callable[[], tuple[int, int]],
        seen: Callable[[Fleet], None],
    ) -> None:
        self._cluster = cluster
        self._size = size
        wanted = Size(before.leaders.desired, before.workers.desired)
        # An automatic stop leaves the services as they were: nodes are wanted then, and no machine for them.
        self.old = wanted if before.desired_instances else Size(0, 0)
        self._before = before
        self._fleet = before
        self._zones = zones
        self._here = set(before.zones)
        self._exhausted: set[str] = set()
        self._refused: set[str] = set()
        self._diagnose = diagnose
        self._heard = heard
        self._heard_of: tuple[int, int] | None = None
        """Leaders and workers, while as many run as should."""
        self._complete_at = 0.0
        self._nodes_end = False
        """Whether the last close look found nodes that had ended at their start."""
        self._on_sight = seen
        self._told: list[str] = []
        self._unanswered = ""
        self._diagnosed_at = 0.0
        # A close look takes a dozen calls, and four more for each hundred machines.
        self._diagnosis_seconds = max(_DIAGNOSIS_SECONDS, size.nodes * _DIAGNOSIS_SECONDS_PER_NODE)
        self.machine_hours = 0.0

    def begin(self) -> None:
        """Ask AWS for the new size; returns at once, except where nodes have to go first."""
        self._since, earlier = self._cluster.refusals()
        self._refused = {activity for activity, _ in earlier}
        if self._is_new:
            zone, subnet = self._zones[0]
            self._cluster.move(subnet)
            self._here = {zone}
        self._cluster.resize(self._size.leaders, self._size.workers, keep_machines=self._shrinks)

    @property
    def _is_new(self) -> bool:
        """Whether the zone is free to choose: no machine is there that will stay."""
        return self._before.instances == 0 or self._before.desired_instances == 0

    @property
    def _shrinks(self) -> bool:
        return 0 < self._size.nodes < self._before.desired_instances

    def follow(self, wait: Wait, timeout: float, cost: Callable[[float], str]) -> None:
        """Wait until exactly the nodes of the size run. `cost` says what so many machine-hours cost.

        Raises StartError where that can't be, or hasn't come about in `timeout` seconds; what runs goes on running.
        """
        title, seen_at = wait.text, wait.elapsed

        def late() -> StartError:
            seen = f" What was seen: {self._told[-1]}" if self._told else ""
            return StartError(f"After {duration(timeout)} the cluster isn't complete: {state(self._fleet)}.{seen}")

        for complete in wait.looks(lambda: self._look(wait), timeout, late):
            self.machine_hours += self._fleet.instances * (wait.elapsed - seen_at) / 3600
            seen_at = wait.elapsed
            so_far = f"{title}; {cost(self.machine_hours)} so far"
            heard = sum(self._heard_of) if self._heard_of else None
            if not wait.draw(so_far, self._done, details(self._fleet, heard)):
                wait.update(state(self._fleet, heard))
            if complete:
                return

    def back(self, wait: Wait, timeout: float) -> bool:
        """Return to the nodes that there were before; no machine on which one of them runs is ended.

        Returns whether that has come about in `timeout` seconds; AWS goes on with it in any case.
        """
        old, machines = self.old, min(self.old.nodes, self._before.desired_instances)
        self._cluster.resize(old.leaders, old.workers, keep_machines=True)

        def look() -> Fleet:
            self._cluster.want_no_more(machines)
            self._cluster.end_idle_machines(machines)
            return self._cluster.look()

        try:
            for fleet in wait.looks(look, timeout, lambda: StartError("")):
                self._on_sight(fleet)
                if not wait.draw(wait.text, None, details(fleet)):
                    wait.update(state(fleet))
                if fleet.instances == machines == fleet.desired_instances:
                    return True
        except StartError:
            pass
        return False

    @property
    def _done(self) -> int:
        """How many of the three steps of each node are done."""
        fleet, nodes = self._fleet, self._size.nodes
        return min(fleet.instances, nodes) + min(fleet.registered, nodes) + fleet.running

    def _look(self, wait: Wait) -> bool:
        """See how far the cluster is, and do what follows from it. Returns whether it is complete."""
        self._fleet = fleet = self._cluster.look()
        self._on_sight(fleet)
        if self._shrinks:
            self._cluster.end_idle_machines(self._size.nodes)
        if fleet.is_complete(self._size.leaders, self._size.workers) and fleet.instances == self._size.nodes:
            if self._have_settled(wait):
                return True
        else:
            self._heard_of = None
        if fleet.instances < self._size.nodes:
            self._consider_refusals(wait)
        if wait.elapsed - self._diagnosed_at >= self._diagnosis_seconds:
            self._look_closer(wait)
        return False

    def _have_settled(self, wait: Wait) -> bool:
        """Whether the nodes, all of which run, are at work: a container that ends at once runs for a moment, too."""
        if self._heard_of is None:
            self._complete_at = wait.elapsed
        self._heard_of = leaders, workers = self._heard()
        if leaders >= self._size.leaders and workers >= self._size.workers:
            return True
        if wait.elapsed - self._complete_at < SETTLE_SECONDS:
            return False
        if self._diagnosed_at <= self._complete_at:
            self._look_closer(wait)
        return not self._nodes_end

    def _look_closer(self, wait: Wait) -> None:
        """Tell what is wrong as soon as it can be seen; raise StartError where waiting won't help."""
        self._diagnosed_at = wait.elapsed
        findings = self._findings(wait)
        self._nodes_end = any(finding.kind in _ENDED for finding in findings)
        for finding in findings:
            if finding.kind in _HANDLED:
                continue
            if finding.fatal:
                said = "".join(f"\n  | {line}" for line in finding.lines)
                raise StartError(f"{finding.message}{said}", finding.advice)
            if finding.message not in self._told:
                self._told.append(finding.message)
                wait.event(join(finding.message, finding.advice))

    def _findings(self, wait: Wait) -> list[Finding]:
        """What is wrong. Where AWS doesn't let that be asked, this is told once: the start needs no answer."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._diagnose(self._since)
        except (BotoCoreError, ClientError) as error:
            words = in_words(error).message
            if passing(error):
                raise
            if words != self._unanswered:
                self._unanswered = words
                wait.event(f"{words} So it isn't seen what is wrong, if anything is.")
            return []

    def _consider_refusals(self, wait: Wait) -> None:
        """Take the next zone where this one has no machines to give; raise StartError where none is left."""
        refusals = self._cluster.refusals()[1]
        new = [(activity, message) for activity, message in refusals if activity not in self._refused]
        self._refused.update(activity for activity, _ in new)
        for _, message in new:
            cause, match = first(LAUNCH, message)
            if cause is None or match is None:
                continue
            if cause.kind == "quota-exceeded":
                raise StartError(
                    f"EC2 refuses to start a machine: the account may run {match['limit']} vCPU at once, and that is "
                    "used up.",
                    f"Request more: {quota.NAME} ({quota.CODE}) in the Service Quotas console.",
                )
            if cause.kind in ("no-capacity-in-zone", "type-not-in-zone"):
                # A launch that was begun before the move to this zone may fail after it, and tells of the other zone.
                self._exhausted |= self._here & {match["zone"]} if match["zone"] else self._here
        if not new or not self._here <= self._exhausted:
            return
        if not self._is_new or len(self._zones) == 1:
            raise StartError(
                f"AWS has no machines of this type to give in {listed(sorted(self._exhausted))} at the moment.",
                "Try again in a while, with fewer machines, or in another region.",
            )
        (here, _), (there, subnet) = self._zones[:2]
        del self._zones[0]
        self._here = {there}
        wait.event(f"AWS has no more machines of this type in zone {here}: trying {there}.")
        self._cluster.move(subnet, start_again_with=self._size.nodes)


def state(fleet: Fleet, heard: int | None = None) -> str:
    """How far a cluster is, on a line. `heard`: of how many nodes one has heard, where all that should run do."""

    def running(service: Service) -> str:
        return f"{service.running}/{service.desired}"

    workers = f", workers {running(fleet.workers)}" if fleet.workers.desired or fleet.workers.running else ""
    nodes = f"running: {_leaders(fleet)} {running(fleet.leaders)}{workers}"
    if heard is not None:
        return f"{nodes}; heard of {heard} of {count(fleet.running, 'node')}"
    return f"machines: {fleet.desired_instances} wanted, {fleet.booting} booting, {fleet.registered} joined; {nodes}"


def _leaders(fleet: Fleet) -> str:
    return "leaders" if max(fleet.leaders.desired, fleet.leaders.running) > 1 else "leader"


def details(fleet: Fleet, heard: int | None = None) -> list[str]:
    """The same as a table, with more of it."""
    machines = (fleet.desired_instances, "wanted"), (fleet.booting, "booting"), (fleet.registered, "joined")
    rows: list[tuple[str, Sequence[tuple[int, str]]]] = [("machines", machines)]
    for name, service in ((_leaders(fleet), fleet.leaders), ("workers", fleet.workers)):
        if service is fleet.leaders or service.desired or service.running:
            counts = (service.desired, "wanted"), (service.pending, "pending"), (service.running, "running")
            rows.append((name, counts))
    if heard is not None:
        rows.append(("nodes", [(heard, "heard of")]))
    return [f"  {name:<10}" + "".join(f"{number:>6} {word:<10}" for number, word in counts) for name, counts in rows]
