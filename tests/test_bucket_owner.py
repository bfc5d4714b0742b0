"""A bucket of the project's name that is another account's gets nothing, and its contents are not believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response

from satcomp_infra import job_queue, storage
from satcomp_infra.aws import Aws, in_words
from satcomp_infra.jobs import Result, S3Uri, Verdict, result_key
from satcomp_infra.node.aws import LeaderClients
from satcomp_infra.node.failure import JobError
from satcomp_infra.node.log import JobLog
from satcomp_infra.node.problem import fetch
from satcomp_infra.node.results import Results
from satcomp_infra.node.settings import Settings

from .conftest import ACCOUNT, REGION
from .typing_commands import NAMES, create, run

STRANGER = "999999999999"
REFUSAL = f"either the permission is missing, or bucket {NAMES.bucket} belongs to another account than {ACCOUNT}"

pytestmark = pytest.mark.usefixtures("aws", "s3_looks_at_owners")


@pytest.fixture
def s3_looks_at_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    """As S3 does, and moto doesn't: refuse a call that names another owner than the bucket's. A call may name none."""

    def looking(answer: Any) -> Any:
        def look_and_answer(self: Any, request: Any, full_url: str) -> Any:
            expected = request.headers.get("x-amz-expected-bucket-owner")
            bucket = self.parse_bucket_name_from_url(request, full_url)
            _, owner = s3_backends.bucket_accounts.get(bucket, ("", expected))
            if expected != owner and expected is not None:
                refusal = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
                return 403, {}, "" if request.method == "HEAD" else refusal
            return answer(self, request, full_url)

        return look_and_answer

    for name in ("_bucket_response", "_key_response"):
        monkeypatch.setattr(S3Response, name, looking(getattr(S3Response, name)))


@pytest.fixture
def squatted(aws: None) -> FakeBucket:
    """The project's bucket, as a stranger has made it, who lets everybody in."""
    bucket: FakeBucket = s3_backends[STRANGER]["aws"].create_bucket(NAMES.bucket, REGION)
    return bucket


@pytest.fixture
def account(aws: None) -> Aws:
    return Aws.connect(region=REGION)


def put(bucket: str, key: str, text: str) -> None:
    """With a client that looks at nothing: S3 would take it."""
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())


def leader(account: str = ACCOUNT) -> LeaderClients:
    return LeaderClients.connect(
        Settings.from_environment(
            {
                "AWS_DEFAULT_REGION": REGION,
                "SQS_QUEUE_NAME": "jobs",
                "SQS_OUTPUT_QUEUE_NAME": "results",
                "SATCOMP_BUCKET_NAME": NAMES.bucket,
                **({"SATCOMP_ACCOUNT_ID": account} if account else {}),
            }
        )
    )


