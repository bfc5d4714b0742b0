"""run_benchmarks: run a solver on many problems, and report how good it is."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import cli
from ..errors import Exit
from ..jobs import MAX_TIMEOUT_SECONDS
from ..progress import count
from ..project import Project
from .instances import MAX_NODES, check_workers
from .send import ParserWithArgs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..aws import Aws
    from ..progress import Console
    from ..stack import Infrastructure
    from ..suites.journal import Run
    from ..suites.records import Finished

RUNS = "runs"
"""The directory in which runs are kept, unless --output says otherwise."""


class _Parser(ParserWithArgs):
    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        args = super().parse(argv)
        modes = {"PROBLEMS": args.problems, "--resume": args.resume, "--report": args.report, "--sample": args.sample}
        given = [name for name, value in modes.items() if value]
        if len(given) != 1:
            self.error(f"give one of {', '.join(modes)}" + (f", not {' and '.join(given)}" if given else ""))
        if args.problems and args.timeout is None:
            self.error("--timeout is missing: how many seconds does the solver get for a problem?")
        if args.format and not args.report:
            self.error("--format goes with --report")
        if args.retry and not args.resume:
            self.error("--retry goes with --resume")
        of_a_new_run = ("--timeout", args.timeout), ("--args", args.args), ("--expected", args.expected)
        for name, value in of_a_new_run:
            if value and not args.problems:
                self.error(f"{name} goes with PROBLEMS")
        return args


def parser() -> cli.Parser:
    """The command's arguments."""
    parser = _Parser(
        "run_benchmarks",
        "Run your solver on many problems, and report how good it is: score table, plots, wrong answers.",
        "  ./run_benchmarks --sample suite/\n"
        "  ./run_benchmarks suite/ --timeout 1000 --workers 3 --name new --output runs/new --args -p\n"
        "  ./run_benchmarks suite/ --timeout 1000 --limit 20 --setup --budget 15\n"
        "  ./run_benchmarks --resume runs/new --retry errors\n"
        "  ./run_benchmarks --report runs/old runs/new",
    )
    parser.add_argument(
        "problems",
        nargs="*",
        metavar="PROBLEMS",
        help="files (.cnf, .smt2, compressed or not), directories, s3:// prefixes, or .uri lists of these",
    )
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this directory")
    parser.add_argument(
        "--report", type=Path, nargs="+", metavar="DIR", help="report on runs; of two, also what was gained and lost"
    )
    parser.add_argument(
        "--sample", type=Path, metavar="DIR", help="write 30 small problems with known answers into a directory"
    )
    run = parser.add_argument_group("a run")
    run.add_argument(
        "--timeout",
        type=cli.whole_number(1, MAX_TIMEOUT_SECONDS),
        metavar="S",
        help="seconds of wall-clock time that the solver gets for each problem (competitions: 1000)",
    )
    run.add_argument(
        "--workers",
        type=cli.whole_number(0, MAX_NODES),
        default=0,
        metavar="NUM_WORKERS",
        help="how many workers each job gets beside its leader (default: %(default)s)",
    )
    run.add_argument("--name", metavar="LABEL", help="what to call the run in reports (default: its directory's name)")
    run.add_argument("--solver", default="", metavar="NAME", help="the solver's name, for an image that holds several")
    run.add_argument(
        "--args", metavar="ARGS", nargs="*", help="arguments for the solver, up to the next option of this command"
    )
    run.add_argument("--language", default="", help="the formulas' language, as DIMACS (default: by suffix)")
    run.add_argument("--check-models", choices=("on", "off"), default="on", help="as in send_message (default: on)")
    run.add_argument(
        "--limit", type=cli.whole_number(1), metavar="K", help="take only K of the problems, evenly spread"
    )
    run.add_argument(
        "--expected",
        type=Path,
        metavar="CSV",
        help="what is right: columns problem,verdict, or GBD's (default: expected.csv in the problems' directory)",
    )
    run.add_argument("--output", type=Path, metavar="DIR", help="where the run, or the report, is kept")
    run.add_argument("--retry", choices=("errors",), help="with --resume: send jobs again that ended in ERROR")
    parser.add_argument(
        "--format", choices=("benchexec",), help="with --report: also write what BenchExec's table-generator reads"
    )
    money = parser.add_argument_group("machines and money")
    money.add_argument("--yes", action="store_true", help="don't ask before money is spent")
    money.add_argument(
        "--budget", type=_dollars, default=0.0, metavar="USD", help="refuse to cost more than that at worst"
    )
    money.add_argument(
        "--setup", action="store_true", help="start the machines, and stop them at the end, however that comes"
    )
    money.add_argument(
        "--leaders",
        type=cli.whole_number(1, MAX_NODES),
        default=1,
        metavar="K",
        help="with --setup: leaders that share the problems (parallel track; default: %(default)s)",
    )
    cli.add_project(parser, required=False)
    cli.add_aws_options(parser)
    return parser


