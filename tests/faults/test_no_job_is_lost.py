"""Nodes die, stand still and lose their connections in the middle of jobs: each job has one result, the right one.

This is a sample. `make faults` runs each kind of fault at each step, and the loss of whole services.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .cases import again_and_again, table
from .harness import Harness, harness

VISIBILITY = 2
SAMPLE = {
    ("leader SIGKILL", "solve"),
    ("leader SIGKILL", "result stored"),
    ("leader SIGTERM", "received"),
    ("leader SIGTERM", "half downloaded"),
    ("leader SIGTERM", "solve"),
    ("leader SIGTERM", "store result"),
    ("leader SIGSTOP", "store files"),
    ("node gone", "download"),
    ("node stands still", "announce"),
    ("connection lost", "received"),
    ("connection lost", "store result"),
    ("call hangs", "delete"),
    ("throttled", "store result"),
    ("server error", "announce"),
    ("lasting server error", "store files"),
    ("delivered again", "deleted"),
    ("overtaken", "store files"),
    ("overtaken", "store result"),
    ("overtaken", "delete"),
}
WITH_A_WORKER = {
    ("leader SIGKILL", "end the job"),
    ("leader SIGTERM", "wait for workers"),
    ("worker SIGKILL", "wait for workers"),
}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    directory = tmp_path_factory.mktemp("faults")
    with harness(directory, "cloud", visibility=VISIBILITY, leaders=5, workers=1) as found:
        yield found


@pytest.mark.slow
def test_each_job_has_exactly_one_right_result_and_is_done_soon(nodes: Harness) -> None:
    others = [case for case in table(VISIBILITY) if (case.kind, case.step) in SAMPLE]
    all_with_worker = table(VISIBILITY, workers=1, first=1000)
    cases = [
        *again_and_again(2000),
        *others,
        *(case for case in all_with_worker if (case.kind, case.step) in WITH_A_WORKER),
    ]
    assert len(cases) == len(SAMPLE) + len(WITH_A_WORKER) + 2
    report = nodes.run(cases, at_once=3, within=150)
    assert report.is_good, "\n".join(report.lines())
    assert report.total.runs == len(cases)