class TestCommands:
    def test_the_first_problem_is_not_put_into_it(self, squatted: FakeBucket, account: Aws) -> None:
        with pytest.raises(boto3.client("s3").exceptions.ClientError) as raised:
            storage.provide_test_problem(account, NAMES.bucket)
        assert str(in_words(raised.value)).startswith(f"Your AWS user may not call PutObject: {REFUSAL}.")
        assert not squatted.keys

    def test_no_result_is_read_from_it(self, squatted: FakeBucket, account: Aws) -> None:
        put(NAMES.bucket, result_key("1"), Result("1", Verdict.SAT, "s3://b/k").to_json())
        with pytest.raises(boto3.client("s3").exceptions.ClientError, match=REFUSAL):
            job_queue.stored_result(account, NAMES.bucket, "1")

    def test_nothing_is_deleted_from_it(self, squatted: FakeBucket, account: Aws) -> None:
        put(NAMES.bucket, "theirs", "")
        with pytest.raises(boto3.client("s3").exceptions.ClientError, match=REFUSAL):
            storage.empty(account, NAMES.bucket, lambda _: None)
        assert list(squatted.keys)

    def test_it_is_nothing_that_the_project_has_left(self, squatted: FakeBucket, account: Aws) -> None:
        assert not storage.exists(account, NAMES.bucket)

    def test_a_problem_in_it_is_not_sent(self) -> None:
        create()
        s3 = boto3.client("s3")
        s3.delete_object(Bucket=NAMES.bucket, Key="test.cnf")
        s3.delete_bucket(Bucket=NAMES.bucket)
        s3_backends[STRANGER]["aws"].create_bucket(NAMES.bucket, REGION)
        put(NAMES.bucket, "test.cnf", "p cnf 0 0")
        answer = run("send", "--location", f"s3://{NAMES.bucket}/test.cnf", "--workers", "0")
        assert answer.code == 1
        assert f"You may not read s3://{NAMES.bucket}/test.cnf: the bucket is another account's" in answer.words
        assert "Traceback" not in answer.err

    def test_a_problem_in_another_s_bucket_is_as_good_as_any(self, account: Aws) -> None:
        for name in ("everybody-s-problems", f"{STRANGER}-{REGION}-problems"):
            s3_backends[STRANGER]["aws"].create_bucket(name, REGION)
            put(name, "a.cnf", "p cnf 0 0")
            storage.check_exists(account, S3Uri(name, "a.cnf"))

    def test_one_s_own_bucket_is_used(self, account: Aws) -> None:
        boto3.client("s3").create_bucket(Bucket=NAMES.bucket)
        storage.provide_test_problem(account, NAMES.bucket)
        assert storage.exists(account, NAMES.bucket)
        assert storage.empty(account, NAMES.bucket, lambda _: None) == 1


class TestNodes:
    def test_no_problem_is_read_from_it(self, squatted: FakeBucket, tmp_path: Path) -> None:
        put(NAMES.bucket, "a.cnf", "p cnf 0 0")
        with pytest.raises(JobError, match=REFUSAL):
            fetch(leader().s3, S3Uri(NAMES.bucket, "a.cnf"), tmp_path, lambda: None)

    def test_no_result_gets_there(self, squatted: FakeBucket, tmp_path: Path) -> None:
        clients = leader()
        results = Results(clients.s3, clients.sqs, NAMES.bucket, "")
        (tmp_path / "stdout").write_text("secret")
        with pytest.raises(clients.s3.exceptions.ClientError, match=REFUSAL):
            results.store_files("1", "1.0", {"stdout": tmp_path / "stdout"}, JobLog("1"))
        with pytest.raises(clients.s3.exceptions.ClientError, match=REFUSAL):
            results.store(Result("1", Verdict.SAT, "s3://b/k"))
        with pytest.raises(clients.s3.exceptions.ClientError, match=REFUSAL):
            results.find("1")
        assert not squatted.keys

    def test_a_problem_in_another_s_bucket_is_as_good_as_any(self, tmp_path: Path) -> None:
        s3_backends[STRANGER]["aws"].create_bucket("everybody-s-problems", REGION)
        put("everybody-s-problems", "a.cnf", "p cnf 0 0")
        assert fetch(leader().s3, S3Uri("everybody-s-problems", "a.cnf"), tmp_path, lambda: None).exists()

    def test_a_task_definition_that_names_no_account_is_one_of_earlier(self, squatted: FakeBucket) -> None:
        clients = leader(account="")
        results = Results(clients.s3, clients.sqs, NAMES.bucket, "")
        results.store(Result("1", Verdict.SAT, "s3://b/k"))
        assert results.find("1")


def test_refusals_are_one_sentence_with_what_to_do(squatted: FakeBucket, account: Aws) -> None:
    with pytest.raises(boto3.client("s3").exceptions.ClientError) as raised:
        storage.empty(account, NAMES.bucket, lambda _: None)
    message = str(in_words(raised.value))
    assert message.startswith(f"Your AWS user may not call ListObjectVersions: {REFUSAL}. ")
    assert "'aws s3 ls' doesn't list" in message
