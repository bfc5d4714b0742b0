"""Runs jobs on local clouds while everything fails that can, and counts those that were lost, done twice or done wrong.

Run it with `make faults`, or `python -m benchmarks.faults [RUNS]`: each kind of fault happens so many times (default 1)
at each step of a job, on both tracks. One job kills each of its leaders, and another one has its leader stopped four
times. Then whole services are out of reach for longer than a message stays hidden.
The exit code is 1 if anything went wrong. One run takes about a quarter of an hour.

Of each kind and step, the table has the number of jobs, of those lost, with two results, with a wrong one, whose fault
never came, and that were announced twice, which is allowed; and the median and the largest number of seconds from the
fault until the job was offered or received again, or done by its own leader, and until it was done for good. The
visibility timeout is 3 s here. On the cloud track, jobs also wait for the workers that another one has.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from satcomp_infra.local.faults import Failure
from tests.faults.cases import again_and_again, table
from tests.faults.harness import Harness, harness
from tests.faults.report import Report

VISIBILITY = 3
OUTAGES = [
    *(
        (service, failure)
        for service in ("sqs", "s3", "dynamodb")
        for failure in (Failure.UNAVAILABLE, Failure.DISCONNECTED)
    ),
    ("*", Failure.THROTTLED),
    ("*", Failure.DISCONNECTED),
]
"""Of all services at once, half of the calls fail."""
JOBS_IN_AN_OUTAGE = 12


def parallel(directory: Path, runs: int) -> Report:
    """Several leaders that share the queue."""
    with harness(directory, "parallel", visibility=VISIBILITY, leaders=8) as nodes:
        report = nodes.run([*table(VISIBILITY, runs=runs), *again_and_again(90_000)], at_once=4, within=600.0 * runs)
        return outages(nodes, report)


def cloud(directory: Path, runs: int) -> Report:
    """Three leaders, so that one is free to take a job that comes back, and two workers, which one of them uses."""
    with harness(directory, "cloud", visibility=VISIBILITY, leaders=3, workers=2) as nodes:
        report = nodes.run(
            [*table(VISIBILITY, workers=2, runs=runs), *again_and_again(90_000, workers=2)],
            at_once=2,
            within=1200.0 * runs,
        )
        return outages(nodes, report, workers=2)


def outages(nodes: Harness, report: Report, workers: int = 0) -> Report:
    """Add to the report what comes of jobs when services are out of reach."""
    for number, (service, failure) in enumerate(OUTAGES):
        first = 100_000 + number * JOBS_IN_AN_OUTAGE
        report.add(nodes.outage(service, failure, count=JOBS_IN_AN_OUTAGE, first=first, workers=workers))
    return report


def main() -> int:
    """Run both tracks, one after the other, and print a table for each."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    good = True
    for track in (parallel, cloud):
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="satcomp-faults-") as directory:
            report = track(Path(directory), runs)
        print(f"{track.__name__} track: {report.total.runs} jobs in {time.monotonic() - started:.0f} s")
        print(*report.lines(), sep="\n", end="\n\n", flush=True)
        good = good and report.is_good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
