"""The machines of a run: what there will be of them, what that costs, and starting and stopping them for a run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import automatic_stop
from ..cluster_setup import ClusterSetup
from ..errors import SatcompError, UsageError
from ..starting import Size
from ..stopping import ask_to_stop, stop_all
from ..units import count, dollars
from .costs import BOOT_SECONDS, MARGIN_SECONDS, Estimate, likely_seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ..aws import Aws
    from ..fleet import Cluster, Fleet
    from ..progress import Console
    from ..stack import Infrastructure
    from .journal import Run

_SETUP_SECONDS = 15 * 60


def estimate(
    run: Run, jobs: Sequence[int], infrastructure: Infrastructure, fleet: Fleet, args: argparse.Namespace
) -> Estimate:
    """What the jobs of the problems in these places will cost, on machines that run or that --setup starts."""
    settings, track = run.settings, infrastructure.track
    leaders = args.leaders if args.setup else max(fleet.leaders.desired, 1)
    nodes = leaders + settings.workers if args.setup else max(fleet.desired_instances, 1 + settings.workers)
    if args.setup and track.max_leaders is not None and leaders > track.max_leaders:
        raise UsageError(
            f"--leaders {leaders} can't be: project '{infrastructure.project}' is set up for the {track.name} track, "
            "where one leader has all workers.",
            "Leave --leaders out, or switch the track with ./update-solver-infrastructure.",
        )
    runs = run.directory.resolve().parent
    likely, known = likely_seconds([run.problems[place] for place in jobs], runs, settings.timeout)
    boot = BOOT_SECONDS if args.setup else 0
    return Estimate(len(jobs), settings.timeout, leaders, nodes, settings.node_hour, likely, known, boot)


def confirm(cost: Estimate, console: Console) -> None:
    """Ask whether to spend the money. Raises UsageError where nobody is there, SatcompError where the answer is no."""
    if not console.is_attended:
        raise UsageError(
            f"This can cost {dollars(cost.worst)}, and nobody is there to ask.", "Add --yes to run it all the same."
        )
    if console.ask("Type yes to go on:").lower() not in ("y", "yes"):
        raise SatcompError("Nothing was sent.")


def note_if_none_run(fleet: Fleet, run: Run, infrastructure: Infrastructure, console: Console) -> None:
    """Say what keeps jobs from being solved, as far as it can be seen now."""
    workers = f" --workers {run.settings.workers}" if infrastructure.track.has_workers else ""
    start = f"./update_instances --option setup{workers}"
    if not fleet.leaders.desired:
        console.say(
            f"Note: no leader is running, and jobs wait until one is. Start it, in another terminal:\n{start}\n"
            "Or let this command start and stop the machines, with --setup."
        )
    elif fleet.workers.desired < run.settings.workers:
        console.say(
            f"Note: each job needs {count(run.settings.workers, 'worker')}, and waits until more than the "
            f"{fleet.workers.desired} of now are running. Start them, in another terminal:\n{start}"
        )


@contextmanager
def running(
    aws: Aws, infrastructure: Infrastructure, run: Run, cost: Estimate, leaders: int, console: Console
) -> Iterator[None]:
    """Machines that run while this context lasts, and are stopped however it ends.

    A start that is refused, or that can't be completed and is taken back, leaves what ran before as it was.
    """
    longest = cost.worst_seconds + MARGIN_SECONDS
    if run.settings.budget:
        longest = min(longest, (run.settings.budget - run.spent) / (cost.nodes * cost.node_hour) * 3600)
    setup = ClusterSetup(aws, infrastructure, console, ClusterSetup.Options(_SETUP_SECONDS, longest))
    again = f"To go on:\n./run_benchmarks --resume {run.directory} --setup"
    try:
        console.say(setup.run(Size(leaders, run.settings.workers)))
        yield
    finally:
        if setup.changed:
            _stop(setup.cluster, console)
            automatic_stop.remove(aws, infrastructure.auto_scaling_group)
            console.when_interrupted = f"No machine is running. Jobs that are not done stay on the queue. {again}"
        else:
            console.when_interrupted = f"No machine was started. {again}"


def _stop(cluster: Cluster, console: Console) -> None:
    """Stop all machines and wait for that; one Ctrl-C ends the wait, and doesn't leave them running."""
    try:
        stop_all(cluster, console, _SETUP_SECONDS)
    except KeyboardInterrupt:  # perhaps before AWS was asked
        ask_to_stop(cluster, console)
        raise
