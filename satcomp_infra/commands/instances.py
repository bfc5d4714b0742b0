"""update_instances: start the cluster's machines and stop them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import automatic_stop, cli, images, prices, quota, template
from ..aws import together
from ..diagnosis import diagnose
from ..errors import Exit, SatcompError, UsageError
from ..finding import find
from ..fleet import Cluster
from ..progress import count, duration
from ..project import Project
from ..starting import Size, Start, StartError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import datetime

    from ..aws import Aws
    from ..fleet import Fleet
    from ..progress import Console
    from ..stack import Infrastructure

TIMEOUT = "15m"
"""A machine boots in 1 to 2 minutes, and pulls an image of some GB in another one; stopping takes about as long."""
STOP_AFTER = "8h"
MAX_NODES = 1000
SHUTDOWN = "./update_instances --option shutdown"


class _Parser(cli.Parser):
    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        args = super().parse(argv)
        for name in ("workers", "leaders"):
            if args.option == "shutdown" and getattr(args, name) is not None:
                self.error(f"--{name} goes with --option setup; shutdown stops all machines")
        return args


def parser() -> cli.Parser:
    """The command's arguments."""
    parser = _Parser(
        "update_instances",
        "Start the machines of the cluster (a leader, and workers on the cloud track), or stop them all.",
        "  ./update_instances --option setup --workers 2\n"
        "  ./update_instances --option setup --leaders 4 --stop-after 12h      (parallel track)\n"
        "  ./update_instances --option shutdown",
    )
    parser.add_argument(
        "--option", required=True, choices=["setup", "shutdown"], help="setup: start machines; shutdown: stop them all"
    )
    setup = parser.add_argument_group("setup")
    setup.add_argument(
        "--workers",
        type=cli.whole_number(0, MAX_NODES),
        metavar="NUM_WORKERS",
        help="how many workers to start beside the leader (cloud track; the parallel track has none)",
    )
    setup.add_argument(
        "--leaders",
        type=cli.whole_number(1, MAX_NODES),
        metavar="K",
        help="how many leaders to start, which share the queue (parallel track; the cloud track has one)",
    )
    setup.add_argument(
        "--stop-after",
        type=lambda text: None if text == "never" else cli.time_span(text),
        default=STOP_AFTER,
        metavar="TIME",
        help="stop all machines after that time by themselves: as 30m or 8h, or never (default: %(default)s)",
    )
    setup.add_argument("--no-wait", action="store_true", help="return as soon as AWS has been asked for the machines")
    setup.add_argument(
        "--keep-on-failure",
        action="store_true",
        help="where the cluster can't be completed, let run what runs (default: back to what was there before)",
    )
    cli.add_timeout(parser, TIMEOUT)
    cli.add_project(parser, required=False)
    cli.add_aws_options(parser)
    return parser


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Start or stop the machines, and wait until they run or are gone."""
    aws = cli.connect(args)
    infrastructure = find(aws, args.project)
    cluster = Cluster.of(aws, infrastructure)
    if args.option == "shutdown":
        automatic_stop.remove(aws, infrastructure.auto_scaling_group)
        stop_all(cluster, console, args.timeout)
        console.result("No machine is running: 0.00 USD per hour from now on.")
        return Exit.OK
    return _SetUp(aws, infrastructure, cluster, args, console).run(_size(infrastructure, args))


def check_workers(infrastructure: Infrastructure, workers: int) -> None:
    """Raise UsageError where the project's track has no workers."""
    if workers and not infrastructure.track.has_workers:
        raise UsageError(
            f"--workers {workers} can't be: project '{infrastructure.project}' is set up for the "
            f"{infrastructure.track.name} track, which has no workers.",
            "Type --workers 0, or switch the track with ./update-solver-infrastructure.",
        )


def _size(infrastructure: Infrastructure, args: argparse.Namespace) -> Size:
    track = infrastructure.track
    if args.workers is None and track.has_workers:
        raise UsageError("--workers is missing: how many workers should run beside the leader?", "Type --workers 1")
    check_workers(infrastructure, args.workers or 0)
    leaders = args.leaders or 1
    if track.max_leaders is not None and leaders > track.max_leaders:
        raise UsageError(
            f"--leaders {leaders} can't be: project '{infrastructure.project}' is set up for the {track.name} track, "
            "where one leader has all workers.",
            "Leave --leaders out, or switch the track with ./update-solver-infrastructure.",
        )
    return Size(leaders, args.workers or 0)


