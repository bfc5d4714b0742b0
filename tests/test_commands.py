"""Each command, in this process, against an account in moto."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import boto3
import pytest

from satcomp_infra import cli, job_queue
from satcomp_infra.fleet import Cluster
from satcomp_infra.jobs import Result, Verdict, result_key
from satcomp_infra.progress import Console
from satcomp_infra.project import PROJECT_TAG

from .conftest import ACCOUNT, REGION
from .typing_commands import NAMES, PROJECT, Answer, Clock, answered, create, exists, push_images, queued, run

pytestmark = pytest.mark.usefixtures("aws")


class TestCreate:
    def test_it_creates_uploads_a_problem_and_says_what_to_type_next(self) -> None:
        answer = create()
        assert answer.code == 0
        uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{PROJECT}"
        for line in (
            f"repository      {uri}",
            f"bucket          s3://{NAMES.bucket}",
            f"./push-ecr --project {PROJECT} --leader LEADER_IMAGE --worker WORKER_IMAGE",
            "./update_instances --option setup --workers 1",
            f"./send_message --location s3://{NAMES.bucket}/test.cnf --workers 1 --await-response",
        ):
            assert line in answer.out
        problem = boto3.client("s3").get_object(Bucket=NAMES.bucket, Key="test.cnf")["Body"].read()
        assert b"p cnf 5 6" in problem

    def test_what_the_parallel_track_has_no_use_for_is_not_mentioned(self) -> None:
        answer = create("parallel")
        assert "WORKER_IMAGE" not in answer.out
        assert "--workers 0" in answer.out

    def test_again_it_says_that_all_is_there(self) -> None:
        create()
        boto3.client("s3").delete_object(Bucket=NAMES.bucket, Key="test.cnf")
        answer = create()
        assert answer.code == 0
        assert answer.out.startswith(f"Project '{PROJECT}' exists and is complete, for the cloud track.\n")
        assert f"\n  bucket          s3://{NAMES.bucket}\n" in answer.out
        boto3.client("s3").head_object(Bucket=NAMES.bucket, Key="test.cnf")

    def test_for_the_other_track_it_names_the_command_that_switches(self) -> None:
        exists()
        answer = create("parallel")
        assert answer.code == 1
        assert f"./update-solver-infrastructure --project {PROJECT} --solver-type parallel" in answer.err

    def test_a_second_project_is_refused_by_the_first_one_s_name(self) -> None:
        exists()
        answer = create(project="another")
        assert answer.code == 1
        assert f"has project '{PROJECT}' already" in answer.err
        assert len(boto3.client("cloudformation").describe_stacks()["Stacks"]) == 1

    def test_a_name_too_long_for_the_region_is_refused_before_any_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        answer = run("create", "--project", "a" * 40, "--solver-type", "cloud", "--region", "ap-southeast-1")
        assert answer.code == 2
        assert "at most 35 characters" in answer.err

    def test_a_dry_run_shows_names_and_costs_and_creates_nothing(self) -> None:
        answer = run("create", "--project", PROJECT, "--solver-type", "cloud", "--dry-run")
        assert answer.code == 0
        for text in (
            *(ACCOUNT, REGION, "us-east-1a, us-east-1b", "m6i.4xlarge: 16 vCPU, 64 GiB", NAMES.stack, NAMES.bucket),
            *(NAMES.job_queue, NAMES.result_queue, NAMES.dead_letter_queue, NAMES.leader_log_group, "SatCompCluster"),
            *("0.00 USD per hour", "0.78 USD per hour while it runs", "640 vCPU at once"),
        ):
            assert text in answer.out
        assert "us-east-1e" not in answer.out
        assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []

    def test_a_quota_too_small_for_any_cluster_is_told_beforehand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "moto.servicequotas.models.ServiceQuotasBackend.get_service_quota",
            lambda *_, **__: {"QuotaCode": "", "Value": 16.0},
        )
        answer = run("create", "--project", PROJECT, "--solver-type", "cloud", "--dry-run")
        assert "may run 16 vCPU at once, which is room for 1 machine of 16 vCPU; 2 machines need 32" in answer.words
        assert "Service Quotas > Amazon EC2" in answer.words
        assert "L-1216C47A" in answer.err


class TestUpdate:
    def test_it_switches_the_track(self) -> None:
        exists()
        answer = run("update", "--project", PROJECT, "--solver-type", "parallel")
        assert answer.code == 0
        assert "machines will be m6i.16xlarge, 64 vCPU, 256 GiB" in answer.words
        assert "exists and is complete, for the parallel track" in create("parallel").out

    def test_the_same_track_again_changes_nothing_and_says_so(self) -> None:
        exists()
        answer = run("update", "--project", PROJECT, "--solver-type", "cloud")
        assert (answer.code, answer.out) == (
            0,
            f"Project '{PROJECT}' is set up for the cloud track already. Nothing to do.\n",
        )

    def test_a_dry_run_shows_what_would_change_and_changes_nothing(self) -> None:
        exists()
        answer = run("update", "--project", PROJECT, "--solver-type", "parallel", "--dry-run")
        assert answer.code == 0
        assert "add     ParallelLaunchTemplate    AWS::EC2::LaunchTemplate" in answer.out
        assert "remove  CloudLaunchTemplate       AWS::EC2::LaunchTemplate" in answer.out
        assert "for the cloud track already" in run("update", "--project", PROJECT, "--solver-type", "cloud").out

    def test_while_machines_run_it_is_refused_with_the_command_that_stops_them(self) -> None:
        exists()
        push_images("leader", "worker")
        started = run("instances", "--option", "setup", "--workers", "1")
        assert started.code == 0, started.err
        answer = run("update", "--project", PROJECT, "--solver-type", "parallel")
        assert answer.code == 1
        assert "still runs 2 machines of the cloud track" in answer.err
        assert "./update_instances --option shutdown" in answer.err

    @pytest.mark.parametrize("existing", [None, "other"])
    def test_without_the_project_it_says_what_there_is(self, existing: str | None) -> None:
        if existing:
            exists(project=existing)
        answer = run("update", "--project", PROJECT, "--solver-type", "cloud")
        assert answer.code == 1
        assert (
            "this account has 'other' there" if existing else "There is no infrastructure of project"
        ) in answer.words


class TestInstances:
    def test_setup_starts_a_leader_and_the_workers_in_one_zone(self) -> None:
        exists()
        push_images("leader", "worker")
        answer = run("instances", "--option", "setup", "--workers", "2")
        assert answer.code == 0
        assert re.search(r"^The leader and 2 workers run, after .* for 2\.35 USD per hour\.$", answer.out, re.MULTILINE)
        (group,) = boto3.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        assert group["DesiredCapacity"] == 3
        assert len({instance["AvailabilityZone"] for instance in group["Instances"]}) == 1
        assert len(group["VPCZoneIdentifier"].split(",")) == 1

    def test_shutdown_leaves_no_machine_and_may_be_repeated(self) -> None:
        exists()
        push_images("leader", "worker")
        started = run("instances", "--option", "setup", "--workers", "1")
        assert started.code == 0, started.err
        for _ in range(2):
            answer = run("instances", "--option", "shutdown")
            assert (answer.code, answer.out) == (
                0,
                "No machine is running: 0.00 USD per hour from now on.\n",
            )
        states = [
            instance["State"]["Name"]
            for reservation in boto3.client("ec2").describe_instances()["Reservations"]
            for instance in reservation["Instances"]
        ]
        assert states == ["terminated", "terminated"]

    @pytest.mark.parametrize(("pushed", "missing"), [((), "'leader' and 'worker'"), (("leader",), "'worker'")])
    def test_without_an_image_nothing_is_started(self, pushed: tuple[str, ...], missing: str) -> None:
        exists()
        push_images(*pushed)
        answer = run("instances", "--option", "setup", "--workers", "1")
        assert answer.code == 1
        assert f"has no image {missing}, so no node could start" in answer.words
        assert f"./push-ecr --project {PROJECT} " in answer.err
        assert boto3.client("ec2").describe_instances()["Reservations"] == []

    def test_workers_on_the_parallel_track_are_refused(self) -> None:
        exists("parallel")
        answer = run("instances", "--option", "setup", "--workers", "1")
        assert answer.code == 2
        assert "the parallel track, which has no workers" in answer.err

    def test_the_parallel_track_needs_no_worker_image_and_no_number(self) -> None:
        exists("parallel")
        push_images("leader")
        answer = run("instances", "--option", "setup")
        assert answer.code == 0
        assert answer.out.startswith("The leader runs, after ")

    def test_on_the_cloud_track_the_number_of_workers_must_be_said(self) -> None:
        exists()
        answer = run("instances", "--option", "setup")
        assert answer.code == 2
        assert "--workers is missing" in answer.err

    @pytest.mark.parametrize("words", [("--option", "setup", "--workers", "1"), ("--option", "shutdown")])
    def test_without_infrastructure_it_says_how_to_create_it(self, words: tuple[str, ...]) -> None:
        answer = run("instances", *words)
        assert answer.code == 1
        assert f"There is no infrastructure of any project in region {REGION}" in answer.err
        assert "./create-solver-infrastructure" in answer.err


class TestSend:
    location = f"s3://{NAMES.bucket}/test.cnf"

    def test_the_message_holds_all_that_was_typed(self) -> None:
        exists()
        answer = run(
            "send",
            *("--location", f"S3://{NAMES.bucket}/test.cnf", "--workers", "2", "--timeout", "1000", "--name", "fast"),
            *("--format", "DIMACS", "--args", "-p", "--seed=7"),
        )
        assert answer.code == 0
        assert answer.out.startswith("Job ")
        assert queued() == [
            {
                "s3_uri": self.location,
                "num_workers": 2,
                "formula": {"value": self.location, "language": "DIMACS"},
                "solverConfig": {"solverName": "fast", "solverOptions": ["-p", "--seed=7"], "taskTimeoutSeconds": 1000},
            }
        ]

    def test_ctrl_c_while_it_is_sent_says_that_it_may_have_been(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exists()
        send = job_queue.send

        def interrupted(*args: Any) -> Any:
            send(*args)
            raise KeyboardInterrupt

        monkeypatch.setattr(job_queue, "send", interrupted)
        answer = run("send", "--location", self.location, "--workers", "0")
        assert answer.code == 130
        assert len(queued()) == 1
        assert "The job may have been sent, or not." in answer.words
        assert "./show_status" in answer.err

    def test_ctrl_c_before_it_is_sent_says_nothing_of_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exists()

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Cluster, "look", interrupted)
        answer = run("send", "--location", self.location, "--workers", "0")
        assert answer.code == 130
        assert queued() == []
        assert "may have been" not in answer.words

    def test_it_says_when_nobody_is_there_to_solve_it(self) -> None:
        exists()
        answer = run("send", "--location", self.location, "--workers", "1")
        assert "no leader is running" in answer.err
        assert "./update_instances --option setup --workers 1" in answer.err

    @pytest.mark.parametrize("location", [f"s3://{NAMES.bucket}/missing.cnf", "s3://no-such-bucket-here/test.cnf"])
    def test_a_missing_problem_is_not_sent(self, location: str) -> None:
        exists()
        answer = run("send", "--location", location, "--workers", "1")
        assert answer.code == 1
        assert f"There is no object {location}" in answer.err
        assert queued() == []

    def test_the_message_says_when_models_are_not_to_be_checked(self) -> None:
        exists()
        for words, said in ((["--check-models", "off"], False), (["--check-models=on"], None)):
            assert run("send", "--location", self.location, "--workers", "0", *words).code == 0
            (message,) = queued()
            assert message.get("check_models") is said

    def test_workers_on_the_parallel_track_are_refused(self) -> None:
        exists("parallel")
        answer = run("send", "--location", self.location, "--workers", "1")
        assert answer.code == 2
        assert "which has no workers" in answer.err
        assert queued() == []

    def test_a_problem_that_the_nodes_may_not_read_is_noted(self) -> None:
        exists()
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="elsewhere")
        s3.put_object(Bucket="elsewhere", Key="p.cnf", Body=b"")
        answer = run("send", "--location", "s3://elsewhere/p.cnf", "--workers", "0")
        assert answer.code == 0
        assert "Note: unless you have given the nodes the permission" in answer.words
        assert f"\n  aws s3 cp s3://elsewhere/p.cnf s3://{NAMES.bucket}/\n" in answer.err


class TestAwait:
    """What a leader would do is done here as soon as the job is sent: by a clock that acts when it is looked at."""

    def send(self, act: str, *more: str, speed: float = 1, **fields: object) -> Answer:
        exists()
        sqs, s3 = boto3.client("sqs"), boto3.client("s3")
        result_queue = sqs.get_queue_url(QueueName=NAMES.result_queue)["QueueUrl"]
        sqs.send_message(QueueUrl=result_queue, MessageBody=json.dumps({"task_id": "somebody else's"}))
        acted: list[str] = []

        class Watcher(io.StringIO):
            """Standard output that sees the job's id go by, as a leader would on the queue."""

            def write(self, text: str) -> int:
                if text.startswith("Job ") and not acted:
                    acted.append(text.split()[1])
                    files = f"s3://{NAMES.bucket}/results/{acted[0]}/runs/2.0123abcd/"
                    result = Result(job_id=acted[0], problem="s3://x/y", **{"files": files, **fields})  # type: ignore[arg-type]
                    if "store" in act:
                        s3.put_object(Bucket=NAMES.bucket, Key=result_key(acted[0]), Body=result.to_json().encode())
                    if "print" in act:
                        gap = "[7 bytes left out here]\n" if "shorten" in act else ""
                        printed = f"c not this\ns SATISFIABLE\nv 1 -2\nvery\n{gap}v 3 0\n".encode()
                        s3.put_object(Bucket=NAMES.bucket, Key=f"{files.split('/', 3)[3]}stdout", Body=printed)
                    if "take" in act:
                        job_queue = sqs.get_queue_url(QueueName=NAMES.job_queue)["QueueUrl"]
                        (job,) = sqs.receive_message(QueueUrl=job_queue)["Messages"]
                        sqs.delete_message(QueueUrl=job_queue, ReceiptHandle=job["ReceiptHandle"])
                    if "give up" in act:
                        job_queue = sqs.get_queue_url(QueueName=NAMES.job_queue)["QueueUrl"]
                        while sqs.receive_message(QueueUrl=job_queue, VisibilityTimeout=0).get("Messages"):
                            pass
                    if "announce" in act:
                        sqs.send_message(QueueUrl=result_queue, MessageBody=result.announcement())
                return super().write(text)

        clock = Clock()
        console = Console(Watcher(), io.StringIO(), clock=lambda: speed * clock.now, sleep=clock.sleep)
        words = ["--location", f"s3://{NAMES.bucket}/test.cnf", "--workers", "0", "--await-response", *more]
        code = cli.main("commands.send", words, console)
        left = sqs.receive_message(QueueUrl=result_queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)["Messages"]
        assert [json.loads(message["Body"])["task_id"] for message in left] == ["somebody else's"]
        return answered(code, console, words)

    def test_a_verdict_is_printed_with_its_time_and_files(self) -> None:
        answer = self.send(
            "store, announce",
            verdict=Verdict.SAT,
            wall_seconds=1.234,
            files=f"s3://{NAMES.bucket}/results/x/",
            model="right",
        )
        assert answer.code == 0
        assert "\nSAT in 1.23 s\nIts model satisfies the formula.\n" in answer.out
        assert f"aws s3 cp --recursive s3://{NAMES.bucket}/results/x/ ." in answer.out

    def test_the_stored_result_is_enough(self) -> None:
        assert "\nUNSAT in " in self.send("store", verdict=Verdict.UNSAT).out

    def test_so_is_the_message_of_an_earlier_year_s_leader(self) -> None:
        answer = self.send(
            "announce", verdict=Verdict.UNSAT, solver_output={"return_code": 20}, wall_seconds=2.0, files=""
        )
        assert "\nUNSAT in 2.00 s\n" in answer.out

    def test_a_job_that_a_leader_of_an_earlier_year_has_lost_is_not_waited_for_without_end(self) -> None:
        answer = self.send("take", speed=20, verdict=Verdict.SAT)
        assert answer.code == 1
        assert "was taken off the queue more than 6 min ago, and has no result." in answer.words
        assert "./show_status --logs leader" in answer.err

    def test_a_job_in_the_dead_letter_queue_is_not_waited_for(self) -> None:
        answer = self.send("give up", verdict=Verdict.SAT)
        assert answer.code == 1
        assert "was given up: leaders took it as often as its queue allows, and none stored a result." in answer.words
        assert NAMES.leader_log_group in answer.err

    def test_an_error_has_its_reason_and_exit_code_1(self) -> None:
        answer = self.send("store", verdict=Verdict.ERROR, reason="The solver was killed by SIGSEGV.")
        assert answer.code == 1
        assert "ERROR in 0.00 s\nThe solver was killed by SIGSEGV.\n" in answer.out

    def test_the_model_is_printed_where_that_is_wanted(self) -> None:
        answer = self.send("store, print", "--show-model", verdict=Verdict.SAT, model="right")
        assert answer.code == 0
        assert answer.out.endswith("v 1 -2\nv 3 0\n")
        assert "c not this" not in answer.out

    def test_a_model_that_isn_t_stored_is_no_failure(self) -> None:
        answer = self.send("store", "--show-model", verdict=Verdict.SAT)
        assert answer.code == 0
        assert "holds no model" in answer.err

    def test_a_model_of_which_some_was_left_out_is_said_to_be_incomplete(self) -> None:
        answer = self.send("store, print, shorten", "--show-model", verdict=Verdict.SAT)
        assert "the model is not complete" in answer.words

    def test_a_model_without_waiting_for_it_is_refused(self) -> None:
        answer = run("send", "--location", "s3://bkt/key", "--workers", "0", "--show-model")
        assert answer.code == 2
        assert "--await-response" in answer.err

    @pytest.mark.parametrize(
        ("model", "line"),
        [
            (
                "right: its v lines don't end with a 0",
                "Its model satisfies the formula: its v lines don't end with a 0.",
            ),
            ("missing", "It has printed no model, which the competition's parallel and cloud tracks require."),
            ("not checked: that takes more than 60 s", "Its model was not checked: that takes more than 60 s."),
        ],
        ids=["right", "missing", "not checked"],
    )
    def test_what_is_known_of_a_model_is_said(self, model: str, line: str) -> None:
        answer = self.send("store", verdict=Verdict.SAT, model=model)
        assert answer.code == 0
        assert "\nSAT in 0.00 s\n" in answer.out
        assert f"SAT in 0.00 s {line}" in answer.words

    def test_a_timeout_is_a_result(self) -> None:
        answer = self.send("store", verdict=Verdict.TIMEOUT, timeout_seconds=60)
        assert answer.code == 0
        assert "\nTIMEOUT after 60 s\n" in answer.out


