"""show_status: how the project is, on one screen; what its nodes print."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import cli, node_logs, screen
from ..command_line import Example, Parser
from ..errors import Exit, SatcompError
from ..finding import find
from ..status import look
from ..units import duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from ..aws import Aws
    from ..progress import Console

WATCH_SECONDS = 3.0
"""Between two screens: each is about 15 calls, which cost nothing."""


class _Parser(Parser):
    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        args = super().parse(argv)
        if not args.logs and (args.follow or args.since is not None):
            self.error(f"{'--follow' if args.follow else '--since'} goes with --logs")
        if sum((bool(args.watch), args.json, bool(args.logs))) > 1:
            self.error("only one of --watch, --json and --logs can be given")
        return args


def parser() -> Parser:
    """The command's arguments."""
    parser = _Parser(
        "show_status",
        "Show how the project is: machines, nodes, queues, costs, and what is wrong.",
        usage=["[options]", "--logs {leader,worker} [--follow] [--since TIME] [options]"],
        notes="It only looks, and that costs nothing. All that can be wrong, and what to do, is in "
        "docs/troubleshooting.md.",
        examples=[
            Example("look once: is anything wrong, does anything cost money?", "./show_status"),
            Example("look again every three seconds, until Ctrl-C", "./show_status --watch"),
            Example("see your solver at work", "./show_status --logs leader --follow"),
            Example("what the workers printed in the last hour", "./show_status --logs worker --since 1h"),
        ],
        exit_codes={
            0: "all is well; with --watch or --logs: it was shown, whatever it says",
            1: "something is wrong, or AWS couldn't be asked",
            130: "ended by Ctrl-C (0 with --watch or --follow, which end like that)",
        },
    )
    what = parser.add_argument_group("what to show")
    what.add_argument(
        "--watch",
        nargs="?",
        type=cli.time_span,
        const=WATCH_SECONDS,
        metavar="TIME",
        help=f"show it again every so often, as 10s or 1m, until Ctrl-C (default: {WATCH_SECONDS:.0f}s)",
    )
    what.add_argument("--json", action="store_true", help="print it as a JSON object, for programs")
    what.add_argument(
        "--logs", choices=["leader", "worker"], help="print what the nodes of this role have printed, in order of time"
    )
    logs = parser.add_argument_group("what nodes print (with --logs)")
    logs.add_argument("--follow", action="store_true", help="go on with what they print, until Ctrl-C")
    logs.add_argument(
        "--since", type=cli.time_span, metavar="TIME", help="how far to go back, as 90s, 15m or 8h (default: 10m)"
    )
    cli.add_aws_options(parser)
    cli.add_output_options(parser)
    return parser


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Show what was asked for."""
    aws = cli.connect(args)
    if args.watch or args.follow:
        try:
            if args.watch:
                _watch(aws, args, console)
            else:
                _logs(aws, args, console)
        except KeyboardInterrupt:  # how it is meant to end
            pass
        return Exit.OK
    if args.logs:
        _logs(aws, args, console)
        return Exit.OK
    status = look(aws, args.project)
    if args.json:
        console.verbatim(json.dumps(status.as_json(), indent=2))
    else:
        console.result(screen.draw(status))
    return Exit.OK if status.is_well else Exit.FAILURE


def _logs(aws: Aws, args: argparse.Namespace, console: Console) -> None:
    infrastructure = find(aws, args.project)
    group = infrastructure.leader_log_group if args.logs == "leader" else infrastructure.worker_log_group
    span = cli.time_span("10m") if args.since is None else args.since
    start = node_logs.since(span)
    name = node_logs.Names(lambda: node_logs.addresses(aws, infrastructure))
    lines = (
        node_logs.follow(aws, group, start, console, name) if args.follow else node_logs.lines(aws, group, start, name)
    )
    printed = False
    for line in lines:
        console.verbatim(str(line))
        printed = True
    if not printed:
        console.say(f"No {args.logs} has printed anything in the last {duration(span)}. Look further back: --since 8h")


def _watch(aws: Aws, args: argparse.Namespace, console: Console) -> None:
    """Draw the screen again and again. Where AWS can't be asked for a while, that is said below the last one."""
    status, trouble = look(aws, args.project), ""
    fits = _fits(console)
    with _drawing(console) as draw:

        def fits_above(text: str) -> bool:
            return fits(f"{text}{trouble}")

        while True:
            draw(f"{screen.draw(status, fits_above)}{trouble}")
            console.sleep(args.watch)
            try:
                status, trouble = look(aws, args.project), ""
            except Exception as error:
                words = _passing(error)
                if not words:
                    raise
                trouble = f"\n\nThis is from some time ago, for now: {words}"


def _passing(error: Exception) -> str:
    """In words, an error that may pass by itself; empty for any other."""
    from botocore.exceptions import BotoCoreError, ClientError

    from ..aws import in_words

    if isinstance(error, BotoCoreError | ClientError):
        return str(in_words(error))
    return str(error) if isinstance(error, SatcompError) else ""


@contextmanager
def _drawing(console: Console) -> Iterator[Callable[[str], None]]:
    """A function that shows a text: in the place of the one before on a terminal, elsewhere below it."""
    if not (console.interactive and console.out.isatty()):
        yield lambda text: console.result(f"{text}\n")
        return
    from ..drawing import in_place

    with in_place(console.out) as draw:
        yield lambda text: draw(console.shown(text))


def _fits(console: Console) -> Callable[[str], bool]:
    """Whether there is place for a text where _drawing shows it."""
    if not (console.interactive and console.out.isatty()):
        return lambda _: True
    from ..drawing import Terminal

    terminal = Terminal(file=console.out)
    return lambda text: len(console.shown(text)) <= terminal.height
