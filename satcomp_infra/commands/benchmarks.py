"""run_benchmarks: run a solver on many problems, and report how good it is."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import cli
from ..errors import Exit
from ..jobs import Verdict
from ..project import Project
from ..units import count
from .benchmark_options import RUNS, parser
from .instances import check_workers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from ..aws import Aws
    from ..progress import Console
    from ..stack import Infrastructure
    from ..suites.journal import Run
    from ..suites.records import Finished

__all__ = ["parser", "run"]


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