def _dollars(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not an amount of dollars, as 15 or 2.50")
    return value


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Do what was asked for."""
    if args.sample:
        return _sample(args.sample, console)
    if args.report:
        return _report(args.report, args.output, args.format, console)
    from ..finding import find
    from ..suites import new_run
    from ..suites.journal import Run

    aws = cli.connect(args)
    if args.resume:
        run = Run.open(args.resume)
        infrastructure = find(aws, args.project or Project(run.settings.project))
        run.settings = replace(run.settings, budget=args.budget)
    else:
        infrastructure = find(aws, args.project)
        check_workers(infrastructure, args.workers)
        run = new_run.make(aws, infrastructure, args, args.output or Path(RUNS) / _now(), console)
    return _carry_out(aws, infrastructure, run, args, console)


def _sample(directory: Path, console: Console) -> Exit:
    from ..suites import sample

    number = sample.write(directory)
    console.result(f"Wrote {count(number, 'problem')} and {sample.EXPECTED} to {directory}.")
    console.say(f"Run your solver on them: ./run_benchmarks {directory} --timeout 60")
    return Exit.OK


def _report(directories: Sequence[Path], output: Path | None, form: str | None, console: Console) -> Exit:
    from ..suites import benchexec, records

    runs = [records.read(directory) for directory in directories]
    target = output or (directories[0] if len(directories) == 1 else Path(RUNS) / f"report-{_now()}")
    code = _tell(runs, target, console)
    for file in benchexec.write(runs, target) if form == "benchexec" else ():
        console.result(f"For table-generator: {file}")
    return code


def _tell(runs: Sequence[Finished], target: Path, console: Console) -> Exit:
    """Write the report, and print what stands in it."""
    from ..suites import report

    written = report.write(runs, target)
    console.result(written.text())
    if written.note:
        console.say(written.note)
    console.result(f"Report: {target / report.REPORT}")
    return Exit.OK if written.right else Exit.FAILURE


def _carry_out(aws: Aws, infrastructure: Infrastructure, run: Run, args: argparse.Namespace, console: Console) -> Exit:
    """Say what it costs, send, follow, report."""
    from ..fleet import Cluster
    from ..suites import machines, records
    from ..suites.run import Carrying

    carrying = Carrying(aws, infrastructure, console, run, retry_errors=args.retry == "errors")
    fleet = Cluster.of(aws, infrastructure).look()
    cost = machines.estimate(run, carrying.to_do, infrastructure, fleet, args)
    if cost.jobs:
        console.say(f"Run '{run.settings.name}', kept in {run.directory}:")
        for line in cost.lines():
            console.say(line)
        cost.check_budget(args.budget)
        if not args.yes and (carrying.to_send or args.setup):
            machines.confirm(cost)
        if not args.setup:
            machines.note_if_none_run(fleet, run, infrastructure, console)
    run.store()
    console.when_interrupted = f"The jobs go on in AWS. To follow them again: ./run_benchmarks --resume {run.directory}"
    try:
        if args.setup and cost.jobs:
            with machines.running(aws, infrastructure, run, cost, args.leaders, console):
                carrying.carry_out()
        else:
            carrying.carry_out()
    finally:
        run.write_results()
    console.when_interrupted = ""
    return _tell([records.read(run.directory)], run.directory, console)


def _now() -> str:
    """A directory's name for what has none."""
    return time.strftime("%Y-%m-%d-%H%M%S")
