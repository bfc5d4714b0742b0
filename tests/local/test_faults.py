"""What goes wrong on request, in AWS's own words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from satcomp_infra.errors import SatcompError, UsageError
from satcomp_infra.local.faults import CallFault, CallFaults, Failure, Faults

from ..waiting import eventually
from .clouds import CLUSTER, Solver

SESSION = botocore.session.Session()
ONE_CALL_OF_EACH_PROTOCOL = {
    "query": ("cloudformation", "describe_stacks", {}),
    "ec2": ("ec2", "describe_vpcs", {}),
    "json": ("ecs", "list_clusters", {}),
    "json-1.0": ("dynamodb", "list_tables", {}),
    "query-compatible-json": ("sqs", "list_queues", {}),
    "rest-xml": ("s3", "list_buckets", {}),
    "rest-json": ("efs", "describe_file_systems", {}),
}


def call(solver: Solver, protocol: str, attempts: int = 1) -> Any:
    service, operation, arguments = ONE_CALL_OF_EACH_PROTOCOL[protocol]
    return getattr(client(service, solver.cloud.endpoint, attempts), operation)(**arguments)


@cache
def client(service: str, endpoint: str, attempts: int) -> Any:
    settings = Config(retries={"mode": "standard", "total_max_attempts": attempts})
    return SESSION.create_client(service, "us-east-1", endpoint_url=endpoint, config=settings)


def failed_activity(solver: Solver) -> Any:
    return eventually(lambda: [a for a in solver.activities() if a["StatusCode"] == "Failed"])[0]


def test_throttling_is_understood_in_every_protocol(empty: Solver) -> None:
    empty.cloud.set_faults(calls=[{"calls": "*"}])
    for protocol in ONE_CALL_OF_EACH_PROTOCOL:
        with pytest.raises(ClientError) as throttled:
            call(empty, protocol)
        error = throttled.value.response["Error"]
        assert (error["Code"], error["Message"]) == ("Throttling", "Rate exceeded")


def test_throttling_is_survived_by_trying_again(empty: Solver) -> None:
    services = {service for service, _, _ in ONE_CALL_OF_EACH_PROTOCOL.values()}
    empty.cloud.set_faults(calls=[CallFault(f"{service}.*", times=1) for service in services])
    with ThreadPoolExecutor() as pool:  # each waits up to a second before it tries again
        for answer in pool.map(lambda protocol: call(empty, protocol, attempts=2), ONE_CALL_OF_EACH_PROTOCOL):
            assert answer["ResponseMetadata"]["RetryAttempts"] == 1


@pytest.mark.parametrize(
    ("failure", "status", "codes"),
    [
        (Failure.INTERNAL_ERROR, 500, {"InternalFailure"}),
        (Failure.UNAVAILABLE, 503, {"ServiceUnavailable"}),
        (Failure.EXPIRED_TOKEN, 400, {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}),
        (
            Failure.UNKNOWN_KEY,
            403,
            {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId"},
        ),
        (Failure.ACCESS_DENIED, 403, {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}),
    ],
)
def test_calls_fail_with_the_codes_of_their_service(
    empty: Solver, failure: Failure, status: int, codes: set[str]
) -> None:
    empty.cloud.set_faults(calls=[CallFault("*", failure=failure)])
    for protocol in ONE_CALL_OF_EACH_PROTOCOL:
        with pytest.raises(ClientError) as refused:
            call(empty, protocol)
        assert refused.value.response["Error"]["Code"] in codes
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_answers_without_a_body_fail_too(empty: Solver) -> None:
    empty.cloud.set_faults(calls=[CallFault("s3.HeadBucket")])
    with pytest.raises(ClientError, match="503"):
        empty.client("s3").head_bucket(Bucket=empty.outputs["Bucket"])


def test_only_the_calls_that_are_named_fail(empty: Solver) -> None:
    empty.cloud.set_faults(calls=[CallFault("ecs.Update*", code="ServerException")])
    assert empty.ecs.list_clusters()["clusterArns"]
    with pytest.raises(ClientError, match="ServerException"):
        empty.tasks(leaders=0)


def test_calls_are_counted_by_service_and_action(empty: Solver) -> None:
    empty.cloud.forget_calls()
    for protocol in ONE_CALL_OF_EACH_PROTOCOL:
        call(empty, protocol)
    assert empty.cloud.calls() == {
        "cloudformation.DescribeStacks": 1,
        "ec2.DescribeVpcs": 1,
        "ecs.ListClusters": 1,
        "dynamodb.ListTables": 1,
        "sqs.ListQueues": 1,
        "s3.ListBuckets": 1,
        "efs.DescribeFileSystems": 1,
    }


def test_a_call_that_moto_does_not_know_fails_at_once(empty: Solver) -> None:
    with pytest.raises(ClientError, match=r"The local cloud doesn't know autoscaling\.DescribeAccountLimits"):
        empty.autoscaling.describe_account_limits()


def test_a_quota_lets_some_machines_through(empty: Solver) -> None:
    empty.cloud.set_faults(vcpu_quota=32)
    empty.machines(3)
    text = failed_activity(empty)["StatusMessage"]
    assert "You have requested more vCPU capacity than your current vCPU limit of 32 allows" in text
    eventually(lambda: len(empty.instances("running")) == 2)
    quotas = empty.client("service-quotas")
    quota = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
    assert quotas.get_service_quota(**quota)["Quota"]["Value"] == 32
    assert quotas.get_aws_default_service_quota(**quota)["Quota"]["Value"] == 5
    with pytest.raises(ClientError, match="NoSuchResource"):
        quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-0")
    empty.cloud.set_faults(vcpu_quota=48)
    eventually(lambda: len(empty.instances("running")) == 3)


def test_another_zone_is_tried_where_one_has_no_capacity(empty: Solver) -> None:
    empty.cloud.set_faults(zones_without_capacity=["us-east-1a"])
    empty.machines(2)
    eventually(lambda: len(empty.instances("running")) == 2)
    assert {i["Placement"]["AvailabilityZone"] for i in empty.instances()} == {"us-east-1b"}
    assert (
        "We currently do not have sufficient m6i.4xlarge capacity in the Availability Zone you requested (us-east-1a)."
        in failed_activity(empty)["StatusMessage"]
    )


def test_a_group_in_one_zone_has_no_other(empty: Solver) -> None:
    group = empty.outputs["Group"]
    empty.cloud.set_faults(zones_without_type=["us-east-1a"])
    empty.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, VPCZoneIdentifier=empty.outputs["SubnetA"])
    empty.machines(1)
    eventually(
        lambda: (
            "is not supported in your requested Availability Zone (us-east-1a)"
            in empty.activities()[0].get("StatusMessage", "")
        )
    )
    assert empty.instances() == []
    empty.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName=group, VPCZoneIdentifier=f"{empty.outputs['SubnetA']},{empty.outputs['SubnetB']}"
    )
    eventually(lambda: empty.instances("running"))


def test_an_image_that_is_missing_keeps_tasks_from_starting(empty: Solver) -> None:
    empty.cloud.set_faults(missing_images=["leader"])
    empty.machines(1)
    empty.tasks(leaders=1)
    eventually(lambda: any("unable to consistently start tasks" in m for m in empty.messages("Leaders")))
    task = empty.described_tasks("STOPPED", family="solver-leader")[-1]
    assert (task["stoppedReason"], task["stopCode"]) == ("Task failed to start", "TaskFailedToStart")
    assert task["containers"][0]["reason"].startswith("CannotPullContainerError: ")
    assert empty.service("Leaders")["deployments"][0]["failedTasks"] >= 3
    assert empty.counts("Leaders")[0] == 0
    empty.cloud.set_faults(missing_images=None)
    eventually(lambda: empty.counts("Leaders") == (1, 0, 1))
    ecr = empty.client("ecr")
    ecr.batch_delete_image(repositoryName="team/solver", imageIds=[{"imageTag": "worker"}])
    empty.tasks(leaders=0, workers=1)
    eventually(lambda: [t for t in empty.described_tasks("STOPPED") if t["containers"][0]["image"].endswith("worker")])
    empty.push("worker")
    eventually(lambda: empty.running(0, 1))


def test_machines_that_boot_slowly_are_pending(empty: Solver) -> None:
    empty.cloud.set_faults(slow_boot=1000)
    empty.machines(1)
    empty.tasks(leaders=1)
    eventually(lambda: empty.instances("pending"))
    group = empty.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    assert [member["LifecycleState"] for member in group["Instances"]] == ["Pending"]
    assert empty.activities()[0]["StatusCode"] == "InProgress"
    empty.cloud.set_faults(slow_boot=None)
    eventually(lambda: empty.running(1, 0))


def test_tasks_without_room_say_what_is_missing(empty: Solver) -> None:
    empty.machines(1)
    empty.tasks(leaders=1)
    eventually(lambda: empty.running(1, 0))
    empty.tasks(workers=1)
    eventually(lambda: "has insufficient memory available" in empty.messages("Workers")[0])
    empty.tasks(leaders=0, workers=0)
    eventually(lambda: empty.running(0, 0))
    empty.cloud.set_faults(disconnected_agents=True)
    empty.tasks(leaders=1)
    eventually(lambda: "doesn't have the agent connected" in empty.messages("Leaders")[0])
    arns = empty.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    joined = empty.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]
    assert [entry["agentConnected"] for entry in joined] == [False]


def test_a_node_dies_when_it_was_said_to(empty: Solver) -> None:
    # Leaders are counted from the cloud's start, and other tests have started some.
    empty.cloud.set_faults(deaths=[{"role": "leader", "index": index} for index in range(100)])
    empty.machines(1)
    empty.tasks(leaders=1)
    eventually(
        lambda: [
            t
            for t in empty.described_tasks("STOPPED", family="solver-leader")
            if t["containers"][0].get("exitCode") == 137
        ]
    )
    empty.cloud.set_faults(deaths=None)
    eventually(lambda: empty.running(1, 0))


def test_faults_that_make_no_sense_are_refused(empty: Solver) -> None:
    with pytest.raises(SatcompError, match="There is no fault 'weather'"):
        empty.cloud.set_faults(weather="bad")
    with pytest.raises(SatcompError, match="There is no leader number 0: 0 of them run"):
        empty.cloud.kill_node("leader")
    for wrong in (
        {"calls": [{"failure": "sulking"}]},
        {"calls": [{"probability": 2}]},
        {"stacks": [{"resource": "A", "operation": "x"}]},
    ):
        with pytest.raises(UsageError):
            Faults().changed(wrong)


def test_the_same_calls_fail_each_time() -> None:
    fault = CallFault("ecs.*", probability=0.3)
    dice = CallFaults()
    seen = [dice.of("ecs.ListTasks", [fault]) is not None for _ in range(1000)]
    assert 200 < sum(seen) < 400
    again = CallFaults()
    assert seen == [again.of("ecs.ListTasks", [fault]) is not None for _ in range(1000)]
    assert again.of("ec2.DescribeVpcs", [fault]) is None