class TestDelete:
    def test_nobody_to_ask_and_no_yes_deletes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exists()
        monkeypatch.setattr("sys.stdin", io.StringIO(PROJECT))
        answer = run("delete", "--project", PROJECT)
        assert answer.code == 2
        assert "Add --yes" in answer.err
        assert "exists and is complete" in create().out

    def test_everything_goes_whatever_is_in_the_bucket_and_the_repository(self) -> None:
        exists()
        push_images("leader", "worker")
        s3 = boto3.client("s3")
        s3.put_bucket_versioning(Bucket=NAMES.bucket, VersioningConfiguration={"Status": "Enabled"})
        for _ in range(2):
            for number in range(20):
                s3.put_object(Bucket=NAMES.bucket, Key=f"suite/{number} ü&<x>.cnf", Body=b"p cnf 0 0")
        s3.delete_object(Bucket=NAMES.bucket, Key="suite/1 ü&<x>.cnf")
        s3.create_multipart_upload(Bucket=NAMES.bucket, Key="unfinished")
        answer = run("delete", "--project", PROJECT, "--yes")
        assert answer.code == 0, answer.err
        assert answer.out == f"Project '{PROJECT}' is deleted. Nothing of it is left in {REGION}.\n"
        assert s3.list_buckets()["Buckets"] == []
        assert boto3.client("ecr").describe_repositories()["repositories"] == []

    def test_running_machines_are_stopped_first(self) -> None:
        exists()
        push_images("leader", "worker")
        started = run("instances", "--option", "setup", "--workers", "1")
        assert started.code == 0, started.err
        assert run("delete", "--project", PROJECT, "--yes").code == 0

    def test_what_is_not_there_is_deleted_already(self) -> None:
        answer = run("delete", "--project", PROJECT, "--yes")
        assert answer.code == 0
        assert answer.words == f"There is no project '{PROJECT}' in region {REGION}. Nothing of it is left in {REGION}."

    def test_what_could_still_cost_money_is_named(self) -> None:
        tags = [{"Key": PROJECT_TAG, "Value": PROJECT}]
        ec2, efs = boto3.client("ec2"), boto3.client("efs")
        (machine,) = ec2.run_instances(
            ImageId="ami-12345678",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )["Instances"]
        disk = ec2.create_volume(
            AvailabilityZone="us-east-1a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
        )
        address = ec2.allocate_address(TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}])
        files = efs.create_file_system(CreationToken="x", Tags=tags)
        boto3.client("logs").create_log_group(logGroupName=NAMES.worker_log_group)
        boto3.client("s3").create_bucket(Bucket=NAMES.bucket)
        boto3.client("ecr").create_repository(repositoryName=PROJECT)
        answer = run("delete", "--project", PROJECT, "--yes")
        assert answer.code == 1
        for text in (
            f"machine {machine['InstanceId']}",
            f"disk {disk['VolumeId']}",
            f"address {address['PublicIp']}",
            f"file system {files['FileSystemId']}",
            f"log group {NAMES.worker_log_group}",
            f"bucket {NAMES.bucket}",
            f"repository {PROJECT}",
        ):
            assert text in answer.words

    def test_a_misspelt_project_is_no_success(self) -> None:
        exists()
        answer = run("delete", "--project", "team/solver_2", "--yes")
        assert answer.code == 1
        assert f"this account has '{PROJECT}' there" in answer.words

    def test_another_project_that_shares_the_stack_s_name_is_not_deleted(self) -> None:
        exists()
        answer = run("delete", "--project", "team-solver-1", "--yes")
        assert answer.code == 1
        assert "exists and is complete" in create().out
