"""The formats that commands and nodes share."""

import json
from dataclasses import replace

import pytest

from satcomp_infra.errors import SatcompError, UsageError
from satcomp_infra.jobs import Job, JobFormatError, Result, S3Uri, Verdict

PROBLEM = S3Uri("123-bucket", "suite/hard problem.cnf.xz")
NEW = {
    "s3_uri": "s3://bucket/key",
    "num_workers": 1,
    "formula": {"value": "s3://bucket/key", "language": ""},
    "solverConfig": {"solverName": "", "solverOptions": [], "taskTimeoutSeconds": 60},
}


def test_a_message_has_the_fields_of_both_years() -> None:
    assert json.loads(Job(S3Uri("bucket", "key"), 1).to_message()) == NEW


def test_a_job_survives_its_message() -> None:
    job = Job(PROBLEM, 3, 1000, "fast", ("-p", "--seed=7", 'quoted "x"'), "DIMACS")
    assert Job.from_message(job.to_message()) == job


def test_a_sender_s_mark_survives_message_and_result_and_others_have_no_field_for_it() -> None:
    job = Job(PROBLEM, tag="run/7")
    assert Job.from_message(job.to_message()) == job
    result = Result("id", Verdict.SAT, "s3://bucket/key", tag=job.tag)
    assert Result.from_json(result.to_json()).tag == json.loads(result.announcement())["tag"] == "run/7"
    assert "tag" not in json.loads(Result("id", Verdict.SAT, "s3://bucket/key").announcement())


def test_a_job_without_a_model_check_survives_its_message_and_others_have_no_field_for_it() -> None:
    job = Job(PROBLEM, check_models=False)
    assert json.loads(job.to_message())["check_models"] is False
    assert Job.from_message(job.to_message()) == job
    assert Job.from_message(json.dumps({**NEW, "check_models": True})) == Job(S3Uri("bucket", "key"), 1)


def test_the_2023_format_is_understood() -> None:
    message = {"num_workers": 2, **{name: NEW[name] for name in ("formula", "solverConfig")}}
    assert Job.from_message(json.dumps(message)) == Job(S3Uri("bucket", "key"), 2, 60)


def test_the_short_2022_format_is_understood_and_gets_the_competition_s_timeout() -> None:
    message = {"s3_uri": "S3://bucket/key", "num_workers": 2}
    assert Job.from_message(json.dumps(message)) == Job(S3Uri("bucket", "key"), 2, 1000)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("not json", "not JSON"),
        ("[]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        (f'{{"s3_uri": "{"x" * 100_000}"}}', "is not an S3 location"),
        (f'{{"s3_uri": "s3://bucket/{"x" * 100_000}"}}', "has 100000 bytes"),
        ('{"s3_uri": "s3://bucket/\\ud800"}', "is not text"),
        (f'{{"s3_uri": {"9" * 4000}}}', "'s3_uri'"),
        (f'{{"s3_uri": {"9" * 5000}}}', "not JSON"),
        (f'{{"s3_uri": {{"a": "{"x" * 100_000}"}}}}', "not an object"),
        ('{"s3_uri": "s3://bucket/key", "num_workers": 1e400}', "not Infinity"),
        (f'{{"s3_uri": "s3://bucket/key", "num_workers": -{"9" * 4000}}}', "not -999"),
        ("{}", "'s3_uri'"),
        ('{"s3_uri": 5}', "'s3_uri'"),
        ('{"s3_uri": "http://x/y"}', "http://x/y"),
        ('{"s3_uri": "s3://bucket/key", "num_workers": -1}', "'num_workers'"),
        ('{"s3_uri": "s3://bucket/key", "num_workers": true}', "'num_workers'"),
        ('{"s3_uri": "s3://bucket/key", "num_workers": "2"}', "'num_workers'"),
        ('{"s3_uri": "s3://bucket/key", "formula": "x"}', "'formula'"),
        ('{"s3_uri": "s3://bucket/key", "check_models": "off"}', "'check_models' must be true or false"),
        ('{"formula": {"value": 1}}', "'formula.value'"),
        ('{"s3_uri": "s3://bucket/key", "solverConfig": {"solverOptions": "-p"}}', "'solverConfig.solverOptions'"),
        ('{"s3_uri": "s3://bucket/key", "solverConfig": {"solverOptions": [1]}}', "'solverConfig.solverOptions'"),
        (
            '{"s3_uri": "s3://bucket/key", "solverConfig": {"taskTimeoutSeconds": 0}}',
            "'solverConfig.taskTimeoutSeconds'",
        ),
        (
            '{"s3_uri": "s3://bucket/key", "solverConfig": {"taskTimeoutSeconds": 1e9}}',
            "'solverConfig.taskTimeoutSecond",
        ),
    ],
)
def test_a_message_that_is_not_understood_is_refused_by_the_field_s_name(message: str, named: str) -> None:
    with pytest.raises(JobFormatError) as refusal:
        Job.from_message(message)
    assert named in str(refusal.value)
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize(
    ("text", "uri"), [("s3://bkt/a/b", S3Uri("bkt", "a/b")), ("S3://bkt/x y", S3Uri("bkt", "x y"))]
)
def test_a_location_is_read(text: str, uri: S3Uri) -> None:
    assert S3Uri.parse(text) == uri


@pytest.mark.parametrize(
    "text", ["", "bkt/key", "s3://bkt", "s3://bkt/", "s3:///key", "https://bkt/key", "s3://B_t/k", "s3://a..b/k"]
)
def test_what_is_not_a_location_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not"):
        S3Uri.parse(text)


RESULT = Result(
    job_id="id",
    verdict=Verdict.SAT,
    problem="s3://bucket/key",
    return_code=10,
    wall_seconds=1.25,
    cpu_seconds=4.5,
    peak_memory_mib=2000,
    timeout_seconds=60,
    workers=("10.0.0.5",),
    files="s3://bucket/results/id/",
    model="right",
    solver_output={"return_code": 10, "artifacts": {"stdout_path": "/d/out", "stderr_path": "/d/err"}},
)


def test_a_result_survives_its_file() -> None:
    assert Result.from_json(RESULT.to_json()) == RESULT


def test_a_result_of_a_later_version_is_read() -> None:
    assert Result.from_json(json.dumps({**json.loads(RESULT.to_json()), "new_field": 1})) == RESULT


def test_a_result_of_an_earlier_version_is_read() -> None:
    values = json.loads(RESULT.to_json())
    del values["cpu_seconds"], values["peak_memory_mib"], values["model"]
    assert Result.from_json(json.dumps(values)) == replace(RESULT, cpu_seconds=0.0, peak_memory_mib=0, model="")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"job_id": "x", "verdict": "MAYBE", "problem": ""}'])
def test_a_damaged_result_is_refused(text: str) -> None:
    with pytest.raises(SatcompError, match="damaged"):
        Result.from_json(text)


def test_an_announcement_has_the_2023_fields() -> None:
    assert json.loads(RESULT.announcement("/mount/efs/id")) == {
        "task_id": "id",
        "driver": {
            "stdout": "/d/out",
            "stderr": "/d/err",
            "return_code": 10,
            "solver_runtime_millis": 1250,
            "s3_uri": "s3://bucket/key",
        },
        "solver": {"output": RESULT.solver_output, "request_directory_path": "/mount/efs/id"},
        "task_state": None,
        "verdict": "SAT",
        "reason": "",
        "files": "s3://bucket/results/id/",
    }