@dataclass
class _SetUp:
    """The setup of a cluster: checks before anything costs money, then the start, then the wait."""

    aws: Aws
    infrastructure: Infrastructure
    cluster: Cluster
    args: argparse.Namespace
    console: Console

    def run(self, size: Size) -> Exit:
        track, wanted = self.infrastructure.track, ["leader", "worker"] if size.workers else ["leader"]
        before, there, vcpus = together(
            self.cluster.look,
            lambda: images.tags(self.aws, self.infrastructure.repository),
            lambda: together(lambda: quota.vcpus(self.aws), lambda: quota.used(self.aws)),
        )
        _check_images(self.infrastructure, wanted, there)
        self._check_quota(size, before, *vcpus)
        hour = size.nodes * self._node_price()
        self.console.say(
            f"Starting {size}: {count(size.nodes, 'machine')} of type {track.instance_type} ({track.vcpus} vCPU, "
            f"{track.machine_memory // 1024} GiB), for {hour:.2f} USD per hour. This takes 2 to 5 minutes in AWS "
            f"(and is waited for at most {duration(self.args.timeout)})."
        )
        self._put_automatic_stop(hour)
        zones = list(zip(self.infrastructure.zones, self.infrastructure.subnets, strict=True))
        self.console.when_interrupted = (
            f"Up to {count(size.nodes, 'machine')} may be running, for {hour:.2f} USD per hour. Stop them: {SHUTDOWN}"
        )
        start = Start(self.cluster, before, size, zones, lambda since: diagnose(self.aws, self.infrastructure, since))
        start.begin()
        if self.args.no_wait:
            self.console.result(f"AWS has been asked for {size}. They cost money until you type: {SHUTDOWN}")
            return Exit.OK
        with self.console.waiting("Starting", total=3 * size.nodes) as wait:
            try:
                start.follow(wait, self.args.timeout, lambda hours: f"{hours * self._node_price():.2f} USD")
            except StartError as error:
                failure = error
            else:
                self.console.when_interrupted = ""
                self.console.result(
                    f"{str(size)[0].upper()}{str(size)[1:]} {'runs' if size.nodes == 1 else 'run'}, after "
                    f"{duration(wait.elapsed)}, for {hour:.2f} USD per hour until you type: {SHUTDOWN}"
                )
                return Exit.OK
        raise self._after(failure, before)

    def _node_price(self) -> float:
        infra = self.infrastructure
        body = template.render(Project(infra.project), infra.track, infra.zones)
        return prices.node_per_hour(template.read(body)).total

    def _check_quota(self, size: Size, before: Fleet, limit: int | None, used: int) -> None:
        """Raise SatcompError where the account may not run so many machines; others of it count, too."""
        if limit is None:
            return
        track = self.infrastructure.track
        for_us = limit - used + before.instances * track.vcpus
        if size.nodes * track.vcpus > for_us:
            fit = max(quota.nodes(track, for_us), 0)
            others = max(used - before.instances * track.vcpus, 0)
            elsewhere = f", {others} of which other machines use" if others else ""
            raise SatcompError(
                f"{count(size.nodes, 'node')} of {track.vcpus} vCPU are more than the account may run at once: "
                f"{limit} vCPU{elsewhere}. There is room for {count(fit, 'node')}.",
                f"Start fewer, or request {size.nodes * track.vcpus + others} vCPU or more (this takes hours to days): "
                f"{quota.console_path(self.aws.region)}",
            )

    def _put_automatic_stop(self, hour: float) -> None:
        group, seconds = self.infrastructure.auto_scaling_group, self.args.stop_after
        if seconds is None:
            automatic_stop.remove(self.aws, group)
            self.console.say(
                f"WARNING: no automatic stop (--stop-after never). The machines cost {24 * hour:.2f} USD a day until "
                f"you type: {SHUTDOWN}"
            )
            return
        at: datetime = automatic_stop.put(self.aws, group, seconds)
        self.console.say(
            f"Automatic stop: {at.astimezone():%Y-%m-%d %H:%M}, after {hour * seconds / 3600:.2f} USD at most "
            "(--stop-after)."
        )

    def _after(self, failure: StartError, before: Fleet) -> SatcompError:
        """The error to end with, after going back to what was there before unless the user wants to look into it."""
        if self.args.keep_on_failure:
            return SatcompError(
                f"{failure.message} What runs goes on running and costs money (--keep-on-failure).",
                f"Stop it: {SHUTDOWN}",
            )
        old = Size(before.leaders.desired, before.workers.desired)
        if old.nodes == 0:
            automatic_stop.remove(self.aws, self.infrastructure.auto_scaling_group)
            self.console.say("This can't be completed: stopping what was started.")
            stop_all(self.cluster, self.console, self.args.timeout)
            return SatcompError(f"{failure.message} No machine is running.", failure.advice)
        self.cluster.resize(old.leaders, old.workers)
        return SatcompError(f"{failure.message} The cluster goes back to {old}, as before.", f"Stop it: {SHUTDOWN}")


def _check_images(infrastructure: Infrastructure, wanted: list[str], there: set[str]) -> None:
    missing = [tag for tag in wanted if tag not in there]
    if missing:
        options = " ".join(f"--{tag} {tag.upper()}_IMAGE" for tag in missing)
        names = " and ".join(f"'{tag}'" for tag in missing)
        raise SatcompError(
            f"Repository {infrastructure.repository} has no image {names}, so no node could start.",
            f"Push what is missing: ./push-ecr --project {infrastructure.project} {options}",
        )


def stop_all(cluster: Cluster, console: Console, timeout: float) -> None:
    """Stop all nodes, and wait until EC2 has no machine of the cluster any more."""
    total = len(cluster.instances())
    cluster.stop()
    left = cluster.instances()
    if not total and not left:
        return
    console.when_interrupted = (
        "The machines are being stopped, and AWS goes on with that; to see that none is left, type the same again."
    )
    total = max(total, len(left))

    def late() -> SatcompError:
        return SatcompError(
            f"After {timeout / 60:.0f} minutes EC2 still hasn't terminated {', '.join(left)}.",
            "Type the same command again; if that doesn't help, terminate them in the EC2 console: they cost money.",
        )

    with console.waiting(f"Stopping {count(total, 'machine')}", total) as wait:
        for _ in wait.polls(timeout, late):
            left = cluster.instances()
            total = max(total, len(left))
            wait.update(f"{total - len(left)} of {count(total, 'machine')} stopped", total - len(left))
            if not left:
                break
        elapsed = wait.elapsed
    console.when_interrupted = ""
    console.say(f"All machines are gone, after {duration(elapsed)}.")
