"""update_instances: start the cluster's machines and stop them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .. import automatic_stop, cli
from ..cluster_setup import ClusterSetup
from ..command_line import Example, Parser
from ..errors import Exit, UsageError
from ..finding import find
from ..fleet import Cluster
from ..project import TEST_PROBLEM
from ..starting import Size
from ..stopping import SHUTDOWN, stop_all
from ..units import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..progress import Console
    from ..stack import Infrastructure

TIMEOUT = "15m"
"""A machine boots in 1 to 2 minutes, and pulls an image of some GB in another one; stopping takes about as long."""
STOP_AFTER = "8h"
SHORTEST_STOP = 60.0
"""Seconds. Auto Scaling takes no time that has passed when it reads it, either."""
MAX_NODES = 1000


class _Parser(Parser):
    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        args = super().parse(argv)
        typed = {word.partition("=")[0] for word in argv}  # options can't be shortened
        for option in ("--workers", "--leaders", "--stop-after", "--no-wait", "--keep-on-failure"):
            if args.option == "shutdown" and option in typed:
                self.error(f"{option} goes with --option setup; shutdown stops all machines")
        return args


def parser() -> Parser:
    """The command's arguments."""
    parser = _Parser(
        "update_instances",
        "Start the cluster's machines, or stop them all.",
        usage=["--option setup --workers NUM_WORKERS [options]", "--option shutdown [options]"],
        notes="Machines cost money from setup until shutdown has ended (docs/costs.md); setup says how much before it "
        "starts any. Type it again with another number to change how many run.",
        examples=[
            Example(
                "start a leader and two workers (cloud track)",
                "./update_instances --option setup --workers 2",
            ),
            Example(
                "start four leaders that share the queue, for half a day (parallel track)",
                "./update_instances --option setup --leaders 4 --stop-after 12h",
            ),
            Example("stop all machines", "./update_instances --option shutdown"),
        ],
        exit_codes={
            0: "all machines run and are ready (with --no-wait: AWS was asked for them), or all are gone",
            1: "they could not be started or stopped, or not within --timeout; the message says what is running",
            130: "ended by Ctrl-C; the message says what is running, and what it costs",
        },
    )
    what = parser.add_argument_group("what to do")
    what.add_argument(
        "--option",
        required=True,
        choices=["setup", "shutdown"],
        help="setup: start machines; shutdown: stop all of them",
    )
    machines = parser.add_argument_group("machines and money (setup)")
    machines.add_argument(
        "--workers",
        type=cli.whole_number(0, MAX_NODES),
        metavar="NUM_WORKERS",
        help=f"how many workers to run beside the leader, {MAX_NODES} at most (required on the cloud track; the "
        "parallel track has none)",
    )
    machines.add_argument(
        "--leaders",
        type=cli.whole_number(1, MAX_NODES),
        metavar="NUM_LEADERS",
        help="how many leaders to run, which share the queue; parallel track only (default: 1)",
    )
    machines.add_argument(
        "--stop-after",
        type=_stop_after,
        default=STOP_AFTER,
        metavar="TIME",
        help="let all machines stop by themselves after this time, as 30m or 8h, or 'never' (default: %(default)s)",
    )
    waiting = parser.add_argument_group("waiting")
    cli.add_timeout(waiting, TIMEOUT, "then setup goes back to what ran before")
    waiting.add_argument(
        "--no-wait", action="store_true", help="with setup: end as soon as AWS has been asked for the machines"
    )
    waiting.add_argument(
        "--keep-on-failure",
        action="store_true",
        help="with setup: where not all machines can run, keep those that do, instead of going back",
    )
    cli.add_aws_options(parser)
    cli.add_output_options(parser)
    return parser


def _stop_after(text: str) -> float | None:
    seconds = None if text == "never" else cli.time_span(text)
    if seconds is not None and seconds < SHORTEST_STOP:
        raise argparse.ArgumentTypeError(
            f"'{text}' is too soon: machines need minutes to start, and {duration(SHORTEST_STOP)} is the least"
        )
    return seconds


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Start or stop the machines, and wait until they run or are gone."""
    aws = cli.connect(args)
    infrastructure = find(aws, args.project)
    if args.option == "shutdown":
        stop_all(Cluster.of(aws, infrastructure), console, args.timeout)
        automatic_stop.remove(aws, infrastructure.auto_scaling_group)
        console.result("No machine is running: 0.00 USD per hour from now on.")
        return Exit.OK
    size = _size(infrastructure, args)
    options = ClusterSetup.Options(args.timeout, args.stop_after, wait=not args.no_wait, keep=args.keep_on_failure)
    console.result(ClusterSetup(aws, infrastructure, console, options).run(size))
    if args.no_wait:
        console.result("To see how far it is:\n./show_status")
    else:
        problem = f"s3://{infrastructure.bucket}/{TEST_PROBLEM}"
        console.result(
            f"To solve a problem:\n./send_message --location {problem} --workers {size.workers} --await-response"
        )
    console.result(f"To stop the machines:\n{SHUTDOWN}")
    return Exit.OK


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
        raise UsageError(
            "--workers is missing: how many workers should run beside the leader?", "Type for example --workers 1."
        )
    check_workers(infrastructure, args.workers or 0)
    leaders = args.leaders or 1
    if track.max_leaders is not None and leaders > track.max_leaders:
        raise UsageError(
            f"--leaders {leaders} can't be: project '{infrastructure.project}' is set up for the {track.name} track, "
            "where one leader has all workers.",
            "Leave --leaders out, or switch the track with ./update-solver-infrastructure.",
        )
    return Size(leaders, args.workers or 0)
