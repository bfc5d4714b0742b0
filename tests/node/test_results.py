"""Storing and announcing results."""

from __future__ import annotations

from pathlib import Path

from satcomp_infra.jobs import Result, Verdict
from satcomp_infra.node.log import JobLog
from satcomp_infra.node.results import Results

from .cloud import BUCKET, Cloud


def test_a_file_that_can_not_be_read_does_not_cost_the_result(cloud: Cloud, tmp_path: Path) -> None:
    results = Results(cloud.s3, cloud.sqs, BUCKET, cloud.results)
    result = Result("some-id", Verdict.SAT, "s3://b/k")
    (tmp_path / "stdout").write_text("s SATISFIABLE\n")
    files = {"stdout": tmp_path / "stdout", "stderr": tmp_path / "gone"}
    results.store_files("some-id", files, JobLog("some-id"))
    assert results.store(result) == result
    assert cloud.stored("some-id", "stdout") == b"s SATISFIABLE\n"
    assert cloud.stored("some-id", "stderr") is None
    assert results.find("some-id") == result


def test_a_huge_solver_out_json_is_announced_in_short(cloud: Cloud, tmp_path: Path) -> None:
    results = Results(cloud.s3, cloud.sqs, BUCKET, cloud.results)
    results.announce(
        Result("some-id", Verdict.SAT, "", solver_output={"return_code": 10, "more": "x" * 900000}), tmp_path
    )
    (announced,) = cloud.announcements()
    assert announced["solver"]["output"] == {"return_code": 10}
