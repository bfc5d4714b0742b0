"""The template's stack in moto: created, switched to the other track, deleted."""

from __future__ import annotations

import base64
from typing import Any

import boto3

from satcomp_infra.project import CLUSTER, NODE_MANIFEST_TABLE, TASK_END_TABLE, Project
from satcomp_infra.template import render, zones_offering
from satcomp_infra.tracks import CLOUD, PARALLEL

from .conftest import ACCOUNT, REGION

PROJECT = Project("team/solver_1")
TYPES = (CLOUD.instance_type, PARALLEL.instance_type)


def outputs_of(stack: str) -> dict[str, str]:
    (description,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    assert description["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    return {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}


def running_on(outputs: dict[str, str]) -> tuple[str, str, dict[str, int]]:
    """The machine that the group would start, its user data, and the memory that each service's task would get."""
    (group,) = boto3.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[outputs["AutoScalingGroupName"]]
    )["AutoScalingGroups"]
    (version,) = boto3.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=group["LaunchTemplate"]["LaunchTemplateId"],
        Versions=[group["LaunchTemplate"]["Version"]],
    )["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    ecs = boto3.client("ecs")
    services = ecs.describe_services(
        cluster=outputs["ClusterName"], services=[outputs["LeaderServiceName"], outputs["WorkerServiceName"]]
    )["services"]
    memory = {}
    for service in services:
        assert service["desiredCount"] == 0
        task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        assert task["status"] == "ACTIVE"
        (container,) = task["containerDefinitions"]
        memory[container["name"]] = container["memory"]
    return data["InstanceType"], base64.b64decode(data["UserData"]).decode(), memory


def test_a_stack_is_created_changes_its_track_and_is_deleted(aws: None) -> None:
    cloudformation, s3 = boto3.client("cloudformation"), boto3.client("s3")
    zones = zones_offering(boto3.client("ec2"), TYPES)
    stack = PROJECT.stack
    names = PROJECT.names(ACCOUNT, REGION)

    cloudformation.create_stack(
        StackName=stack, TemplateBody=render(PROJECT, CLOUD, zones), Capabilities=["CAPABILITY_IAM"]
    )
    outputs = outputs_of(stack)
    assert all(outputs.values())
    assert not [value for value in outputs.values() if "$" in value or "{" in value]
    assert {
        "ProjectName": PROJECT.name,
        "SolverType": "cloud",
        "InstanceType": CLOUD.instance_type,
        "Zones": ",".join(zones),
        "BucketName": names.bucket,
        "ClusterName": CLUSTER,
        "RepositoryName": names.repository,
        "RepositoryUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{names.repository}",
        "LeaderLogGroup": names.leader_log_group,
        "WorkerLogGroup": names.worker_log_group,
        "NodeManifestTable": NODE_MANIFEST_TABLE,
        "TaskEndTable": TASK_END_TABLE,
    }.items() <= outputs.items()
    for key, queue in [
        ("JobQueueUrl", names.job_queue),
        ("ResultQueueUrl", names.result_queue),
        ("DeadLetterQueueUrl", names.dead_letter_queue),
    ]:
        assert outputs[key].endswith(f"/{queue}")
    machine, script, memory = running_on(outputs)
    assert machine == CLOUD.instance_type
    assert script.startswith("#!/bin/bash\n")
    assert f"ECS_CLUSTER={CLUSTER}" in script
    assert memory == dict.fromkeys(("leader", "worker"), CLOUD.container_memory)
    subnets = boto3.client("ec2").describe_subnets(SubnetIds=outputs["SubnetIds"].split(","))["Subnets"]
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}
    assert [zone_of[subnet] for subnet in outputs["SubnetIds"].split(",")] == zones

    s3.put_object(Bucket=names.bucket, Key="results/1/result.json", Body=b"{}")
    cloudformation.update_stack(
        StackName=stack, TemplateBody=render(PROJECT, PARALLEL, zones), Capabilities=["CAPABILITY_IAM"]
    )
    changed = outputs_of(stack)
    assert changed["SolverType"] == "parallel"
    machine, script, memory = running_on(changed)
    assert machine == PARALLEL.instance_type == changed["InstanceType"]
    assert "install -d" in script
    assert memory == dict.fromkeys(("leader", "worker"), PARALLEL.container_memory)
    # Another name for the group is moto's own: it makes a new one at every change.
    differ = {key for key in outputs if changed[key] != outputs[key]}
    assert differ == {"SolverType", "InstanceType", "AutoScalingGroupName"}
    assert s3.list_objects_v2(Bucket=names.bucket)["KeyCount"] == 1

    s3.delete_object(Bucket=names.bucket, Key="results/1/result.json")
    cloudformation.delete_stack(StackName=stack)
    assert what_is_left() == []


def what_is_left() -> list[Any]:
    """What exists in the account; all but ECS's things, which moto's CloudFormation never deletes."""
    ec2 = boto3.client("ec2")
    own = [{"Name": "is-default", "Values": ["false"]}]
    return [
        *boto3.client("s3").list_buckets()["Buckets"],
        *boto3.client("sqs").list_queues().get("QueueUrls", []),
        *boto3.client("dynamodb").list_tables()["TableNames"],
        *boto3.client("ecr").describe_repositories()["repositories"],
        *boto3.client("efs").describe_file_systems()["FileSystems"],
        *boto3.client("iam").list_roles()["Roles"],
        *boto3.client("iam").list_instance_profiles()["InstanceProfiles"],
        *boto3.client("logs").describe_log_groups()["logGroups"],
        *boto3.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"],
        *ec2.describe_launch_templates()["LaunchTemplates"],
        *ec2.describe_vpcs(Filters=own)["Vpcs"],
    ]
