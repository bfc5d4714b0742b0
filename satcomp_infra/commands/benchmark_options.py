"""What can be typed behind run_benchmarks."""

from __future__ import annotations

import argparse
import math
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from .. import cli
from ..command_line import Example
from ..jobs import MAX_TIMEOUT_SECONDS
from .instances import MAX_NODES
from .job_options import ParserWithArgs, add_model_check, add_solver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..command_line import Parser

RUNS = "runs"
"""The directory in which runs are kept, unless --output says otherwise."""

_GOES_WITH = {
    **dict.fromkeys(
        ("--timeout", "--workers", "--name", "--solver", "--args", "--language", "--check-models", "--limit"),
        ("PROBLEMS",),
    ),
    "--expected": ("PROBLEMS",),
    "--output": ("PROBLEMS", "--report"),
    "--format": ("--report",),
    "--retry": ("--resume",),
    **dict.fromkeys(("--yes", "--budget", "--setup", "--leaders"), ("PROBLEMS", "--resume")),
}
"""In which of its modes the command heeds an option; in others it is refused."""


class _Parser(ParserWithArgs):
    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        args = super().parse(argv)
        modes = {"PROBLEMS": args.problems, "--resume": args.resume, "--report": args.report, "--sample": args.sample}
        given = [name for name, value in modes.items() if value]
        if len(given) != 1:
            self.error(f"give one of {', '.join(modes)}" + (f", not {' and '.join(given)}" if given else ""))
        typed = {word.partition("=")[0] for word in takewhile(lambda word: word != "--", argv)}
        for name, goes_with in _GOES_WITH.items():
            if name in typed and given[0] not in goes_with:
                why = ": a run goes on as it was begun" if args.resume else ""
                self.error(f"{name} goes with {' or '.join(goes_with)}{why}")
        if args.problems and args.timeout is None:
            self.error("--timeout is missing: how many seconds does the solver get for a problem?")
        if "--leaders" in typed and not args.setup:
            self.error("--leaders goes with --setup")
        return args


def parser() -> Parser:
    """The command's arguments."""
    parser = _Parser(
        "run_benchmarks",
        "Run your solver on many problems, and report how good it is.",
        usage=[
            "PROBLEMS --timeout SECONDS [options]",
            "--resume DIR [options]",
            "--report DIR [DIR ...] [options]",
            "--sample DIR",
        ],
        notes="Before it begins, a run says what it costs at worst. It can be left at any time (Ctrl-C) and continued "
        "later (--resume). Its report has wrong answers first, the competition's score table, and plots.",
        examples=[
            Example("write 30 small problems to try it with", "./run_benchmarks --sample suite"),
            Example(
                "run them on machines that are started for it and stopped afterwards",
                "./run_benchmarks suite --timeout 60 --workers 1 --output runs/new --setup",
            ),
            Example(
                "20 of your problems, for 15 US dollars at most; --stable=1 is the solver's",
                "./run_benchmarks problems/ --timeout 1000 --limit 20 --budget 15 \\\n    --setup --args --stable=1",
            ),
            Example(
                "go on with a run, and do again what ended in ERROR",
                "./run_benchmarks --resume runs/new --retry errors",
            ),
            Example("compare two runs", "./run_benchmarks --report runs/old runs/new"),
        ],
        exit_codes={
            0: "done, and no answer is wrong",
            1: "an answer is wrong, or two contradict each other; or it failed, is above --budget, or you said no",
            130: "ended by Ctrl-C; jobs go on (with --setup, machines are stopped and jobs stay on the queue)",
        },
    )
    what = parser.add_argument_group("what to do (one of these)")
    what.add_argument(
        "problems",
        nargs="*",
        metavar="PROBLEMS",
        help="run the solver on these: files (.cnf, .smt2, compressed or not), directories, s3:// prefixes, or .uri "
        "lists of any of them",
    )
    what.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this directory")
    what.add_argument(
        "--report",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="report on the runs in these directories; on two, also what was gained and lost",
    )
    what.add_argument(
        "--sample", type=Path, metavar="DIR", help="write 30 small problems with known answers into this directory"
    )
    _add_run_options(parser)
    _add_money_options(parser)
    results = parser.add_argument_group("results")
    results.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help=f"where to keep the run, or the report (default: a new directory in {RUNS}/; of a single run, the "
        "report goes to that run's)",
    )
    results.add_argument(
        "--retry",
        choices=("errors",),
        help="with --resume: send jobs again that ended in ERROR (default: only what was never sent)",
    )
    results.add_argument(
        "--format",
        choices=("benchexec",),
        help="with --report: write files for BenchExec's table-generator, too (default: none)",
    )
    cli.add_aws_options(parser)
    cli.add_output_options(parser)
    return parser


def _add_run_options(parser: Parser) -> None:
    """What a new run is like: what the solver gets, which problems are taken, what is right."""
    group = parser.add_argument_group("a new run")
    group.add_argument(
        "--timeout",
        type=cli.whole_number(1, MAX_TIMEOUT_SECONDS),
        metavar="SECONDS",
        help=f"wall-clock time that the solver gets for each problem, in seconds, {MAX_TIMEOUT_SECONDS} at most; "
        "competitions give 1000 (required)",
    )
    group.add_argument(
        "--workers",
        type=cli.whole_number(0, MAX_NODES),
        default=0,
        metavar="NUM_WORKERS",
        help="how many workers each job gets beside its leader; parallel track: 0 (default: %(default)s)",
    )
    group.add_argument(
        "--limit",
        type=cli.whole_number(1),
        metavar="NUMBER",
        help="take only so many problems, evenly spread (default: all)",
    )
    group.add_argument(
        "--language", default="", help="the problems' language, as DIMACS or SMTLIB2 (default: by each file's suffix)"
    )
    add_solver(group, "--solver")
    add_model_check(group)
    group.add_argument(
        "--name", metavar="LABEL", help="what reports call the run (default: what its directory is called)"
    )
    group.add_argument(
        "--expected",
        type=Path,
        metavar="CSV",
        help="the right answers, in columns problem,verdict, or GBD's hash,result (default: expected.csv in the "
        "problems' directory)",
    )


def _add_money_options(parser: Parser) -> None:
    group = parser.add_argument_group("machines and money")
    group.add_argument(
        "--setup",
        action="store_true",
        help="start the machines, and stop them when the run ends, also by Ctrl-C or a failure (default: use those "
        "that are running)",
    )
    group.add_argument(
        "--leaders",
        type=cli.whole_number(1, MAX_NODES),
        default=1,
        metavar="NUM_LEADERS",
        help="with --setup: how many leaders to run, which share the queue; parallel track only (default: %(default)s)",
    )
    group.add_argument(
        "--budget",
        type=_dollars,
        default=0.0,
        metavar="USD",
        help="refuse to cost more than so many US dollars at worst, and end when so many are spent (default: no limit)",
    )
    group.add_argument("--yes", action="store_true", help="don't ask before money is spent")


def _dollars(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not an amount of dollars, as 15 or 2.50")
    return value
