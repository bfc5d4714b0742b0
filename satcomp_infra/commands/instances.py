"""update_instances: start the cluster's machines and stop them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import cli, images
from ..aws import together
from ..errors import Exit, SatcompError, UsageError
from ..finding import find
from ..fleet import Cluster
from ..progress import count, duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..aws import Aws
    from ..fleet import Fleet
    from ..progress import Console
    from ..stack import Infrastructure

START_TIMEOUT_SECONDS = 15 * 60
"""A machine boots in 1 to 2 minutes, and pulls an image of some GB in another one."""
STOP_TIMEOUT_SECONDS = 10 * 60
MAX_NODES = 1000


class _Parser(cli.Parser):
    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        args = super().parse(argv)
        if args.option == "shutdown" and args.workers is not None:
            self.error("--workers goes with --option setup; shutdown stops all machines")
        return args


def parser() -> cli.Parser:
    """The command's arguments."""
    parser = _Parser(
        "update_instances",
        "Start the machines of the cluster (a leader, and workers on the cloud track), or stop them all.",
        "  ./update_instances --option setup --workers 2\n"
        "  ./update_instances --option setup                 (parallel track: the leader alone)\n"
        "  ./update_instances --option shutdown",
    )
    parser.add_argument(
        "--option", required=True, choices=["setup", "shutdown"], help="setup: start machines; shutdown: stop them all"
    )
    parser.add_argument(
        "--workers",
        type=cli.whole_number(0, MAX_NODES),
        metavar="NUM_WORKERS",
        help="how many workers to start beside the leader (cloud track; the parallel track has none)",
    )
    cli.add_project(parser, required=False)
    cli.add_aws_options(parser)
    return parser


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Start or stop the machines, and wait until they run or are gone."""
    aws = cli.connect(args)
    infrastructure = find(aws, args.project)
    cluster = Cluster.of(aws, infrastructure)
    if args.option == "shutdown":
        stop_all(cluster, console)
        console.result("No machine is running: nothing costs money per hour any more.")
    else:
        _start(aws, infrastructure, cluster, _workers(infrastructure, args.workers), console)
    return Exit.OK


def check_workers(infrastructure: Infrastructure, workers: int) -> None:
    """Raise UsageError where the project's track has no workers."""
    if workers and not infrastructure.track.has_workers:
        raise UsageError(
            f"--workers {workers} can't be: project '{infrastructure.project}' is set up for the "
            f"{infrastructure.track.name} track, which has no workers.",
            "Type --workers 0, or switch the track with ./update-solver-infrastructure.",
        )


def _workers(infrastructure: Infrastructure, asked: int | None) -> int:
    if asked is None and infrastructure.track.has_workers:
        raise UsageError("--workers is missing: how many workers should run beside the leader?", "Type --workers 1")
    workers = asked or 0
    check_workers(infrastructure, workers)
    return workers


def _start(aws: Aws, infrastructure: Infrastructure, cluster: Cluster, workers: int, console: Console) -> None:
    wanted = ["leader", "worker"] if workers else ["leader"]
    fleet, _ = together(cluster.look, lambda: _check_images(aws, infrastructure, wanted))
    machines = 1 + workers
    track = infrastructure.track
    console.say(
        f"Starting a leader and {count(workers, 'worker')}: {count(machines, 'machine')} of type {track.instance_type} "
        f"({track.vcpus} vCPU, {track.machine_memory // 1024} GiB). This takes 2 to 5 minutes in AWS."
    )
    console.when_interrupted = (
        "Machines may be running, and cost money. Stop them: ./update_instances --option shutdown"
    )
    cluster.resize(1, workers, subnet="" if fleet.instances else infrastructure.subnets[0])

    def late() -> SatcompError:
        return SatcompError(
            f"After {START_TIMEOUT_SECONDS // 60} minutes the cluster isn't complete: {_state(fleet)}. "
            "What runs of it goes on running, and costs money.",
            "Wait on with the same command, or stop: ./update_instances --option shutdown",
        )

    with console.waiting("Starting", total=3 * machines) as wait:
        for _ in wait.polls(START_TIMEOUT_SECONDS, late):
            fleet = cluster.look()
            running = fleet.leaders.running + fleet.workers.running
            wait.update(_state(fleet), min(fleet.instances, machines) + min(fleet.registered, machines) + running)
            if fleet.is_complete(1, workers):
                break
        elapsed = wait.elapsed
    console.when_interrupted = ""
    console.result(
        f"The leader and {count(workers, 'worker')} run, after {duration(elapsed)}. "
        f"{count(machines, 'machine')} cost money until you type: ./update_instances --option shutdown"
    )


def _state(fleet: Fleet) -> str:
    return (
        f"machines {fleet.instances} of {fleet.desired_instances} started, {fleet.registered} joined; "
        f"leader {fleet.leaders}, workers {fleet.workers} running"
    )


def _check_images(aws: Aws, infrastructure: Infrastructure, wanted: list[str]) -> None:
    there = images.tags(aws, infrastructure.repository)
    missing = [tag for tag in wanted if tag not in there]
    if missing:
        options = " ".join(f"--{tag} {tag.upper()}_IMAGE" for tag in missing)
        names = " and ".join(f"'{tag}'" for tag in missing)
        raise SatcompError(
            f"Repository {infrastructure.repository} has no image {names}, so no node could start.",
            f"Push what is missing: ./push-ecr --project {infrastructure.project} {options}",
        )


def stop_all(cluster: Cluster, console: Console) -> None:
    """Stop all nodes, and wait until EC2 has no machine of the cluster any more."""
    cluster.stop()
    left = cluster.instances()
    if not left:
        return
    console.when_interrupted = (
        "The machines are being stopped, and AWS goes on with that; to see that none is left, type the same again."
    )
    total = len(left)

    def late() -> SatcompError:
        return SatcompError(
            f"After {STOP_TIMEOUT_SECONDS // 60} minutes EC2 still hasn't terminated {', '.join(left)}.",
            "Type the same command again; if that doesn't help, terminate them in the EC2 console: they cost money.",
        )

    with console.waiting(f"Stopping {count(total, 'machine')}", total) as wait:
        for _ in wait.polls(STOP_TIMEOUT_SECONDS, late):
            left = cluster.instances()
            total = max(total, len(left))
            wait.update(f"{total - len(left)} of {count(total, 'machine')} stopped", total - len(left))
            if not left:
                break
        elapsed = wait.elapsed
    console.say(f"All machines are gone, after {duration(elapsed)}.")
