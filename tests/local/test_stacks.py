"""CloudFormation: operations that take time, events, and what happens when something goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from botocore.exceptions import ClientError

from satcomp_infra.local import cloud

from ..waiting import eventually
from .clouds import CLUSTER, REGION, STACK, TEMPLATE, Solver


@pytest.fixture(scope="module")
def local() -> Iterator[cloud.LocalCloud]:
    with cloud.start(region=REGION, simulate_nodes=True, stack_delay=0.1, boot_delay=0.05) as local:
        yield local


solvers = cache(Solver)


@pytest.fixture
def stack(local: cloud.LocalCloud) -> Iterator[Solver]:
    """No stack yet, and none afterwards."""
    solver = solvers(local)
    solver.__dict__.pop("outputs", None)  # those of another test's stack
    yield solver
    local.set_faults(stacks=None, stuck_resources=None)
    s3, ecr = solver.client("s3"), solver.client("ecr")
    for bucket in s3.list_buckets()["Buckets"]:
        for key in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ()):
            s3.delete_object(Bucket=bucket["Name"], Key=key["Key"])
    for repository in ecr.describe_repositories()["repositories"]:
        images = ecr.list_images(repositoryName=repository["repositoryName"])["imageIds"]
        if images:
            ecr.batch_delete_image(repositoryName=repository["repositoryName"], imageIds=images)
    eventually(lambda: not any(s["StackStatus"].endswith("_IN_PROGRESS") for s in described(solver)))
    solver.cloudformation.delete_stack(StackName=STACK)
    eventually(lambda: not described(solver))


def described(solver: Solver) -> list[dict[str, str]]:
    return solver.cloudformation.describe_stacks()["Stacks"]  # type: ignore[no-any-return]


def test_a_stack_is_created_resource_by_resource(stack: Solver) -> None:
    stack.cloud.set_faults(stuck_resources=["Vpc"])
    stack_id = stack.create(Tags=[{"Key": "team", "Value": "a"}])
    assert stack.status() == "CREATE_IN_PROGRESS"
    assert "Outputs" not in stack.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    resources = stack.cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    assert len(resources) < 17  # looking at it doesn't create it
    stack.cloud.set_faults(stuck_resources=None)
    assert stack.settled(stack_id) == "CREATE_COMPLETE"
    events = stack.events()
    assert events[0] == (STACK, "CREATE_IN_PROGRESS", "User Initiated")
    assert events[-1] == (STACK, "CREATE_COMPLETE", "")
    bucket = [event for event in events if event[0] == "Bucket"]
    assert bucket == [
        ("Bucket", "CREATE_IN_PROGRESS", ""),
        ("Bucket", "CREATE_IN_PROGRESS", "Resource creation Initiated"),
        ("Bucket", "CREATE_COMPLETE", ""),
    ]
    order = [event[0] for event in events if event[1] == "CREATE_COMPLETE"]
    assert order.index("Cluster") < order.index("Machines") < order.index("Group")
    assert stack.outputs["Group"].startswith(f"{STACK}-Group-")
    assert f"{STACK}-LeaderService-" in stack.outputs["Leaders"]
    resources = stack.cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    assert {r["ResourceStatus"] for r in resources} == {"CREATE_COMPLETE"}
    assert {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}["Cluster"] == CLUSTER


def test_a_resource_that_fails_rolls_the_stack_back(stack: Solver) -> None:
    stack.cloud.set_faults(stacks=[{"resource": "Group", "reason": "no such thing today"}])
    stack.create()
    assert stack.settled() == "ROLLBACK_COMPLETE"
    events = stack.events()
    failed = [event for event in events if event[1] == "CREATE_FAILED"]
    assert failed[0] == ("Group", "CREATE_FAILED", "no such thing today")
    assert all(event[2] == "Resource creation cancelled" for event in failed[1:])
    rollback = next(event for event in events if event[1] == "ROLLBACK_IN_PROGRESS")
    assert "The following resource(s) failed to create: [Group" in rollback[2]
    assert ("Bucket", "DELETE_COMPLETE", "") in events
    assert stack.client("s3").list_buckets()["Buckets"] == []
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        stack.cloudformation.update_stack(StackName=STACK, TemplateBody=TEMPLATE)


def test_what_exists_already_can_not_be_created(stack: Solver) -> None:
    stack.client("sqs").create_queue(QueueName="jobs")
    stack.create(DisableRollback=True)
    assert stack.settled() == "CREATE_FAILED"
    reason = next(event[2] for event in stack.events() if event[:2] == ("Queue", "CREATE_FAILED"))
    assert reason == "Resource of type 'AWS::SQS::Queue' with identifier 'jobs' already exists."
    stack.client("sqs").delete_queue(QueueUrl=stack.client("sqs").get_queue_url(QueueName="jobs")["QueueUrl"])


def test_a_deleted_stack_is_known_by_its_id_alone(stack: Solver) -> None:
    stack_id = stack.create()
    stack.settled()
    stack.cloud.set_faults(stuck_resources=["Vpc"])
    stack.cloudformation.delete_stack(StackName=STACK)
    assert stack.status() == "DELETE_IN_PROGRESS"
    stack.cloud.set_faults(stuck_resources=None)
    assert stack.settled(stack_id) == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match=f"Stack with id {STACK} does not exist") as unknown:
        stack.status()
    assert unknown.value.response["Error"]["Code"] == "ValidationError"
    assert stack.events(stack_id)[-1][1] == "DELETE_COMPLETE"
    assert stack.ecs.list_clusters()["clusterArns"] == []
    assert stack.client("efs").describe_file_systems()["FileSystems"] == []
    assert len(stack.ec2.describe_vpcs()["Vpcs"]) == 1  # the account's default one
    stack.cloudformation.delete_stack(StackName=STACK)  # what isn't there is deleted


def test_buckets_and_repositories_with_something_in_them_are_not_deleted(stack: Solver) -> None:
    stack_id = stack.create()
    stack.settled()
    stack.push("leader")
    s3, bucket = stack.client("s3"), stack.outputs["Bucket"]
    s3.put_object(Bucket=bucket, Key="result", Body=b"SAT")
    stack.cloudformation.delete_stack(StackName=STACK)
    assert stack.settled(stack_id) == "DELETE_FAILED"
    reasons = {event[0]: event[2] for event in stack.events() if event[1] == "DELETE_FAILED"}
    assert "The bucket you tried to delete is not empty" in reasons["Bucket"]
    assert "it still contains images" in reasons["Repository"]
    assert reasons[STACK] == "The following resource(s) failed to delete: [Bucket, Repository]. "
    assert s3.get_object(Bucket=bucket, Key="result")["Body"].read() == b"SAT"
    assert stack.ecs.list_clusters()["clusterArns"] == []  # the rest is gone


def test_deletion_waits_for_machines_and_tasks(stack: Solver) -> None:
    stack_id = stack.create()
    stack.settled()
    stack.cloud.set_faults(missing_images=None)
    stack.push("leader")
    stack.machines(2)
    stack.tasks(leaders=1)
    eventually(lambda: stack.running(1, 0))
    with pytest.raises(ClientError, match="cannot be deleted while Container Instances are active or draining"):
        stack.ecs.delete_cluster(cluster=CLUSTER)
    ecr = stack.client("ecr")
    ecr.batch_delete_image(repositoryName="team/solver", imageIds=[{"imageTag": "leader"}])
    stack.cloudformation.delete_stack(StackName=STACK)
    assert stack.settled(stack_id) == "DELETE_COMPLETE"
    assert stack.instances() == []
    assert stack.cloud.nodes() == []


def test_an_update_changes_what_differs_and_what_depends_on_it(stack: Solver) -> None:
    stack.create()
    stack.settled()
    group, leaders, definition = (
        stack.outputs["Group"],
        stack.outputs["Leaders"],
        stack.service("Leaders")["taskDefinition"],
    )
    with pytest.raises(ClientError, match=r"No updates are to be performed\."):
        stack.cloudformation.update_stack(StackName=STACK, TemplateBody=TEMPLATE)
    changed = TEMPLATE.replace("m6i.4xlarge", "m6i.16xlarge").replace("Memory: 61000", "Memory: 60000", 1)
    seen = len(stack.events())
    stack.cloud.set_faults(stuck_resources=["Group"])
    stack.cloudformation.update_stack(StackName=STACK, TemplateBody=changed)
    assert stack.status() == "UPDATE_IN_PROGRESS"
    with pytest.raises(ClientError, match="UPDATE_IN_PROGRESS state and can not be updated"):
        stack.cloudformation.update_stack(StackName=STACK, TemplateBody=TEMPLATE)
    stack.cloud.set_faults(stuck_resources=None)
    assert stack.settled() == "UPDATE_COMPLETE"
    events = stack.events()[seen:]
    updated = {event[0] for event in events if event[1] == "UPDATE_COMPLETE"}
    assert updated == {"Machines", "Group", "LeaderTask", "LeaderService", STACK}
    del stack.outputs
    assert (stack.outputs["Group"], stack.outputs["Leaders"]) == (group, leaders)
    template = stack.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["LaunchTemplate"]
    assert template["Version"] == "2"
    assert stack.service("Leaders")["taskDefinition"] != definition
    assert len(stack.service("Leaders")["deployments"]) == 1


def test_an_update_that_fails_is_taken_back(stack: Solver) -> None:
    stack.create()
    stack.settled()
    stack.cloud.set_faults(stacks=[{"resource": "Group", "operation": "update", "reason": "not today"}])
    changed = TEMPLATE.replace('MaxSize: "1000"', 'MaxSize: "5"') + "  More: {Value: x}\n"
    changed = changed.replace("  Logs:\n", "  Topic:\n    Type: AWS::SNS::Topic\n  Logs:\n")
    stack.cloudformation.update_stack(StackName=STACK, TemplateBody=changed)
    assert stack.settled() == "UPDATE_ROLLBACK_COMPLETE"
    assert ("Group", "UPDATE_FAILED", "not today") in stack.events()
    assert ("Topic", "DELETE_COMPLETE", "") in stack.events()
    assert stack.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["MaxSize"] == 1000
    assert "More" not in stack.outputs


def test_an_update_sets_services_back_and_leaves_the_groups_size(stack: Solver) -> None:
    stack.create()
    stack.settled()
    stack.machines(1)
    stack.tasks(leaders=1)
    changed = TEMPLATE.replace("DesiredCount: 0, LaunchType: EC2", "DesiredCount: 0")
    stack.cloudformation.update_stack(StackName=STACK, TemplateBody=changed)
    assert stack.settled() == "UPDATE_COMPLETE"
    assert stack.counts("Leaders")[2] == 0
    assert stack.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["DesiredCapacity"] == 1


def test_a_stack_that_is_being_created_can_be_deleted(stack: Solver) -> None:
    stack.cloud.set_faults(stuck_resources=["Group"])
    stack_id = stack.create()
    with pytest.raises(ClientError, match=rf"Stack \[{STACK}\] already exists"):
        stack.create()
    with pytest.raises(ClientError, match="CREATE_IN_PROGRESS state and can not be updated"):
        stack.cloudformation.update_stack(StackName=STACK, TemplateBody=TEMPLATE)
    stack.cloudformation.delete_stack(StackName=STACK)
    stack.cloud.set_faults(stuck_resources=None)
    assert stack.settled(stack_id) == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("Resources: [", "Template format error: YAML not well-formed"),
        ("Outputs: {}", "At least one Resources member must be defined"),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref B}}}",
            r"Unresolved resource dependencies \[B\]",
        ),
        ("Resources: {R: {Type: AWS::IAM::Role}}", r"Requires capabilities : \[CAPABILITY_IAM\]"),
        (
            "Resources: {R: {Type: AWS::IAM::Role, Properties: {RoleName: x}}}",
            r"Requires capabilities : \[CAPABILITY_NAMED_IAM\]",
        ),
    ],
)
def test_a_template_that_can_not_be_used_is_refused(stack: Solver, template: str, said: str) -> None:
    with pytest.raises(ClientError, match=said):
        stack.create(template)


def test_events_come_a_hundred_at_a_time(stack: Solver) -> None:
    queues = "\n".join(f"  Q{n}: {{Type: AWS::SQS::Queue}}" for n in range(40))
    stack.create(f"Resources:\n{queues}\n")
    assert stack.settled() == "CREATE_COMPLETE"
    assert len(stack.cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]) == 100
    assert len(stack.events()) == 122
