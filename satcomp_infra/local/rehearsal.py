"""rehearse: the whole walkthrough on this machine, with the local cloud in AWS's place and a real solver."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Exit, SatcompError, UsageError
from ..suites.formulas import factoring
from ..tracks import CLOUD, PARALLEL, TRACKS
from ..units import count, duration
from .rehearsal_options import parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from ..progress import Console
    from ..tracks import Track
    from .cloud import LocalCloud
    from .walkthrough import Problem, Walkthrough

__all__ = ["parser", "run"]

# The first is 32749 x 32719, the second prime: what takes a solver a second or so.
SATISFIABLE = 1071514531
UNSATISFIABLE = 100000007
SUITE_PROBLEMS = 6
"""Of the sample suite's 30: one of each family, and two."""


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Start the local cloud, rehearse, and leave nothing behind."""
    from . import cloud
    from .settings import SAMPLE_SOLVER

    if args.worker_image and not args.images:
        raise UsageError("--worker-image goes with --images, which names the leader's.")
    if args.images:
        return _accept(args, console)
    solver = _solver(args.solver) if args.solver else SAMPLE_SOLVER
    tracks = _tracks(args.track, solver, console)
    problems = [_problem_file(path) for path in args.problem] or _built_in_problems()
    console.when_interrupted = "The local cloud is stopped, and nothing of it is left."
    console.result(
        "The local cloud takes AWS's place on this machine: no account is needed, and there is nothing to pay. What "
        "AWS would take in time and money is said as it comes."
    )
    with cloud.start(solver_dir=solver) as local:
        failure = _rehearse(local, tracks, problems, args, console) if tracks else ""
        if args.keep:
            _keep(local, console)
    if failure:
        raise SatcompError(f"The rehearsal failed: {failure}")
    return Exit.OK


def _accept(args: argparse.Namespace, console: Console) -> Exit:
    """Try the images out in containers. Exit code 1 where anything fails."""
    from . import acceptance, cloud
    from .exercises import exercises
    from .walkthrough import Walkthrough

    images = {"leader": args.images, **({"worker": args.worker_image} if args.worker_image else {})}
    track = CLOUD if args.worker_image else PARALLEL
    checks = acceptance.check_images(images)
    console.when_interrupted = "The local cloud and its containers are stopped, and nothing of them is left."
    if all(check.good for check in checks):
        with cloud.start(images=images, container_memory=args.memory, stack_delay=0.1, boot_delay=0.1) as local:
            walkthrough = Walkthrough(local, console, timeout=acceptance.TIMEOUT_SECONDS, in_containers=True)
            tried = acceptance.Acceptance(
                local, walkthrough, args.workers if track.has_workers else 0, exercises(args.memory)
            )
            tried.run(track)
            checks += tried.checks
    acceptance.table(checks, console)
    failed = sum(not check.good for check in checks)
    if failed:
        console.result(
            f"\n{failed} of {count(len(checks), 'check')} failed: don't send these images into a competition."
        )
        return Exit.FAILURE
    console.result(
        f"\nAll {len(checks)} checks passed. Push the images:\n./push-ecr --project PROJECT_NAME {_options(images)}"
    )
    return Exit.OK


def _options(images: dict[str, str]) -> str:
    return " ".join(f"--{role} {name}" for role, name in images.items())


def _rehearse(
    local: LocalCloud, tracks: Sequence[Track], problems: Sequence[Problem], args: argparse.Namespace, console: Console
) -> str:
    """Run the walkthrough and print what ran. Returns what failed; empty if nothing did."""
    from .walkthrough import StepFailedError, Walkthrough

    walkthrough = Walkthrough(local, console, timeout=args.timeout)
    failure = ""
    try:
        _walk(walkthrough, tracks, problems, args.workers, suite=not args.problem)
    except StepFailedError as step:
        failure = str(step)
    _table(walkthrough, console)
    return failure


def _walk(
    walkthrough: Walkthrough, tracks: Sequence[Track], problems: Sequence[Problem], workers: int, *, suite: bool
) -> None:
    for position, track in enumerate(tracks):
        number = workers if track.has_workers else 0
        if position == 0:
            walkthrough.create(track)
            walkthrough.upload(problems)
        else:
            walkthrough.switch(track)
        walkthrough.set_up(track, number)
        for problem in (walkthrough.test_problem, *problems):
            walkthrough.solve(problem, number)
        if suite and not track.has_workers:
            with tempfile.TemporaryDirectory(prefix="rehearsal-") as directory:
                walkthrough.run_suite(Path(directory), SUITE_PROBLEMS)
        walkthrough.shut_down()
    walkthrough.delete()
    walkthrough.check_nothing_is_left()


def _table(walkthrough: Walkthrough, console: Console) -> None:
    """What ran, within 80 columns."""
    steps = walkthrough.steps
    rows = [(_shortened(step.command), f"{step.seconds:.1f}", step.outcome) for step in steps]
    width = max(len(row[0]) for row in rows)
    console.result(f"\n{'command':<{width}}  seconds  outcome")
    for command, seconds, outcome in rows:
        console.result(f"{command:<{width}}  {seconds:>7}  {outcome}")
    total = duration(sum(step.seconds for step in steps))
    done = "all as it should" if all(step.good for step in steps) else "and not all as it should"
    console.result(f"\n{count(len(steps), 'step')} ran in {total}, {done}.")


def _shortened(command: str, width: int = 54) -> str:
    """A command without what is the same in all of them, cut to a width."""
    text = re.sub(r"s3://[^/]+/", "", command.removeprefix("./"))
    text = re.sub(
        r" --(location|option|project rehearsal/solver_1|solver-type|yes|await-response|timeout \d+)", "", text
    )
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _keep(local: LocalCloud, console: Console) -> None:
    """Leave the local cloud to the user, until Ctrl-C."""
    from .walkthrough import register_images

    exports = "\n".join(f"  export {name}={value}" for name, value in sorted(local.environment().items()))
    console.result(
        f"""
