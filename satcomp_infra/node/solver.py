"""Running the team's solver on one problem."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..jobs import Job
from .capture import Capture
from .children import Child
from .context import Context
from .log import Log
from .memory import OomKills
from .offspring import Offspring, Usage
from .outputs import CAPTURED_STDERR, CAPTURED_STDOUT
from .problem import formula_language
from .showing import Feed, Showing
from .stop import Stop

_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Run:
    """How a solver's process ended. `started_at` is epoch seconds; `wall_seconds` goes from there to the end.

    `returncode` is the exit code, or the negated number of the signal that killed the process. `timed_out`: it was
    ended because its time was over, and `wall_seconds` goes to that moment; `obeyed` says whether SIGTERM was enough.
    `broken_off`: it was ended because `Stop` was set.
    `usage` is that of all its processes, `oom_kills` how many of them the kernel has killed to get memory; None where
    it doesn't tell. `fault` says why some of what it printed is missing, if it is.
    """

    returncode: int
    wall_seconds: float
    started_at: float
    timed_out: bool = False
    obeyed: bool = True
    broken_off: bool = False
    usage: Usage = field(default_factory=Usage)
    oom_kills: int | None = None
    fault: str = ""


def write_input(job: Job, formula: Path, workers: tuple[str, ...], leader: str) -> None:
    """Write input.json, beside the formula."""
    text = json.dumps(
        {
            "formula_file": str(formula),
            "formula_language": job.language or formula_language(job.problem),
            "solver_argument_list": list(job.solver_options),
            "timeout_seconds": job.timeout_seconds,
            "worker_node_ips": [*workers, leader],
        },
        indent=2,
    )
    (formula.parent / "input.json").write_text(text + "\n")


def run_solver(context: Context, offspring: Offspring, directory: Path, job: Job, log: Log) -> Run:
    """Run `solver DIRECTORY`; on return, however that is, nothing that it started is left.

    It finds the job's name for it in `SATCOMP_SOLVER_NAME`. Its output goes to files in the directory, and what is not
    too much of it to the log. It is broken off when `context.stop` is set. Raises ProgramError where the program can't
    be started.
    """
    stop, timing = context.stop, context.timing
    oom_kills = OomKills()
    showing = Showing(log)
    shown = [Feed(showing, name) for name in ("stdout", "stderr")]
    with (
        Capture(directory / CAPTURED_STDOUT, show=shown[0].take) as out,
        Capture(directory / CAPTURED_STDERR, show=shown[1].take) as err,
    ):
        started_at, begun = time.time(), time.monotonic()
        child = offspring.start(
            context.program("solver"),
            str(directory),
            directory=directory,
            environment=context.program_environment(SATCOMP_SOLVER_NAME=job.solver_name),
            stdout=out.writer,
            stderr=err.writer,
        )
        try:
            ended = _wait(child, offspring, begun + job.timeout_seconds, stop)
            wall_seconds = time.monotonic() - begun
            broken_off = not ended and stop.is_set()
            if ended:
                child.end()
            elif broken_off:
                child.end(timing.stop_grace)
            else:
                child.end(timing.kill_grace, timing.stop_grace, stop)
            obeyed = time.monotonic() - begun - wall_seconds < timing.kill_grace
        finally:
            offspring.kill(log)
    for feed in shown:
        feed.end()
    showing.end()
    return Run(
        child.returncode,
        wall_seconds,
        started_at,
        timed_out=not ended and not broken_off,
        obeyed=obeyed,
        broken_off=broken_off,
        usage=offspring.take_usage(),
        oom_kills=oom_kills.count(),
        fault=" ".join(filter(None, (out.fault, err.fault))),
    )


def _wait(child: Child, offspring: Offspring, deadline: float, stop: Stop) -> bool:
    """Wait for the child until the deadline (of the monotonic clock) or a stop; return whether it has ended."""
    more = False
    while (left := deadline - time.monotonic()) > 0 and not stop.is_set():
        if stop.wait_with(child.ended, 0 if more else min(left, _LOOK_SECONDS)):
            return True
        more = offspring.reap_orphans()
        if not more:  # else looking at all that has ended, too, takes seconds
            offspring.measure()
    return child.ended.done()
