"""What rehearse takes on its command line."""

from __future__ import annotations

from pathlib import Path

from .. import cli
from ..command_line import Example, Parser
from ..tracks import TRACKS

DEFAULT_WORKERS = 2
MAX_WORKERS = 16
DEFAULT_TIMEOUT_SECONDS = 60
DEFAULT_MEMORY = 512
"""MiB: enough for the problems that are to be solved, and soon full."""


def parser() -> Parser:
    """The command's arguments."""
    parser = Parser(
        "rehearse",
        "Run the whole walkthrough on this machine: no AWS account, nothing to pay.",
        usage=["[options]", "--images LEADER_IMAGE [--worker-image WORKER_IMAGE] [options]"],
        notes="A local cloud takes AWS's place, and a real solver solves real problems; nothing is left afterwards.",
        examples=[
            Example("both tracks, with the sample solver", "./rehearse"),
            Example("your own problem, on the cloud track", "./rehearse --track cloud --workers 3 --problem my.cnf"),
            Example("your own solver's scripts", "./rehearse --solver my-solver/"),
            Example(
                "the acceptance test of images, before they cost money",
                "./rehearse --images my-solver:leader --worker-image my-solver:worker",
            ),
            Example("just the local cloud, to type commands by hand", "./rehearse --track none --keep"),
        ],
        exit_codes={
            0: "all went as it should",
            1: "something did not, as the message or the table says",
            130: "ended by Ctrl-C (0 with --keep, which ends like that); nothing of the local cloud is left",
        },
    )
    what = parser.add_argument_group("what to rehearse")
    what.add_argument(
        "--track",
        choices=[*TRACKS, "both", "none"],
        default="both",
        help="which track; none: no commands, just the local cloud (default: %(default)s)",
    )
    what.add_argument(
        "--workers",
        type=cli.whole_number(1, MAX_WORKERS),
        default=DEFAULT_WORKERS,
        metavar="NUM_WORKERS",
        help=f"how many workers to run beside the leader, {MAX_WORKERS} at most; cloud track only (default: "
        "%(default)s)",
    )
    what.add_argument(
        "--problem",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="solve this one, a .cnf file, compressed or not; may be given more than once (default: those that are "
        "built in)",
    )
    what.add_argument(
        "--timeout",
        type=cli.whole_number(1),
        default=DEFAULT_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="wall-clock time that the solver gets for each problem, in seconds (default: %(default)s)",
    )
    what.add_argument(
        "--solver",
        type=Path,
        metavar="DIR",
        help="run the scripts in this directory: 'solver', and for the cloud track 'worker' and 'cleanup' (default: "
        "the sample solver, a Kissat portfolio)",
    )
    images = parser.add_argument_group("testing your images", "Of the options above, only --workers counts with these.")
    images.add_argument(
        "--images",
        metavar="LEADER_IMAGE",
        help="test this local image of a leader in containers, as a competition would",
    )
    images.add_argument(
        "--worker-image",
        metavar="WORKER_IMAGE",
        help="the workers' image, for the cloud track (default: none, for the parallel track)",
    )
    images.add_argument(
        "--memory",
        type=cli.whole_number(128),
        default=DEFAULT_MEMORY,
        metavar="MIB",
        help="each container's memory, in MiB, 128 at least; one problem is too large for it (default: %(default)s)",
    )
    after = parser.add_argument_group("afterwards")
    after.add_argument(
        "--keep",
        action="store_true",
        help="leave the local cloud up until Ctrl-C, to type commands by hand (not with --images)",
    )
    cli.add_output_options(parser)
    return parser