The local cloud stays up until you press Ctrl-C here. In another terminal, in
this folder, paste:

  source .venv/bin/activate
{exports}

Then type any command of the walkthrough, for example:

  ./create-solver-infrastructure --project my-solver --solver-type cloud

push-ecr is not needed (and can't work: the local cloud has no registry): the
solver's images are registered in every repository that you create."""
    )
    try:
        while True:
            register_images(local)
            console.sleep(0.5)
    except KeyboardInterrupt:
        console.say("\nThe local cloud is stopped, and nothing of it is left.")


def _solver(folder: Path) -> Path:
    program = folder / "solver"
    if not folder.is_dir():
        raise UsageError(f"--solver {folder}: there is no such folder.", "Name one that holds an executable 'solver'.")
    for name in ("solver", "worker", "cleanup"):
        path = folder / name
        if path.exists() and not os.access(path, os.X_OK):
            raise UsageError(f"--solver {folder}: '{name}' in it is not executable.", f"Type:\nchmod +x {path}")
    if not program.exists():
        raise UsageError(f"--solver {folder}: it holds no 'solver'.", "That is what the leader runs for each problem.")
    return folder.resolve()


def _tracks(wanted: str, solver: Path, console: Console) -> Sequence[Track]:
    tracks: Iterable[Track] = {"both": (CLOUD, PARALLEL), "none": ()}.get(wanted) or (
        (TRACKS[wanted],) if wanted in TRACKS else ()
    )
    if (solver / "worker").exists() or wanted not in ("both", "cloud"):
        return tuple(tracks)
    if wanted == "cloud":
        raise UsageError(
            f"--solver {solver}: it holds no 'worker', which the cloud track needs.", "Try --track parallel"
        )
    console.result("This solver has no 'worker': the parallel track alone is rehearsed.")
    return (PARALLEL,)


def _problem_file(path: Path) -> Problem:
    from .walkthrough import Problem

    if not path.is_file():
        raise UsageError(f"--problem {path}: there is no such file.", "Name a .cnf file, compressed or not.")
    return Problem(path.name, path.read_bytes(), "")


def _built_in_problems() -> list[Problem]:
    """Two that are made here, one of them compressed as problems of the competition are."""
    import lzma

    from .walkthrough import Problem

    formulas = [factoring(SATISFIABLE), factoring(UNSATISFIABLE)]
    texts = [formula.dimacs().encode() for formula in formulas]
    verdicts = ["SAT" if formula.satisfiable else "UNSAT" for formula in formulas]
    return [
        Problem(formulas[0].name, texts[0], verdicts[0]),
        Problem(f"{formulas[1].name}.xz", lzma.compress(texts[1]), verdicts[1]),
    ]
