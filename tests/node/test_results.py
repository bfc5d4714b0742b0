"""Storing and announcing results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.session import get_session

from satcomp_infra.jobs import Result, S3Uri, Verdict
from satcomp_infra.node.log import JobLog
from satcomp_infra.node.results import Results

from .cloud import BUCKET, Cloud
from .flaky import Fault, FlakyAws


def test_a_file_that_can_not_be_read_does_not_cost_the_result(cloud: Cloud, tmp_path: Path) -> None:
    results = Results(cloud.s3, cloud.sqs, BUCKET, cloud.results)
    result = Result("some-id", Verdict.SAT, "s3://b/k")
    (tmp_path / "stdout").write_text("s SATISFIABLE\n")
    files = {"stdout": tmp_path / "stdout", "stderr": tmp_path / "gone"}
    assert results.store_files("some-id", "1.0", files, JobLog("some-id")) == f"s3://{BUCKET}/results/some-id/"
    assert results.store(result) == result
    assert cloud.stored("some-id", "stdout") == b"s SATISFIABLE\n"
    assert cloud.stored("some-id", "stderr") is None
    assert results.find("some-id") == result


def test_no_run_writes_into_the_files_of_another(cloud: Cloud, tmp_path: Path) -> None:
    """Two leaders store the same job's files and result at a time, one of them some before and some after the other."""
    results = Results(cloud.s3, cloud.sqs, BUCKET, cloud.results)
    kept = {}
    for run, names in (("1.0", "stdout"), ("2.1", "stdout stderr"), ("1.0", "stdout stderr solver_out.json")):
        files = {name: tmp_path / f"{name} of {run}" for name in names.split()}
        for path in files.values():
            path.write_text(f"run {run}")
        kept[run] = results.store_files("some-id", run, files, JobLog("some-id"))
    assert kept == {"1.0": f"s3://{BUCKET}/results/some-id/", "2.1": f"s3://{BUCKET}/results/some-id/runs/2.1/"}
    for name, run in (("stdout", "1.0"), ("solver_out.json", "1.0"), ("runs/2.1/stdout", "2.1")):
        assert cloud.stored("some-id", name) == f"run {run}".encode()
    assert cloud.stored("some-id", "runs/2.1/solver_out.json") is None
    second, first = (Result("some-id", Verdict.SAT, "", files=kept[run]) for run in ("2.1", "1.0"))
    assert results.store(second) == results.store(first) == second
    assert second.file("stdout") == S3Uri(BUCKET, "results/some-id/runs/2.1/stdout")


def test_a_claim_whose_answer_was_lost_holds(cloud: Cloud, tmp_path: Path) -> None:
    """botocore repeats the request, which then is refused: what is there already is the run's own."""
    aws = FlakyAws(cloud.endpoint, lambda method, path, count: Fault.LOST if (method, count) == ("PUT", 1) else None)
    s3: Any = get_session().create_client("s3", endpoint_url=aws.endpoint)
    location = Results(s3, cloud.sqs, BUCKET, cloud.results).store_files("some-id", "1.0", {}, JobLog("some-id"))
    aws.close()
    assert location == f"s3://{BUCKET}/results/some-id/"


def test_a_huge_solver_out_json_is_announced_in_short(cloud: Cloud, tmp_path: Path) -> None:
    results = Results(cloud.s3, cloud.sqs, BUCKET, cloud.results)
    results.announce(
        Result("some-id", Verdict.SAT, "", solver_output={"return_code": 10, "more": "x" * 900000}), tmp_path
    )
    (announced,) = cloud.announcements()
    assert announced["solver"]["output"] == {"return_code": 10}
