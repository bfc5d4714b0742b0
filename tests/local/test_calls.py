"""Calls that moto answers otherwise than AWS."""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from satcomp_infra.local import cloud

from ..waiting import eventually
from .clouds import CLUSTER, REGION, Solver

NODES = 105


def test_a_groups_size_has_bounds(empty: Solver) -> None:
    with pytest.raises(ClientError, match="New SetDesiredCapacity value 1001 is above max value 1000"):
        empty.machines(1001)
    group = empty.outputs["Group"]
    with pytest.raises(
        ClientError, match="Desired capacity:1001 must be between the specified min size:0 and max size:1000"
    ):
        empty.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, DesiredCapacity=1001)
    with pytest.raises(ClientError, match="AutoScalingGroup name not found"):
        empty.autoscaling.set_desired_capacity(AutoScalingGroupName="other", DesiredCapacity=0)


def test_a_group_with_machines_is_not_deleted(empty: Solver) -> None:
    empty.machines(1)
    eventually(empty.instances)
    with pytest.raises(ClientError, match="You cannot delete an AutoScalingGroup while there are instances"):
        empty.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=empty.outputs["Group"])


def test_a_machine_taken_out_of_its_group_is_not_replaced(empty: Solver) -> None:
    empty.machines(1)
    instance = eventually(lambda: empty.instances("running"))[0]["InstanceId"]
    empty.autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=True)
    assert empty.instances("shutting-down")
    eventually(lambda: not empty.instances())
    assert empty.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["DesiredCapacity"] == 0


def test_scheduled_actions_are_carried_out(empty: Solver) -> None:
    empty.machines(1)
    eventually(lambda: empty.instances("running"))
    empty.autoscaling.put_scheduled_update_group_action(
        AutoScalingGroupName=empty.outputs["Group"],
        ScheduledActionName="stop",
        StartTime=datetime.now(UTC) + timedelta(seconds=1),
        DesiredCapacity=0,
    )
    eventually(lambda: not empty.instances())
    assert empty.autoscaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"] == []


def test_waiting_for_a_message_ends_when_one_comes(empty: Solver) -> None:
    sqs, queue = empty.client("sqs"), empty.outputs["QueueUrl"]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(sqs.receive_message, QueueUrl=queue, WaitTimeSeconds=1) for _ in range(3)]
        eventually(lambda: empty.cloud.calls().get("sqs.ReceiveMessage", 0) >= 3)
        sqs.send_message(QueueUrl=queue, MessageBody="job")
        received = [message for answer in waiting for message in answer.result().get("Messages", [])]
    assert [message["Body"] for message in received] == ["job"]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(sqs.receive_message, QueueUrl=queue, WaitTimeSeconds=10)]
        started = time.monotonic()
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=received[0]["ReceiptHandle"], VisibilityTimeout=0)
        again = waiting[0].result()["Messages"][0]
    assert time.monotonic() - started < 8  # or the message was found when the ten seconds were over
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=again["ReceiptHandle"])


def test_a_message_is_not_given_to_who_has_hung_up(empty: Solver) -> None:
    sqs, queue = empty.client("sqs"), empty.outputs["QueueUrl"]
    endpoint = empty.cloud.endpoint.removeprefix("http://")
    gone = http.client.HTTPConnection(endpoint)
    headers = {
        "X-Amz-Target": "AmazonSQS.ReceiveMessage",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": "AWS4-HMAC-SHA256 Credential=x/20230101/us-east-1/sqs/aws4_request, Signature=0",
    }
    before = empty.cloud.calls().get("sqs.ReceiveMessage", 0)
    gone.request("POST", "/", json.dumps({"QueueUrl": queue, "WaitTimeSeconds": 20}), headers)
    eventually(lambda: empty.cloud.calls().get("sqs.ReceiveMessage", 0) > before)
    gone.close()
    sqs.send_message(QueueUrl=queue, MessageBody="job")
    message = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"][0]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def test_large_objects_and_small_ones_come_back_as_they_were(empty: Solver) -> None:
    s3, bucket = empty.client("s3"), empty.outputs["Bucket"]
    for size in (0, 1, 9_000_000):
        s3.put_object(Bucket=bucket, Key="a/b c+d", Body=b"x" * size)
        assert s3.get_object(Bucket=bucket, Key="a/b c+d")["Body"].read() == b"x" * size
        assert s3.head_object(Bucket=bucket, Key="a/b c+d")["ContentLength"] == size
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="a/b c+d", Body=b"", IfNoneMatch="*")
    s3.delete_object(Bucket=bucket, Key="a/b c+d")


def test_services_that_are_not_there_or_not_idle_are_refused(empty: Solver) -> None:
    with pytest.raises(ClientError, match="ServiceNotFoundException"):
        empty.ecs.update_service(cluster=CLUSTER, service="other", desiredCount=1)
    empty.tasks(workers=1)
    with pytest.raises(ClientError, match="cannot be stopped while it is scaled above 0"):
        empty.ecs.delete_service(cluster=CLUSTER, service=empty.outputs["Workers"])
    with pytest.raises(ClientError, match="The Cluster cannot be deleted while Services are active"):
        empty.ecs.delete_cluster(cluster=CLUSTER)
    with pytest.raises(ClientError, match="runs tasks of services only"):
        empty.ecs.run_task(cluster=CLUSTER, taskDefinition="solver-leader")


def zones(solver: Solver) -> set[str]:
    """Those that have the machines."""
    answer = solver.ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["m6i.4xlarge"]}]
    )
    return {offering["Location"] for offering in answer["InstanceTypeOfferings"]}


def test_one_zone_has_no_machines(empty: Solver) -> None:
    assert zones(empty) == {f"us-east-1{letter}" for letter in "abcdf"}


def test_a_service_that_was_left_out_is_there_when_it_is_asked_for(empty: Solver) -> None:
    assert empty.client("apigateway").get_rest_apis()["items"] == []


def test_the_regions_are_those_that_each_account_has(empty: Solver) -> None:
    regions = {region["RegionName"] for region in empty.ec2.describe_regions()["Regions"]}
    assert {"us-east-1", "eu-central-1", "sa-east-1"} < regions
    assert not {"us-gov-west-1", "cn-north-1", "ap-east-1"} & regions


def test_a_large_cluster_is_simulated_and_listed_page_by_page() -> None:
    with cloud.start(
        region=REGION, simulate_nodes=True, zones=["us-east-1b"], stack_delay=0.05, boot_delay=0.05, vcpu_quota=100_000
    ) as local:
        large = Solver(local)
        assert zones(large) == {"us-east-1b"}
        large.create()
        assert large.settled() == "CREATE_COMPLETE"
        large.push("leader", "worker")
        large.machines(NODES)
        large.tasks(leaders=1, workers=NODES - 1)
        eventually(lambda: large.running(1, NODES - 1))
        assert len(large.ecs.list_tasks(cluster=CLUSTER)["taskArns"]) == 100
        pages = large.ecs.get_paginator("list_tasks").paginate(cluster=CLUSTER)
        arns = [arn for page in pages for arn in page["taskArns"]]
        assert len(set(arns)) == NODES
        with pytest.raises(ClientError, match="cannot have more than 100 elements"):
            large.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)
        pages = large.ecs.get_paginator("list_container_instances").paginate(cluster=CLUSTER)
        assert len({arn for page in pages for arn in page["containerInstanceArns"]}) == NODES
        assert sum(activity["StatusCode"] == "Successful" for activity in large.activities()) == NODES
        assert local.node_processes() == []
        large.machines(0)
        large.tasks(leaders=0, workers=0)
        eventually(lambda: not large.instances())
