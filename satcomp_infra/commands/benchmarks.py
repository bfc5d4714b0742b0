"""run_benchmarks: run a solver on many problems, and report how good it is."""

from __future__ import annotations

import argparse
import math
import time
from contextlib import nullcontext
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from .. import cli
from ..command_line import Example
from ..errors import Exit
from ..jobs import MAX_TIMEOUT_SECONDS, Verdict
from ..project import Project
from ..units import count
from .instances import MAX_NODES, check_workers
from .job_options import ParserWithArgs, add_model_check, add_solver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..aws import Aws
    from ..command_line import Parser
    from ..progress import Console
    from ..stack import Infrastructure
    from ..suites.journal import Run
    from ..suites.records import Finished

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
        run.settings = replace(run.settings, budget=args.budget or run.settings.budget)
        return _carry_out(aws, infrastructure, run, args, console)
    infrastructure = find(aws, args.project)
    check_workers(infrastructure, args.workers)
    kept_in = nullcontext(args.output) if args.output else new_run.directory_of_its_own(Path(RUNS), _now())
    with kept_in as directory:
        new = new_run.make(aws, infrastructure, args, directory, console)
        return _carry_out(aws, infrastructure, new.run, args, console, new.files)


def _sample(directory: Path, console: Console) -> Exit:
    from ..suites import sample

    number = sample.write(directory)
    console.result(f"Wrote {count(number, 'problem')} and {sample.EXPECTED} to {directory}.")
    console.say(f"Run your solver on them:\n./run_benchmarks {directory} --timeout 60")
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


def _carry_out(
    aws: Aws,
    infrastructure: Infrastructure,
    run: Run,
    args: argparse.Namespace,
    console: Console,
    files: Mapping[str, Path] | None = None,
) -> Exit:
    """Say what it costs, upload the files of a new run, send, follow, report."""
    from ..fleet import Cluster
    from ..suites import machines, new_run, records
    from ..suites.run import Carrying

    carrying = Carrying(aws, infrastructure, console, run, retry_errors=args.retry == "errors")
    fleet = Cluster.of(aws, infrastructure).look()
    cost = machines.estimate(run, carrying.to_do, infrastructure, fleet, args)
    if cost.jobs:
        console.say(f"Run '{run.settings.name}', kept in {run.directory}:")
        for line in cost.lines():
            console.say(line)
        if carrying.to_send or args.setup:  # following alone begins nothing
            cost.check_budget(run.settings.budget, run.spent, fixed=bool(args.resume))
            if not args.yes:
                machines.confirm(cost, console)
        if not args.setup:
            machines.note_if_none_run(fleet, run, infrastructure, console)
    if files is not None:
        new_run.upload(aws, infrastructure, files, console)
    run.store()
    console.when_interrupted = (
        f"The jobs go on in AWS. To follow them again:\n./run_benchmarks --resume {run.directory}"
    )
    if cost.jobs:
        carrying.meter.read(cost.nodes if args.setup else fleet.instances)  # booting costs money, too
    try:
        if args.setup and cost.jobs:
            with machines.running(aws, infrastructure, run, cost, args.leaders, console):
                carrying.carry_out()
        else:
            carrying.carry_out()
    finally:
        carrying.meter.read(0)
        run.write_results()
    console.when_interrupted = ""
    finished = records.read(run.directory)
    code = _tell([finished], run.directory, console)
    _tell_errors(finished, run.directory, console)
    return code


def _tell_errors(run: Finished, directory: Path, console: Console) -> None:
    """What the first of a run's errors is, and how to send them again."""
    errors = [row for row in run.rows if row.verdict == Verdict.ERROR]
    if errors:
        ended = count(len(errors), "problem has", "problems have")
        console.result(
            f"{ended} ended in ERROR, {errors[0].problem} because: {errors[0].reason}\n"
            "The reasons of all stand in results.csv. To send them again:\n"
            f"./run_benchmarks --resume {directory} --retry errors"
        )


def _now() -> str:
    """A directory's name for what has none."""
    return time.strftime("%Y-%m-%d-%H%M%S")
