"""Running the team's solver on one problem."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from ..jobs import Job
from .children import Child, Offspring
from .context import Context
from .outputs import CAPTURED_STDERR, CAPTURED_STDOUT
from .problem import formula_language
from .stop import Stopped


@dataclass(frozen=True)
class Run:
    """How a solver's process ended. `started_at` is epoch seconds; `wall_seconds` goes from there to the end.

    `returncode` is the exit code, or the negated number of the signal that killed the process. `timed_out`: it was
    ended because its time was over, and `wall_seconds` goes to that moment; `obeyed` says whether SIGTERM was enough.
    """

    returncode: int
    wall_seconds: float
    started_at: float
    timed_out: bool = False
    obeyed: bool = True


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


def run_solver(context: Context, offspring: Offspring, directory: Path, timeout_seconds: float) -> Run:
    """Run `solver DIRECTORY`; on return, however that is, nothing that it started is left.

    Its output goes to files in the directory. Raises ProgramError where the program can't be started, and Stopped
    where the node is asked to stop while it runs.
    """
    stop, timing = context.stop, context.timing
    with (directory / CAPTURED_STDOUT).open("wb") as out, (directory / CAPTURED_STDERR).open("wb") as err:
        started_at, begun = time.time(), time.monotonic()
        child = Child(
            context.program("solver"),
            str(directory),
            directory=directory,
            environment=context.program_environment(),
            stdout=out,
            stderr=err,
        )
    try:
        ended = stop.wait_with(child.ended, timeout_seconds)
        wall_seconds = time.monotonic() - begun
        if not ended and stop.is_set():
            child.end(grace=timing.stop_grace)
            raise Stopped
        if ended:
            child.end()
        else:
            child.end(timing.kill_grace, timing.stop_grace, stop)
        obeyed = time.monotonic() - begun - wall_seconds < timing.kill_grace
        return Run(child.returncode, wall_seconds, started_at, timed_out=not ended, obeyed=obeyed)
    finally:
        offspring.kill()
