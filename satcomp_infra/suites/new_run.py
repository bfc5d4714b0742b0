"""A new run: its problems, what is known of them, what the solver is to get, and then the files' way to the bucket."""

from __future__ import annotations

import itertools
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..units import count
from . import expected, problems, uploading
from .costs import node_per_hour
from .journal import Run
from .records import Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..aws import Aws
    from ..progress import Console
    from ..stack import Infrastructure


@contextmanager
def directory_of_its_own(runs: Path, name: str) -> Iterator[Path]:
    """A new directory in `runs`, with this name or one like it; it is gone afterwards if nothing was put into it."""
    runs.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        directory = runs / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            directory.mkdir()
            break
    try:
        yield directory
    finally:
        with suppress(OSError):  # it is not empty
            directory.rmdir()


@dataclass(frozen=True)
class NewRun:
    """A run that is not stored yet, and the files that have to be in the bucket before it is, by their keys."""

    run: Run
    files: dict[str, Path]


def make(
    aws: Aws, infrastructure: Infrastructure, args: argparse.Namespace, directory: Path, console: Console
) -> NewRun:
    """Make a run of what was typed; nothing is in the bucket yet. Raises UsageError for problems that aren't there."""
    Run.check_is_new(directory)
    collected = problems.collect(args.problems, problems.ObjectLister(aws))
    known = expected.answers(collected, args.expected)  # of all: in a part, a name may seem to be the only one
    sources = spread(collected, args.limit)
    if known.files:
        console.say(known.said([source.name for source in sources]))
    with console.waiting(f"Reading {count(len(sources), 'problem')}", len(sources)) as wait:
        located = uploading.locate(infrastructure.bucket, sources, known.verdicts, wait)
    outside = sum(not problem.location.startswith(f"s3://{infrastructure.bucket}/") for problem in located.problems)
    if outside:
        console.say(
            f"Note: {count(outside, 'problem is', 'problems are')} not in the project's bucket: unless you have given "
            "the nodes the permission, they can't read what is elsewhere."
        )
    settings = Settings(
        name=args.name or directory.resolve().name,
        id=uuid.uuid4().hex,
        project=infrastructure.project,
        region=aws.region,
        created=time.time(),
        timeout=args.timeout,
        workers=args.workers,
        solver_name=args.solver,
        solver_options=tuple(args.args),
        language=args.language,
        check_models=args.check_models == "on",
        budget=args.budget,
        node_hour=node_per_hour(infrastructure),
    )
    return NewRun(Run(directory, settings, located.problems), located.files)


def upload(aws: Aws, infrastructure: Infrastructure, files: Mapping[str, Path], console: Console) -> None:
    """Bring a new run's files into the bucket."""
    with console.waiting(f"Uploading {count(len(files), 'problem')}", len(files)) as wait:
        done = uploading.upload(aws, infrastructure.bucket, files, wait)
    console.say(str(done))


def spread(sources: list[problems.Source], limit: int | None) -> list[problems.Source]:
    """So many of the problems, evenly spread over all, so that each family of a suite is among them."""
    if not limit or limit >= len(sources):
        return sources
    step = len(sources) / limit
    return [sources[int(place * step)] for place in range(limit)]
